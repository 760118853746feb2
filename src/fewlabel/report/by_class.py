"""Pseudo-labels by class and round in a report, and the votes of the experts that gave them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fewlabel.report.plots import MAX_NUMBERED_CLASSES, confusion_figure
from fewlabel.report.scoring import View
from fewlabel.report.svg import printable
from fewlabel.semisupervised.history import ExpertVotes, TrainingHistory

MAX_ROUNDS = 4
"""Rounds of a training in the table at most, the last ones."""

MAX_CLASSES = 40
"""Classes in the table at most, those with the most pseudo-labels in the last round."""

_KINDS = ("accepted", "rejected", "revoked")


def by_class_views(log: TrainingHistory) -> list[View]:
    """List how many pseudo-labels of each class each round accepted, rejected and revoked.

    Parameters
    ----------
    log : TrainingHistory
        What happened in training.

    Returns
    -------
    list of dict
        One a training whose rounds are known by class: ``network`` (blank where there is one
        only), ``kinds`` (headings), ``rounds`` (numbers, and whether each is in the final
        network), ``rows`` (``name`` and ``cells``, for each round as many counts as kinds),
        ``n_left_out`` (classes) and ``n_earlier`` (rounds).

    Examples
    --------
    >>> log = TrainingHistory(classes=("cat", "dog"))
    >>> log.add_round("experts", 1, accepted_by_class=[5, 3], revoked_by_class=[0, 0])
    >>> (view,) = by_class_views(log)
    >>> view["kinds"], view["rows"][0]
    (['accepted', 'revoked'], {'name': 'cat', 'cells': [[5, 0]]})
    """
    known: dict[str, list[dict[str, Any]]] = {}
    for record in log.rounds:
        if record.get("accepted_by_class"):
            known.setdefault(record["network"], []).append(record)
    return [
        _by_class(log, records) | {"network": printable(name, limit=40) if len(known) > 1 else ""}
        for name, records in known.items()
    ]


def votes_views(log: TrainingHistory) -> list[View]:
    """Draw the votes of the experts of each training on labels that they were not trained on.

    Parameters
    ----------
    log : TrainingHistory
        What happened in training.

    Returns
    -------
    list of dict
        One a training: ``title``, ``caption``, ``svg``, ``numbered`` and ``least`` (width in
        pixels below which it scrolls).

    Examples
    --------
    >>> log = TrainingHistory(classes=("cat", "dog"))
    >>> voted = np.array([[True, False], [True, True], [False, False]])
    >>> log.votes.append(ExpertVotes("experts", 1, np.array([0, 1, 1]), voted))
    >>> votes_views(log)[0]["title"]
    'Votes of the experts of round 1'
    """
    named = len({votes.network for votes in log.votes}) > 1
    return [_votes(log, number, named) for number in range(len(log.votes))]


def _by_class(log: TrainingHistory, records: Sequence[dict[str, Any]]) -> View:
    shown = records[-MAX_ROUNDS:]
    kinds = [kind for kind in _KINDS if any(record.get(f"{kind}_by_class") for record in shown)]
    n_classes = len(shown[-1]["accepted_by_class"])
    names = _names(log, n_classes)
    most = np.argsort(-np.array(shown[-1]["accepted_by_class"]), kind="stable")[:MAX_CLASSES]
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


def _votes(log: TrainingHistory, number: int, named: bool) -> View:
    votes = log.votes[number]
    n_classes = votes.voted.shape[1]
    names = _names(log, n_classes)
    order = np.array(sorted(range(n_classes), key=lambda code: names[code].casefold()))
    svg = confusion_figure(
        votes.counts()[np.ix_(order, order)],
        [names[code] for code in order],
        across="which expert votes for them",
        name=f"votes-{number}",
    )
    of = f", {printable(votes.network, limit=40)}" if named else ""
    return {
        "title": f"Votes of the experts of round {votes.round}{of}",
        "caption": _caption(votes, n_classes <= MAX_NUMBERED_CLASSES),
        "svg": svg,
        "numbered": n_classes <= MAX_NUMBERED_CLASSES,
        "least": 18 * n_classes + 90 if n_classes > 8 else 0,
    }


def _caption(votes: ExpertVotes, numbered: bool) -> str:
    text = (
        f"{len(votes.codes):,} held-out labels that no expert was trained on: rows are true "
        "classes, columns are the experts. Blue is right, red-brown is wrong. With the vote of no "
        f"expert: {votes.n_without:,}; of several: {votes.n_disputed:,}."
    )
    return text if numbered else f"{text} Counts are in `metrics.json`."


def _names(log: TrainingHistory, n_classes: int) -> list[str]:
    if len(log.classes) != n_classes:
        return [f"class {code}" for code in range(n_classes)]
    return [printable(name, limit=40) for name in log.classes]


def _count(record: dict[str, Any], kind: str, code: int) -> int:
    counts = record.get(f"{kind}_by_class")
    return int(counts[code]) if counts else 0
