"""Which predictions to believe: pseudo-labels chosen by their probabilities.

Each function takes class probabilities of unlabelled rows and says which rows are accepted.
"""

from __future__ import annotations

import numpy as np

_TINY = 1e-12


def above_threshold(proba: np.ndarray, threshold: float) -> np.ndarray:
    """Accept predictions of at least a fixed confidence.

    Parameters
    ----------
    proba : ndarray of shape (n, K)
        Class probabilities.
    threshold : float
        Least confidence.

    Returns
    -------
    ndarray of shape (n,), dtype bool
        Accepted rows.

    Examples
    --------
    >>> above_threshold(np.array([[0.9, 0.1], [0.6, 0.4]]), 0.8).tolist()
    [True, False]
    """
    return proba.max(axis=1) >= threshold


def top_k_per_class(proba: np.ndarray, k: int) -> np.ndarray:
    """Accept the k most confident predictions of each class.

    Parameters
    ----------
    proba : ndarray of shape (n, K)
        Class probabilities.
    k : int
        Rows of each class, at most.

    Returns
    -------
    ndarray of shape (n,), dtype bool
        Accepted rows; the earlier row first where confidences are equal.

    Examples
    --------
    >>> top_k_per_class(np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]), 1).tolist()
    [True, False, True]
    """
    classes, confidence = proba.argmax(axis=1), proba.max(axis=1)
    order = np.lexsort((-confidence, classes))
    sizes = np.bincount(classes, minlength=proba.shape[1])
    starts = np.cumsum(sizes) - sizes
    position = np.empty(len(proba), dtype=np.int64)
    position[order] = np.arange(len(proba)) - starts[classes[order]]
    return position < k


def most_confident_share(proba: np.ndarray, share: float) -> np.ndarray:
    """Accept the most confident share of all rows: one step of a curriculum.

    Curriculum labeling raises the share from round to round (Cascante-Bonilla et al. 2021).

    Parameters
    ----------
    proba : ndarray of shape (n, K)
        Class probabilities.
    share : float
        Share to accept, from 0 to 1.

    Returns
    -------
    ndarray of shape (n,), dtype bool
        Accepted rows; all of equal confidence at the border are in.

    Examples
    --------
    >>> most_confident_share(np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]), 2 / 3).tolist()
    [True, False, True]
    """
    n = round(share * len(proba))
    if n == 0:
        return np.zeros(len(proba), dtype=bool)
    confidence = proba.max(axis=1)
    border = np.partition(confidence, len(proba) - n)[len(proba) - n]
    return confidence >= border


def self_adaptive_thresholds(proba: np.ndarray) -> np.ndarray:
    """Give a threshold for each class that follows the model's own confidence.

    FreeMatch (Wang et al. 2023): the mean confidence over all unlabelled rows, scaled for each
    class by how much probability the model gives it, the largest being 1. Classes that the
    model is unsure of are let in earlier.

    Parameters
    ----------
    proba : ndarray of shape (n, K)
        Class probabilities of all unlabelled rows.

    Returns
    -------
    ndarray of shape (K,)
        Thresholds.

    Examples
    --------
    >>> self_adaptive_thresholds(np.array([[0.9, 0.1], [0.7, 0.3]])).round(2).tolist()
    [0.8, 0.2]
    """
    if not len(proba):
        return np.ones(proba.shape[1])
    local = proba.mean(axis=0)
    return proba.max(axis=1).mean() * local / local.max()


def above_class_thresholds(proba: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Accept predictions that reach the threshold of their class.

    Parameters
    ----------
    proba : ndarray of shape (n, K)
        Class probabilities.
    thresholds : ndarray of shape (K,)
        Least confidence of each class.

    Returns
    -------
    ndarray of shape (n,), dtype bool
        Accepted rows.

    Examples
    --------
    >>> proba = np.array([[0.6, 0.4], [0.4, 0.6]])
    >>> above_class_thresholds(proba, np.array([0.7, 0.5])).tolist()
    [False, True]
    """
    return proba.max(axis=1) >= thresholds[proba.argmax(axis=1)]


def align_distribution(proba: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Scale class probabilities so that the classes get the shares that they should have.

    Distribution alignment (Berthelot et al. 2020) against the collapse into a few classes: one
    factor a class, prior over mean prediction, then rows are made to sum to 1.

    Parameters
    ----------
    proba : ndarray of shape (n, K)
        Class probabilities of all unlabelled rows.
    prior : ndarray of shape (K,)
        Share of each class.

    Returns
    -------
    ndarray of shape (n, K)
        Aligned probabilities.

    Examples
    --------
    >>> proba, prior = np.array([[0.8, 0.2], [0.6, 0.4]]), np.array([0.5, 0.5])
    >>> align_distribution(proba, prior).round(2).tolist()
    [[0.63, 0.37], [0.39, 0.61]]
    """
    if not len(proba):
        return proba
    scaled = proba * (prior / np.maximum(proba.mean(axis=0), _TINY))
    return scaled / np.maximum(scaled.sum(axis=1, keepdims=True), _TINY)
