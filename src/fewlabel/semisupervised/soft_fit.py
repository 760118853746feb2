"""Train any classifier on soft labels, whether it takes them or not."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

_LEAST = 0.05
"""A class of less probability is left out of a row's target."""

_MOST_CLASSES = 3
"""Classes that a row's target keeps at most, where each costs a copy of the row."""


def fit_soft(
    estimator: Any, X: np.ndarray, targets: np.ndarray, weights: np.ndarray, classes: np.ndarray
) -> Any:
    """Train on class probabilities.

    A classifier with a method ``fit_soft`` is given them as they are. For any other one, a row
    stands once for each of its likeliest classes, weighted by their probabilities.

    Parameters
    ----------
    estimator : classifier
        With ``fit(X, y, sample_weight)``.
    X : ndarray of shape (n, ...)
        Rows.
    targets : ndarray of shape (n, K)
        Class probabilities.
    weights : ndarray of shape (n,)
        Weight of each row.
    classes : ndarray of shape (K,)
        Class of each column.

    Returns
    -------
    classifier
        The estimator, trained.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> X = np.array([[0.0], [1.0], [2.0]])
    >>> targets = np.array([[1, 0], [0.5, 0.5], [0, 1]])
    >>> model = fit_soft(LogisticRegression(), X, targets, np.ones(3), np.array(["a", "b"]))
    >>> model.predict_proba([[1.0]]).round(2).tolist()
    [[0.5, 0.5]]
    """
    if hasattr(estimator, "fit_soft"):
        return estimator.fit_soft(X, targets, sample_weight=weights, classes=classes)
    rows, columns, shares = split_targets(targets)
    with warnings.catch_warnings():
        # A penalised model that stopped a little early predicts the same.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        return estimator.fit(X[rows], classes[columns], sample_weight=weights[rows] * shares)


def split_targets(targets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turn soft targets into weighted hard ones.

    Parameters
    ----------
    targets : ndarray of shape (n, K)
        Class probabilities.

    Returns
    -------
    rows : ndarray of shape (m,)
        Row numbers; a row comes once for each class that it keeps.
    columns : ndarray of shape (m,)
        Class numbers.
    shares : ndarray of shape (m,)
        Weights; those of a row sum to 1.

    Examples
    --------
    >>> rows, columns, shares = split_targets(np.array([[0.5, 0.5, 0.0], [0.0, 0.98, 0.02]]))
    >>> rows.tolist(), columns.tolist(), shares.tolist()
    ([0, 0, 1], [0, 1, 1], [0.5, 0.5, 1.0])
    """
    most = min(_MOST_CLASSES, targets.shape[1])
    likely = np.argsort(-targets, axis=1, kind="stable")[:, :most]
    kept = np.take_along_axis(targets, likely, axis=1)
    # The likeliest class stays, however little it stands out.
    keep = kept >= _LEAST
    keep[:, 0] = True
    kept = np.where(keep, kept, 0.0)
    kept /= np.maximum(kept.sum(axis=1, keepdims=True), 1e-12)
    order = np.argsort(likely, axis=1)
    likely = np.take_along_axis(likely, order, axis=1)
    keep = np.take_along_axis(keep, order, axis=1)
    kept = np.take_along_axis(kept, order, axis=1)
    rows = np.repeat(np.arange(len(targets)), keep.sum(axis=1))
    return rows, likely[keep], kept[keep]


def class_probabilities(estimator: Any, X: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Predict, with a column for every class, also for those the estimator was not shown.

    Parameters
    ----------
    estimator : classifier
        A fitted classifier.
    X : ndarray of shape (n, ...)
        Rows.
    classes : ndarray of shape (K,)
        All classes, sorted.

    Returns
    -------
    ndarray of shape (n, K)
        Class probabilities, float64; 0 for classes that the estimator does not know.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> model = DummyClassifier(strategy="prior").fit([[0], [0]], ["a", "c"])
    >>> class_probabilities(model, np.zeros((1, 1)), np.array(["a", "b", "c"])).tolist()
    [[0.5, 0.0, 0.5]]
    """
    proba = np.zeros((len(X), len(classes)))
    proba[:, np.searchsorted(classes, estimator.classes_)] = estimator.predict_proba(X)
    return proba
