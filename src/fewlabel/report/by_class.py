"""Pseudo-labels by class and round in a report, and the votes of the experts that gave them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fewlabel.report.html import View
from fewlabel.report.quality import _matrix_view
from fewlabel.semisupervised.history import TrainingHistory
from fewlabel.texts import _printable

_MAX_ROUNDS = 4  # in the table, the last ones
_MAX_CLASSES = 40  # in the table, those with the most pseudo-labels in the last round
_KINDS = ("accepted", "rejected", "revoked")


def _by_class_views(history: TrainingHistory) -> list[View]:
    """Count the pseudo-labels of each class that each round accepted, rejected and revoked."""
    known: dict[str, list[dict[str, Any]]] = {}
    for record in history.rounds:
        if record.get("accepted_by_class"):
            known.setdefault(record["network"], []).append(record)
    return [
        _by_class(history, records)
        | {"network": _printable(name, limit=40) if len(known) > 1 else ""}
        for name, records in known.items()
    ]


def _votes_views(history: TrainingHistory) -> list[View]:
    """Draw the votes of the experts of each training on labels that they were not trained on."""
    named = len({votes.network for votes in history.votes}) > 1
    return [_votes(history, number, named) for number in range(len(history.votes))]


def _by_class(history: TrainingHistory, records: Sequence[dict[str, Any]]) -> View:
    shown = records[-_MAX_ROUNDS:]
    kinds = [kind for kind in _KINDS if any(record.get(f"{kind}_by_class") for record in shown)]
    n_classes = len(shown[-1]["accepted_by_class"])
    names = _names(history, n_classes)
    most = np.argsort(-np.array(shown[-1]["accepted_by_class"]), kind="stable")[:_MAX_CLASSES]
    # By name, as in the matrix of votes.
    order = sorted(most.tolist(), key=lambda code: names[code].casefold())
    return {
        "kinds": kinds,
        "rounds": [(record["round"], record.get("kept", True)) for record in shown],
        "rows": [
            {
                "name": names[code],
                "cells": [[_count(record, kind, code) for kind in kinds] for record in shown],
            }
            for code in order
        ],
        "n_left_out": n_classes - len(order),
        "n_earlier": len(records) - len(shown),
    }


def _votes(history: TrainingHistory, number: int, named: bool) -> View:
    votes = history.votes[number]
    names = _names(history, votes.voted.shape[1])
    view = _matrix_view(
        votes.counts(), names, across="which expert votes for them", name=f"votes-{number}"
    )
    of = f", {_printable(votes.network, limit=40)}" if named else ""
    caption = (
        f"{len(votes.codes):,} held-out labels that no expert was trained on: rows are true "
        "classes, columns are the experts. Blue is right, red-brown is wrong. With the vote of no "
        f"expert: {votes.n_without:,}; of several: {votes.n_disputed:,}."
    )
    caption += "" if view["numbered"] else " Counts are in `metrics.json`."
    return view | {"title": f"Votes of the experts of round {votes.round}{of}", "caption": caption}


def _names(history: TrainingHistory, n_classes: int) -> list[str]:
    if len(history.classes) != n_classes:
        return [f"class {code}" for code in range(n_classes)]
    return [_printable(name, limit=40) for name in history.classes]


def _count(record: dict[str, Any], kind: str, code: int) -> int:
    counts = record.get(f"{kind}_by_class")
    return int(counts[code]) if counts else 0
