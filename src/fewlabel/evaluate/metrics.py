"""How good predicted classes and probabilities are, on images whose class is known.

Pure functions on arrays: ``y_true`` and ``y_pred`` are (n,) class numbers from 0 to K-1, and
``proba`` is (n, K) with rows that sum to 1. Calibration and coverage are in ``reliability``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import sklearn.metrics
from scipy.stats import norm

from fewlabel.data.checks import check_classes, check_proba, check_same_length
from fewlabel.errors import UsageError


def accuracy(y_true: Any, y_pred: Any) -> float:
    """Share of the images whose class is predicted right.

    Parameters
    ----------
    y_true : array-like of shape (n,), int
        Classes.
    y_pred : array-like of shape (n,), int
        Predicted classes.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    UsageError
        If the arrays are empty, differ in length, or hold negative classes.

    Examples
    --------
    >>> accuracy([0, 1, 2, 2], [0, 1, 2, 0])
    0.75
    """
    y_true, y_pred = _check_pair(y_true, y_pred, None)
    return float(sklearn.metrics.accuracy_score(y_true, y_pred))


def balanced_accuracy(y_true: Any, y_pred: Any) -> float:
    """Mean over the classes of the share that is predicted right.

    Classes that do not occur in ``y_true`` are left out of the mean.

    Parameters
    ----------
    y_true : array-like of shape (n,), int
        Classes.
    y_pred : array-like of shape (n,), int
        Predicted classes.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    UsageError
        If the arrays are empty, differ in length, or hold negative classes.

    Examples
    --------
    >>> balanced_accuracy([0, 0, 0, 1], [0, 0, 0, 0])
    0.5
    """
    y_true, y_pred = _check_pair(y_true, y_pred, None)
    # recall_score and not balanced_accuracy_score, which warns where a class is predicted
    # that y_true lacks: with few labels that is ordinary.
    recall = sklearn.metrics.recall_score(
        y_true, y_pred, labels=np.unique(y_true), average="macro", zero_division=0
    )
    return float(recall)


def confusion_matrix(y_true: Any, y_pred: Any, n_classes: int) -> np.ndarray:
    """Count the images of each class by the class that was predicted.

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
    y_true, y_pred = _check_pair(y_true, y_pred, n_classes)
    counts = sklearn.metrics.confusion_matrix(y_true, y_pred, labels=np.arange(n_classes))
    return np.asarray(counts, dtype=np.int64)


class ClassTable(NamedTuple):
    """Precision, recall, F1 and number of images of each class.

    Attributes
    ----------
    precision : ndarray of shape (K,), float64
        Share of the images predicted as the class that are of it; NaN where none is predicted.
    recall : ndarray of shape (K,), float64
        Share of the images of the class that are predicted as it; NaN where there is none.
    f1 : ndarray of shape (K,), float64
        Harmonic mean of both; NaN where the class neither occurs nor is predicted.
    support : ndarray of shape (K,), int64
        Number of images of the class.
    """

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray

    def rows(self, classes: Sequence[str]) -> list[dict[str, Any]]:
        """Give the table as plain rows for JSON and reports.

        Parameters
        ----------
        classes : sequence of str
            Names of the K classes.

        Returns
        -------
        list of dict
            ``class, precision, recall, f1, support``; None where a value is undefined.
        """
        if len(classes) != len(self.support):
            raise UsageError(
                f"The 'classes' parameter must name {len(self.support)} classes. "
                f"Got {len(classes)} instead."
            )
        columns = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        return [
            {"class": name}
            | {key: _number_or_none(values[i]) for key, values in columns.items()}
            | {"support": int(self.support[i])}
            for i, name in enumerate(classes)
        ]


def per_class(y_true: Any, y_pred: Any, n_classes: int) -> ClassTable:
    """Precision, recall and F1 of each class.

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
    ClassTable
        Arrays of shape (K,); a value that is undefined is NaN, not 0.

    Raises
    ------
    UsageError
        If the arrays are empty, differ in length, or hold classes outside 0 to K-1.

    Examples
    --------
    >>> per_class([0, 0, 1], [0, 1, 1], 2).rows(["cat", "dog"])[0]
    {'class': 'cat', 'precision': 1.0, 'recall': 0.5, 'f1': 0.666..., 'support': 2}
    """
    y_true, y_pred = _check_pair(y_true, y_pred, n_classes)
    table = sklearn.metrics.precision_recall_fscore_support(
        y_true, y_pred, labels=np.arange(n_classes), zero_division=np.nan
    )
    return ClassTable(*(np.asarray(column) for column in table))


def log_loss(y_true: Any, proba: Any) -> float:
    """Mean negative logarithm of the probability given to the right class.

    Parameters
    ----------
    y_true : array-like of shape (n,), int
        Classes.
    proba : array-like of shape (n, K)
        Class probabilities.

    Returns
    -------
    float
        In nats; 0 is perfect, log(K) is what equal probabilities get. A probability of 0 is
        taken as 2e-16 (the float64 epsilon), as scikit-learn does.

    Raises
    ------
    UsageError
        If the arrays do not fit together or ``proba`` holds no probabilities.

    Examples
    --------
    >>> round(log_loss([0, 1], [[0.5, 0.5], [0.5, 0.5]]), 4)
    0.6931
    """
    y_true, proba = _check_proba_pair(y_true, proba)
    return float(sklearn.metrics.log_loss(y_true, proba, labels=np.arange(proba.shape[1])))


def brier_score(y_true: Any, proba: Any) -> float:
    """Mean squared distance of the probabilities from certainty in the right class.

    The multi-class form of Brier (1950), summed over the classes.

    Parameters
    ----------
    y_true : array-like of shape (n,), int
        Classes.
    proba : array-like of shape (n, K)
        Class probabilities.

    Returns
    -------
    float
        From 0 (perfect) to 2.

    Raises
    ------
    UsageError
        If the arrays do not fit together or ``proba`` holds no probabilities.

    Examples
    --------
    >>> brier_score([0, 1], [[1.0, 0.0], [1.0, 0.0]])
    1.0
    """
    # scikit-learn has this form only from 1.7 on, and fewlabel supports 1.6.
    y_true, proba = _check_proba_pair(y_true, proba)
    proba[np.arange(len(y_true)), y_true] -= 1.0
    return float(np.mean(np.sum(proba**2, axis=1)))


def wilson_interval(successes: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Interval for a share that was observed in a random sample (Wilson 1927).

    It stays inside 0 to 1 and keeps its coverage for few images and for shares near 0 and 1,
    where the textbook interval (share ± 2 standard errors) fails.

    Parameters
    ----------
    successes : float
        How many of the n; a fraction is allowed, for weighted samples.
    n : float
        Size of the sample, or effective size of a weighted one.
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
    # Written here and not taken from scipy's binomtest, which wants whole numbers.
    z = float(norm.ppf(0.5 + level / 2))
    share = successes / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # Rounding can leave the ends a hair beyond the share itself at 0 and at n.
    return min(max(0.0, centre - half), share), max(min(1.0, centre + half), share)


def _check_pair(y_true: Any, y_pred: Any, n_classes: int | None) -> tuple[np.ndarray, np.ndarray]:
    y_true = check_classes(y_true, "y_true", n_classes)
    y_pred = check_classes(y_pred, "y_pred", n_classes)
    check_same_length(y_true=y_true, y_pred=y_pred)
    return y_true, y_pred


def _check_proba_pair(y_true: Any, proba: Any) -> tuple[np.ndarray, np.ndarray]:
    proba = check_proba(proba)
    y_true = check_classes(y_true, "y_true", proba.shape[1])
    check_same_length(y_true=y_true, proba=proba)
    return y_true, proba


def _number_or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
