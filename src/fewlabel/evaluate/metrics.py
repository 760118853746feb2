"""How good predictions are, on images whose labels are known.

The same code for every task: what is known of each class is a column of
`fewlabel.data.task.Task.evidence`, and what is not known counts for nothing.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import sklearn.metrics
from scipy.stats import binomtest

from fewlabel.data.checks import _check_codes, _check_same_length
from fewlabel.data.task import Task
from fewlabel.errors import UsageError
from fewlabel.evaluate.reliability import expected_calibration_error

# Of a class there are fewer images than of all: as many bins would hold a handful each.
_COLUMN_BINS = 10


def scores(task: Task, y: Any, proba: Any) -> dict[str, float | None]:
    """Return the usual measures of predictions.

    Parameters
    ----------
    task : Task
        What the labels are for.
    y : array-like of shape (n,) or (n, K)
        Labels.
    proba : array-like of shape (n, K)
        Probabilities.

    Returns
    -------
    dict of str to float
        ``accuracy`` (the exact match, where an image may have several labels);
        ``balanced_accuracy``, the mean recall of the classes that occur; ``log_loss`` in nats
        and ``brier_score`` (Brier 1950), sums over the classes, a mean over the images;
        ``expected_calibration_error`` of the predictions, and ``calibration_error``, the mean
        over the classes; ``mean_average_precision``, ``micro_f1`` and ``macro_f1``. None where
        a measure is undefined.

    Raises
    ------
    UsageError
        If the arrays do not fit together, or nothing is known.

    Examples
    --------
    >>> from fewlabel.data import SingleLabel
    >>> found = scores(SingleLabel(), [0, 1, 1], [[0.8, 0.2], [0.6, 0.4], [0.1, 0.9]])
    >>> round(found["accuracy"], 3), found["balanced_accuracy"]
    (0.667, 0.75)
    """
    y, proba = task.check(y, proba)
    rows = task.labeled(y)
    if not len(rows):
        raise UsageError("The 'y' parameter must hold at least one label that is known.")
    y, proba = y[rows], proba[rows]
    correct = task.correct(y, proba)
    present, known = task.evidence(y, proba.shape[1])
    classes = per_class(task, y, proba, [str(k) for k in range(proba.shape[1])])
    # Entries that are unknown are no part of what is right or wrong.
    confidence = task.confidence(np.where(known, proba, 1))
    hits = int(((present == 1) & task.decided(proba) & known).sum())
    entries = sum(row["support"] + row["predicted"] for row in classes)
    return {
        "accuracy": float(correct.mean()),
        "balanced_accuracy": _mean(classes, "recall"),
        "log_loss": float(task.loss(y, proba).mean()),
        "brier_score": float((np.where(known, proba - present, 0) ** 2).sum(axis=1).mean()),
        "expected_calibration_error": expected_calibration_error(correct, confidence),
        "calibration_error": _mean(classes, "calibration_error"),
        "mean_average_precision": _mean(classes, "average_precision"),
        "micro_f1": _ratio(2 * hits, entries),
        "macro_f1": _mean(classes, "f1"),
    }


def per_class(task: Task, y: Any, proba: Any, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return how well each class is predicted.

    Parameters
    ----------
    task : Task
        What the labels are for.
    y : array-like of shape (n,) or (n, K)
        Labels.
    proba : array-like of shape (n, K)
        Probabilities.
    classes : sequence of str
        Names of the K classes.

    Returns
    -------
    list of dict
        ``class``; the numbers of images of which it is ``known``, that have it (``support``),
        of which it is ``predicted``, and where that is ``right``; ``precision, recall, f1,
        average_precision, calibration_error``, None where a measure is undefined; ``precision_low,
        precision_high, recall_low, recall_high``, Wilson's intervals of 95 %, or None.

    Raises
    ------
    UsageError
        If the arrays do not fit together.

    Examples
    --------
    >>> from fewlabel.data import SingleLabel
    >>> proba = [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]
    >>> row = per_class(SingleLabel(), [0, 0, 1], proba, ["cat", "dog"])[0]
    >>> row["class"], row["precision"], row["recall"], row["support"]
    ('cat', 1.0, 0.5, 2)
    """
    y, proba = task.check(y, proba)
    if len(classes) != proba.shape[1]:
        raise UsageError(
            f"The 'classes' parameter must name {proba.shape[1]} classes. "
            f"Got {len(classes)} instead."
        )
    present, known = task.evidence(y, proba.shape[1])
    decided = task.decided(proba)
    rows: list[dict[str, Any]] = []
    for k, name in enumerate(classes):
        column = known[:, k]
        truth, found, p = present[column, k] == 1, decided[column, k], proba[column, k]
        hits, n_true, n_found = int((truth & found).sum()), int(truth.sum()), int(found.sum())
        # It is undefined, and scikit-learn warns, where no image has the class.
        precision = sklearn.metrics.average_precision_score(truth, p) if n_true else None
        error = expected_calibration_error(truth, p, n_bins=_COLUMN_BINS) if len(p) else None
        rows.append(
            {
                "class": name,
                "known": len(p),
                "support": n_true,
                "predicted": n_found,
                "right": hits,
                **_interval("precision", hits, n_found),
                **_interval("recall", hits, n_true),
                "f1": _ratio(2 * hits, n_found + n_true),
                "average_precision": precision if precision is None else float(precision),
                "calibration_error": error,
            }
        )
    return rows


def confusion_matrix(y_true: Any, y_pred: Any, n_classes: int) -> np.ndarray:
    """Return how many images of each class were predicted as each class.

    Parameters
    ----------
    y_true : array-like of shape (n,), int
        Classes.
    y_pred : array-like of shape (n,), int
        Predicted classes.
    n_classes : int
        Number of classes K.

    Returns
    -------
    ndarray of shape (K, K), int64
        Row: class; column: predicted class.

    Raises
    ------
    UsageError
        If the arrays are empty, differ in length, or hold classes outside 0 to K-1.

    Examples
    --------
    >>> confusion_matrix([0, 0, 1], [0, 1, 1], 2)
    array([[1, 1],
           [0, 1]])
    """
    y_true = _check_codes(y_true, "y_true", n_classes)
    y_pred = _check_codes(y_pred, "y_pred", n_classes)
    _check_same_length(y_true=y_true, y_pred=y_pred)
    # Classes that do not occur keep their row: a table of all classes is the same for all runs.
    return np.asarray(sklearn.metrics.confusion_matrix(y_true, y_pred, labels=range(n_classes)))


def wilson_interval(successes: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Return the interval for a fraction that was observed in a random sample (Wilson 1927).

    It stays inside 0 to 1 and keeps its coverage for few images and for fractions near 0 and 1,
    where the textbook interval (± 2 standard errors) fails.

    Parameters
    ----------
    successes : int
        How many of the n.
    n : int
        Size of the sample.
    level : float
        Confidence level, between 0 and 1.

    Returns
    -------
    tuple of (float, float)
        Low and high end; (0, 1) where n is 0.

    Raises
    ------
    UsageError
        If successes is not between 0 and n, or level not between 0 and 1.

    Examples
    --------
    >>> low, high = wilson_interval(45, 50)
    >>> round(low, 3), round(high, 3)
    (0.786, 0.957)
    """
    if not 0 <= successes <= n or not math.isfinite(n):
        raise UsageError(
            "The 'successes' parameter of wilson_interval must be from 0 to n. "
            f"Got {successes} of {n} instead."
        )
    if not 0 < level < 1:
        raise UsageError(f"The 'level' parameter must be between 0 and 1. Got {level} instead.")
    if n == 0:
        return 0.0, 1.0
    found = binomtest(round(successes), round(n)).proportion_ci(level, method="wilson")
    return float(found.low), float(found.high)


def _interval(name: str, part: int, whole: int) -> dict[str, float | None]:
    ends = wilson_interval(part, whole) if whole else (None, None)
    return {name: _ratio(part, whole), f"{name}_low": ends[0], f"{name}_high": ends[1]}


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _mean(rows: list[dict[str, Any]], name: str) -> float | None:
    """Return the mean of a measure over the classes where it is defined."""
    found = [row[name] for row in rows if row[name] is not None]
    return float(np.mean(found)) if found else None
