"""Pseudo-labels by class and round in a report, and what the experts claim that gave them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fewlabel.report.plots import MAX_NUMBERED_CLASSES, confusion_figure
from fewlabel.report.scoring import View
from fewlabel.report.svg import printable
from fewlabel.semisupervised.training_log import ExpertClaims, TrainingLog

MAX_ROUNDS = 4
"""Rounds of a training in the table at most, the last ones."""

MAX_CLASSES = 40
"""Classes in the table at most, those with the most pseudo-labels in the last round."""

_KINDS = ("accepted", "rejected", "revoked")


def by_class_views(log: TrainingLog) -> list[View]:
    """List how many pseudo-labels of each class each round accepted, rejected and revoked.

    Parameters
    ----------
    log : TrainingLog
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
    >>> log = TrainingLog(classes=("cat", "dog"))
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


def claims_views(log: TrainingLog) -> list[View]:
    """Draw what the experts of each training claim of labels that they were not trained on.

    Parameters
    ----------
    log : TrainingLog
        What happened in training.

    Returns
    -------
    list of dict
        One a training: ``title``, ``caption``, ``svg``, ``numbered`` and ``least`` (width in
        pixels below which it scrolls).

    Examples
    --------
    >>> log = TrainingLog(classes=("cat", "dog"))
    >>> claimed = np.array([[True, False], [True, True], [False, False]])
    >>> log.claims.append(ExpertClaims("experts", 1, np.array([0, 1, 1]), claimed))
    >>> claims_views(log)[0]["title"]
    'What the experts of round 1 claim'
    """
    named = len({claims.network for claims in log.claims}) > 1
    return [_claims(log, number, named) for number in range(len(log.claims))]


def _by_class(log: TrainingLog, records: Sequence[dict[str, Any]]) -> View:
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


def _claims(log: TrainingLog, number: int, named: bool) -> View:
    claims = log.claims[number]
    n_classes = claims.claimed.shape[1]
    names = _names(log, n_classes)
    order = np.array(sorted(range(n_classes), key=lambda code: names[code].casefold()))
    svg = confusion_figure(
        claims.counts()[np.ix_(order, order)],
        [names[code] for code in order],
        across="claimed by the expert of",
        name=f"claims-{number}",
    )
    of = f", {printable(claims.network, limit=40)}" if named else ""
    return {
        "title": f"What the experts of round {claims.round} claim{of}",
        "caption": _caption(claims, n_classes <= MAX_NUMBERED_CLASSES),
        "svg": svg,
        "numbered": n_classes <= MAX_NUMBERED_CLASSES,
        "least": 18 * n_classes + 90 if n_classes > 8 else 0,
    }


def _caption(claims: ExpertClaims, numbered: bool) -> str:
    text = (
        f"{len(claims.codes):,} held-out labels that no expert was trained on: rows are true "
        "classes, columns are the experts. Blue is right, red-brown is wrong. Claimed by no "
        f"expert: {claims.n_unclaimed:,}; by several: {claims.n_disputed:,}."
    )
    return text if numbered else f"{text} Counts are in `metrics.json`."


def _names(log: TrainingLog, n_classes: int) -> list[str]:
    if len(log.classes) != n_classes:
        return [f"class {code}" for code in range(n_classes)]
    return [printable(name, limit=40) for name in log.classes]


def _count(record: dict[str, Any], kind: str, code: int) -> int:
    counts = record.get(f"{kind}_by_class")
    return int(counts[code]) if counts else 0
