"""What an ensemble predicts for unlabeled rows, and which of it is accepted."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fewlabel.data.task import Task
from fewlabel.errors import UsageError
from fewlabel.semisupervised.acceptance import PseudoLabels

AUTO = "auto"
"""Thresholds that are chosen on labeled rows."""

# Fewer rows than these choose no threshold, and by luck alone none gets beyond the bounds.
_MIN_ROWS = 5
_POSITIVE, _NEGATIVE = (0.6, 0.99), (0.01, 0.4)
_FALLBACK = (0.9, 0.05)


@dataclass(frozen=True, eq=False)
class _EnsembleView:
    """What several models predict for the same rows."""

    proba: np.ndarray
    votes: np.ndarray
    disagreement: np.ndarray


@dataclass(frozen=True, eq=False)
class Thresholds:
    """What is confident enough, label by label.

    Attributes
    ----------
    positive : ndarray of shape (K,)
        Least probability of a label that is assumed present.
    negative : ndarray of shape (K,)
        Greatest probability of a label that is assumed absent; of no use for one label a row.
    """

    positive: np.ndarray
    negative: np.ndarray


def _combine(task: Task, probas: Iterable[np.ndarray]) -> _EnsembleView:
    """Average what several models predict, one after the other."""
    total = votes = entropy = np.zeros(())
    # One after the other: the models may be on disk, of which one at a time is in memory.
    n_models = 0
    for proba in probas:
        total = total + proba.astype(np.float64)
        votes = votes + task.decided(proba)
        entropy = entropy + task.entropy(proba)
        n_models += 1
    mean = total / n_models
    spread = task.entropy(mean) - entropy / n_models
    return _EnsembleView(mean, votes / n_models, np.maximum(spread, 0))


def _choose_thresholds(
    task: Task, proba: np.ndarray, present: np.ndarray, known: np.ndarray, *, precision: float
) -> Thresholds:
    """Choose for each label the thresholds that keep pseudo-labels right on labeled rows."""
    n_labels = proba.shape[1]
    positive, negative = (np.full(n_labels, value) for value in _FALLBACK)
    decided = task.decided(proba)
    for label in range(n_labels):
        rows = known[:, label]
        score, truth = proba[rows, label], present[rows, label] >= 0.5
        chosen = decided[rows, label]
        if chosen.sum() >= _MIN_ROWS:
            least = _least_score(score[chosen], ~truth[chosen], 1 - precision)
            positive[label] = np.clip(least, *_POSITIVE)
        if truth.sum() >= _MIN_ROWS:
            # Most rows lack a label: right by chance would be right enough for a rare one, so that
            # errors are counted against how often it is present.
            absent = 1 - _least_score(1 - score, truth, (1 - precision) * truth.mean())
            negative[label] = np.clip(absent, *_NEGATIVE)
    return Thresholds(positive, negative)


def _given_thresholds(who: str, settings: Any, chosen: Thresholds) -> Thresholds:
    """Return the thresholds that are given for each label, and those chosen where none is."""
    found = vars(chosen).copy()
    for name, automatic in vars(chosen).items():
        value = getattr(settings, name)
        if isinstance(value, str):
            continue
        numbers = np.asarray(value, dtype=np.float64)
        fine = numbers.ndim == 0 or numbers.shape == automatic.shape
        if not fine or not ((numbers > 0) & (numbers < 1)).all():
            raise UsageError(
                f"The '{name}' parameter of {who} must be 'auto', or numbers in (0, 1), one "
                f"number a label or one for all. Got {value!r} instead."
            )
        found[name] = np.broadcast_to(numbers, automatic.shape)
    return Thresholds(**found)


def _accept_agreed(
    task: Task, view: _EnsembleView, thresholds: Thresholds, agreement: float
) -> PseudoLabels:
    """Accept what enough members agree on with enough confidence."""
    # Fractions such as 4 of 5 are not exact.
    agreed = view.votes >= agreement - 1e-9
    against = 1 - view.votes >= agreement - 1e-9
    present = task.decided(view.proba) & agreed & (view.proba >= thresholds.positive)
    mask = task.accept(present, against & (view.proba <= thresholds.negative))
    rows = np.flatnonzero(mask.any(axis=1))
    targets = view.proba[rows].astype(np.float32)
    return PseudoLabels(rows, targets, mask[rows], present[rows], targets)


def _least_score(score: np.ndarray, wrong: np.ndarray, max_wrong: float) -> float:
    """Return the least score above which at most such a share is wrong; 1 where there is none."""
    order = np.argsort(-score, kind="stable")
    share = np.cumsum(wrong[order]) / np.arange(1, len(order) + 1)
    # Rows of the same score stand or fall together.
    ordered = score[order]
    is_last = np.append(ordered[1:] < ordered[:-1], True)
    fine = np.flatnonzero(is_last & (share <= max_wrong))
    return float(ordered[fine[-1]]) if len(fine) else 1.0
