"""How good predicted labels are where an image may have several, some of which are not known.

``y_true`` is (n, L) of 1 (present), 0 (absent) and -1 (not known); ``y_pred`` is (n, L) of 1 and
0, and ``proba`` is (n, L) with the probability of each label. Entries that are not known are left
out of every measure.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import sklearn.metrics

from fewlabel.errors import UsageError
from fewlabel.evaluate.reliability import expected_calibration_error

AVERAGES = ("micro", "macro")


def exact_match(y_true: Any, y_pred: Any) -> float:
    """Share of the images of which every known label is predicted right.

    Images of which nothing is known are left out.

    Parameters
    ----------
    y_true : array-like of shape (n, L)
        1, 0 and -1.
    y_pred : array-like of shape (n, L)
        1 and 0.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    UsageError
        If the tables do not fit together, or nothing is known.

    Examples
    --------
    >>> exact_match([[1, 0, -1], [0, 1, 1]], [[1, 0, 1], [0, 1, 0]])
    0.5
    """
    y_true, y_pred = _check_pair(y_true, y_pred)
    rows = (y_true >= 0).any(axis=1)
    return float(exactly_right(y_true, y_pred)[rows].mean())


def average_precisions(y_true: Any, proba: Any) -> np.ndarray:
    """Average precision of each label: how well its probability ranks the images.

    Parameters
    ----------
    y_true : array-like of shape (n, L)
        1, 0 and -1.
    proba : array-like of shape (n, L)
        Probability of each label.

    Returns
    -------
    ndarray of shape (L,), float64
        From 0 to 1; NaN for a label that no image is known to have.

    Raises
    ------
    UsageError
        If the tables do not fit together, or nothing is known.

    Examples
    --------
    >>> average_precisions([[1, 0], [0, 0], [1, 0]], [[0.9, 0.1], [0.1, 0.1], [0.8, 0.2]])
    array([ 1., nan])
    """
    y_true, proba = check_scores(y_true, proba)
    found = np.full(y_true.shape[1], np.nan)
    for label, (truth, scores) in enumerate(zip(y_true.T, proba.T, strict=True)):
        known = truth >= 0
        if (truth == 1).any():
            found[label] = sklearn.metrics.average_precision_score(truth[known], scores[known])
    return found


def mean_average_precision(y_true: Any, proba: Any) -> float:
    """Mean over the labels of the average precision.

    Parameters
    ----------
    y_true : array-like of shape (n, L)
        1, 0 and -1.
    proba : array-like of shape (n, L)
        Probability of each label.

    Returns
    -------
    float
        From 0 to 1; labels that no image is known to have are left out, NaN where all are.

    Raises
    ------
    UsageError
        If the tables do not fit together, or nothing is known.

    Examples
    --------
    >>> mean_average_precision([[1, 0], [0, 1]], [[0.9, 0.6], [0.4, 0.7]])
    1.0
    """
    found = average_precisions(y_true, proba)
    found = found[~np.isnan(found)]
    return float(found.mean()) if len(found) else float("nan")


def multilabel_f1(y_true: Any, y_pred: Any, average: str = "micro") -> float:
    """Harmonic mean of precision and recall, over several labels.

    Parameters
    ----------
    y_true : array-like of shape (n, L)
        1, 0 and -1.
    y_pred : array-like of shape (n, L)
        1 and 0.
    average : {"micro", "macro"}
        Over all entries together, or the mean over the labels.

    Returns
    -------
    float
        From 0 to 1. Labels that neither occur nor are predicted are left out of ``"macro"``.

    Raises
    ------
    UsageError
        If the tables do not fit together, nothing is known, or there is no such average.

    Examples
    --------
    >>> truth, predicted = [[1, 0], [1, -1]], [[1, 1], [1, 1]]
    >>> multilabel_f1(truth, predicted), multilabel_f1(truth, predicted, "macro")
    (0.8, 0.5)
    """
    if average not in AVERAGES:
        raise UsageError(
            f"The 'average' parameter must be one of {', '.join(AVERAGES)}. Got {average!r} "
            "instead."
        )
    y_true, y_pred = _check_pair(y_true, y_pred)
    known = y_true >= 0
    if average == "micro":
        score = sklearn.metrics.f1_score(y_true[known], y_pred[known], zero_division=0)
        return float(score)
    scores = [
        sklearn.metrics.f1_score(truth[seen], predicted[seen], zero_division=np.nan)
        for truth, predicted, seen in zip(y_true.T, y_pred.T, known.T, strict=True)
        if (truth[seen] == 1).any() or (predicted[seen] == 1).any()
    ]
    return float(np.mean(scores)) if scores else float("nan")


def label_calibration_errors(y_true: Any, proba: Any, *, n_bins: int = 10) -> np.ndarray:
    """Measure the calibration error of each label.

    How far the probability of a label is from the share of the images that have it, by bins of
    probability.

    Parameters
    ----------
    y_true : array-like of shape (n, L)
        1, 0 and -1.
    proba : array-like of shape (n, L)
        Probability of each label.
    n_bins : int
        Number of bins.

    Returns
    -------
    ndarray of shape (L,), float64
        From 0 (calibrated) to 1; NaN for a label that is never known.

    Raises
    ------
    UsageError
        If the tables do not fit together, or nothing is known.

    Examples
    --------
    >>> label_calibration_errors([[1, -1], [0, -1]], [[0.5, 0.1], [0.5, 0.2]])
    array([ 0., nan])
    """
    y_true, proba = check_scores(y_true, proba)
    found = np.full(y_true.shape[1], np.nan)
    for label, (truth, scores) in enumerate(zip(y_true.T, proba.T, strict=True)):
        known = truth >= 0
        if known.any():
            found[label] = expected_calibration_error(
                truth[known] == 1, scores[known], n_bins=n_bins
            )
    return found


def exactly_right(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """Say of which images every known label is predicted right.

    Parameters
    ----------
    y_true : ndarray of shape (n, L)
        1, 0 and -1.
    y_pred : ndarray of shape (n, L)
        1 and 0.

    Returns
    -------
    ndarray of shape (n,), bool
        True also where nothing is known.

    Examples
    --------
    >>> exactly_right(np.array([[1, -1], [0, 1]]), np.array([[1, 1], [0, 0]])).tolist()
    [True, False]
    """
    return np.asarray(((y_true == y_pred) | (y_true < 0)).all(axis=1))


def multilabel_scores(y_true: Any, y_pred: Any, proba: Any) -> dict[str, float]:
    """Give all measures of several labels at once.

    Parameters
    ----------
    y_true : array-like of shape (n, L)
        1, 0 and -1.
    y_pred : array-like of shape (n, L)
        1 and 0.
    proba : array-like of shape (n, L)
        Probability of each label.

    Returns
    -------
    dict of str to float
        ``exact_match, mean_average_precision, micro_f1, macro_f1, calibration_error``; the last
        is the mean over the labels.

    Raises
    ------
    UsageError
        If the tables do not fit together, or nothing is known.

    Examples
    --------
    >>> truth = [[1, 0], [0, 1]]
    >>> multilabel_scores(truth, truth, [[1.0, 0.0], [0.0, 1.0]])["exact_match"]
    1.0
    """
    errors = label_calibration_errors(y_true, proba)
    return {
        "exact_match": exact_match(y_true, y_pred),
        "mean_average_precision": mean_average_precision(y_true, proba),
        "micro_f1": multilabel_f1(y_true, y_pred, "micro"),
        "macro_f1": multilabel_f1(y_true, y_pred, "macro"),
        "calibration_error": float(errors[~np.isnan(errors)].mean()),
    }


def _check_truth(y_true: Any) -> np.ndarray:
    table = np.asarray(y_true)
    if table.ndim != 2 or not np.isin(table, (-1, 0, 1)).all():
        raise UsageError(
            "The 'y_true' parameter must be a table of shape (images, labels) of 1 (present), 0 "
            f"(absent) and -1 (not known). Got an array of shape {table.shape} instead."
        )
    if not (table >= 0).any():
        raise UsageError(
            "The 'y_true' parameter must hold at least one label that is known: all are -1."
        )
    return table.astype(np.int64)


def _check_pair(y_true: Any, y_pred: Any) -> tuple[np.ndarray, np.ndarray]:
    y_true, y_pred = _check_truth(y_true), np.asarray(y_pred)
    if y_pred.shape != y_true.shape or not np.isin(y_pred, (0, 1)).all():
        raise UsageError(
            f"The 'y_pred' parameter must be a table of shape {y_true.shape} of 1 and 0. Got an "
            f"array of shape {y_pred.shape} and type {y_pred.dtype} instead."
        )
    return y_true, y_pred.astype(np.int64)


def check_scores(y_true: Any, proba: Any) -> tuple[np.ndarray, np.ndarray]:
    """Check a table of labels and one of probabilities.

    Parameters
    ----------
    y_true : array-like of shape (n, L)
        1, 0 and -1.
    proba : array-like of shape (n, L)
        Probability of each label.

    Returns
    -------
    y_true : ndarray of shape (n, L), int64
        The labels.
    proba : ndarray of shape (n, L), float64
        The probabilities.

    Raises
    ------
    UsageError
        If the tables do not fit together, or nothing is known.
    """
    y_true, proba = _check_truth(y_true), np.asarray(proba, dtype=np.float64)
    # Written so that NaN fails it.
    if proba.shape != y_true.shape or not ((proba >= 0) & (proba <= 1)).all():
        raise UsageError(
            f"The 'proba' parameter must be a table of shape {y_true.shape} of probabilities, "
            f"from 0 to 1. Got an array of shape {proba.shape} instead, or values beyond."
        )
    return y_true, proba
