"""What an ensemble says of unlabelled rows, and which of it is believed. Pure functions.

For one label a row, ``proba`` is (n, K) with rows that sum to 1. For several labels a row, it is
(n, L) with the probability of each label.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

AUTO = "auto"
_FEWEST = 5
_POSITIVE = (0.6, 0.99)
_NEGATIVE = (0.01, 0.4)
_FALLBACK = (0.9, 0.05)


@dataclass(frozen=True, eq=False)
class EnsembleView:
    """What several models say of the same rows.

    Attributes
    ----------
    proba : ndarray of shape (n, K)
        Mean probabilities.
    votes : ndarray of shape (n, K)
        Share of the models that say the label: as the likeliest class, or with a probability of
        one half or more where there are several labels.
    disagreement : ndarray of shape (n,)
        Mutual information between the label and the model, in nats; summed over several labels.
        0 where all models say the same.
    """

    proba: np.ndarray
    votes: np.ndarray
    disagreement: np.ndarray


def combine(probas: Iterable[np.ndarray], *, is_multilabel: bool) -> EnsembleView:
    """Average what several models say, one after the other.

    Parameters
    ----------
    probas : iterable of ndarray of shape (n, K)
        What each model says; only one of them is needed in memory at a time.
    is_multilabel : bool
        Whether a row may have several labels.

    Returns
    -------
    EnsembleView
        Mean, votes and disagreement.

    Examples
    --------
    >>> same = combine([np.array([[0.9, 0.1]]), np.array([[0.9, 0.1]])], is_multilabel=False)
    >>> round(float(same.disagreement[0]), 6), same.votes.tolist()
    (0.0, [[1.0, 0.0]])
    """
    total = votes = entropy = np.zeros(0)
    n_models = 0
    for proba in probas:
        if n_models == 0:
            total, votes = np.zeros(proba.shape), np.zeros(proba.shape)
            entropy = np.zeros(len(proba))
        total += proba
        votes += says(proba, is_multilabel=is_multilabel)
        entropy += _entropy(proba, is_multilabel=is_multilabel)
        n_models += 1
    mean = total / n_models
    spread = _entropy(mean, is_multilabel=is_multilabel) - entropy / n_models
    return EnsembleView(mean, votes / n_models, np.maximum(spread, 0))


def says(proba: np.ndarray, *, is_multilabel: bool) -> np.ndarray:
    """Give what a model says: the likeliest class, or all labels of one half and more.

    Parameters
    ----------
    proba : ndarray of shape (n, K)
        Probabilities.
    is_multilabel : bool
        Whether a row may have several labels.

    Returns
    -------
    ndarray of shape (n, K), bool
        True for what it says.

    Examples
    --------
    >>> says(np.array([[0.4, 0.3, 0.3]]), is_multilabel=False).tolist()
    [[True, False, False]]
    """
    if is_multilabel:
        return proba >= 0.5
    return np.arange(proba.shape[1]) == proba.argmax(axis=1)[:, None]


@dataclass(frozen=True, eq=False)
class Thresholds:
    """What is sure enough, label by label.

    Attributes
    ----------
    positive : ndarray of shape (K,)
        Least probability of a label that is believed present.
    negative : ndarray of shape (K,)
        Greatest probability of a label that is believed absent; of no use for one label a row.
    """

    positive: np.ndarray
    negative: np.ndarray


def choose_thresholds(
    proba: np.ndarray,
    targets: np.ndarray,
    known: np.ndarray,
    *,
    precision: float,
    is_multilabel: bool,
) -> Thresholds:
    """Choose for each label the thresholds that keep pseudo-labels right on labelled rows.

    Parameters
    ----------
    proba : ndarray of shape (n, K)
        What was said of labelled rows by models that had not seen them.
    targets : ndarray of shape (n, K)
        1 where the label is present.
    known : ndarray of shape (n, K), bool
        Where that is known.
    precision : float
        Share of the rows above the positive threshold that are to have the label. Below the
        negative threshold, those that have it after all are to be as many times rarer than they
        are among all rows.
    is_multilabel : bool
        Whether a row may have several labels; if not, only rows are looked at of which the
        label is the likeliest class.

    Returns
    -------
    Thresholds
        From 0.6 to 0.99 and from 0.01 to 0.4; 0.9 and 0.05 for a label with fewer than five
        rows to tell from.

    Examples
    --------
    >>> proba = np.repeat([[0.9], [0.7], [0.05]], 10, axis=0)
    >>> targets = np.repeat([[1], [0], [0]], 10, axis=0)
    >>> known = np.ones_like(targets, dtype=bool)
    >>> found = choose_thresholds(proba, targets, known, precision=0.95, is_multilabel=True)
    >>> float(found.positive[0]), float(found.negative[0])
    (0.9, 0.4)
    """
    n_labels = proba.shape[1]
    positive, negative = np.full(n_labels, _FALLBACK[0]), np.full(n_labels, _FALLBACK[1])
    said = says(proba, is_multilabel=is_multilabel)
    for label in range(n_labels):
        truth = targets[:, label] >= 0.5
        rows = known[:, label] & said[:, label]
        if rows.sum() >= _FEWEST:
            score, right = proba[rows, label], truth[rows]
            positive[label] = np.clip(_least(score, ~right, 1 - precision), *_POSITIVE)
        rows = known[:, label]
        share = truth[rows].mean() if rows.any() else 0.0
        if is_multilabel and truth[rows].sum() >= _FEWEST:
            absent = 1 - _least(1 - proba[rows, label], truth[rows], (1 - precision) * share)
            negative[label] = np.clip(absent, *_NEGATIVE)
    return Thresholds(positive, negative)


def _least(score: np.ndarray, wrong: np.ndarray, most: float) -> float:
    """Find the least score above which at most such a share is wrong; 1 where there is none."""
    order = np.argsort(-score, kind="stable")
    share = np.cumsum(wrong[order]) / np.arange(1, len(order) + 1)
    # Rows of the same score stand or fall together.
    ordered = score[order]
    is_last = np.append(ordered[1:] < ordered[:-1], True)
    fine = np.flatnonzero(is_last & (share <= most))
    return float(ordered[fine[-1]]) if len(fine) else 1.0


@dataclass(frozen=True, eq=False)
class SoftLabels:
    """Pseudo-labels that are believed.

    Attributes
    ----------
    rows : ndarray of shape (m,), int64
        Positions of the rows among those that were judged.
    targets : ndarray of shape (m, K), float32
        Soft labels: the mean probabilities.
    mask : ndarray of shape (m, K), bool
        Which of them are believed; all, for one label a row. It is never a target.
    """

    rows: np.ndarray
    targets: np.ndarray
    mask: np.ndarray

    @property
    def present(self) -> np.ndarray:
        """Which labels are believed to be present, as an ndarray of shape (m, K), bool."""
        return self.mask & (self.targets >= 0.5)


def believe(
    view: EnsembleView, thresholds: Thresholds, *, agreement: float, is_multilabel: bool
) -> SoftLabels:
    """Choose what is believed of what an ensemble says: by agreement and by confidence.

    With several labels a row, each label is believed by itself, present or absent. A row of
    which only absences are believed, and not of all labels, is passed over: hard rows would
    teach nothing but absence.

    Parameters
    ----------
    view : EnsembleView
        What is said.
    thresholds : Thresholds
        What is sure enough.
    agreement : float
        Least share of the models that say the same.
    is_multilabel : bool
        Whether a row may have several labels.

    Returns
    -------
    SoftLabels
        What is believed.

    Examples
    --------
    >>> view = combine([np.array([[0.95, 0.5, 0.02]])], is_multilabel=True)
    >>> sure = Thresholds(np.full(3, 0.9), np.full(3, 0.1))
    >>> believe(view, sure, agreement=1, is_multilabel=True).mask.tolist()
    [[True, False, True]]
    """
    # Shares such as 4 of 5 are not exact.
    agreed = view.votes >= agreement - 1e-9
    said = says(view.proba, is_multilabel=is_multilabel)
    present = said & agreed & (view.proba >= thresholds.positive)
    if is_multilabel:
        against = 1 - view.votes >= agreement - 1e-9
        mask = present | (against & (view.proba <= thresholds.negative))
        rows = np.flatnonzero(present.any(axis=1) | mask.all(axis=1))
        mask = mask[rows]
    else:
        rows = np.flatnonzero(present.any(axis=1))
        mask = np.ones((len(rows), view.proba.shape[1]), dtype=bool)
    return SoftLabels(rows, view.proba[rows].astype(np.float32), mask)


def _entropy(proba: np.ndarray, *, is_multilabel: bool) -> np.ndarray:
    held = np.clip(proba, 1e-12, 1)
    entropy = -held * np.log(held)
    if is_multilabel:
        rest = np.clip(1 - proba, 1e-12, 1)
        entropy = entropy - rest * np.log(rest)
    total: np.ndarray = entropy.sum(axis=1)
    return total
