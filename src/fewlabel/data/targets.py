"""Labels as the propagation methods take them: codes with -1 for unlabeled."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from fewlabel.errors import UsageError


def encode_labels(y: Any, who: str) -> tuple[np.ndarray, np.ndarray]:
    """Turn labels, in which -1 means unlabeled, into class numbers.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels: numbers or texts; -1 (or ``"-1"`` among texts) is unlabeled.
    who : str
        Name of the estimator, for messages.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        The classes, sorted.
    codes : ndarray of shape (n,), dtype int64
        Position of each label in ``classes``; -1 where unlabeled.

    Raises
    ------
    UsageError
        If no row is labeled.
    ValueError
        If the labels are not classes, such as fractions.

    Examples
    --------
    >>> encode_labels([5, -1, 3], "Example")
    (array([3, 5]), array([ 1, -1,  0]))
    """
    y = np.asarray(y)
    labeled = y.astype(str) != "-1" if y.dtype.kind in "OUS" else y != -1
    if not labeled.any():
        raise UsageError(f"{who} needs at least one labeled row: every label is -1.")
    # Imported late, here and below: listing and labeling images should not wait for scikit-learn.
    from sklearn.utils.multiclass import check_classification_targets

    with warnings.catch_warnings():
        # One label a class is few, and no sign of a regression.
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        check_classification_targets(y[labeled])
    classes, positions = np.unique(y[labeled], return_inverse=True)
    codes = np.full(len(y), -1, dtype=np.int64)
    codes[labeled] = positions
    return classes, codes


def one_hot(codes: np.ndarray, n_classes: int) -> np.ndarray:
    """Make one row a code: 1 in its class's column; all zero where unlabeled.

    Parameters
    ----------
    codes : ndarray of shape (n,)
        Classes, -1 where unlabeled.
    n_classes : int
        Number of columns.

    Returns
    -------
    ndarray of shape (n, n_classes)
        Float32.

    Examples
    --------
    >>> one_hot(np.array([1, -1]), 2).tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """
    rows = np.zeros((len(codes), n_classes), dtype=np.float32)
    labeled = np.flatnonzero(codes >= 0)
    rows[labeled, codes[labeled]] = 1
    return rows


def check_soft_targets(targets: Any, classes: Any, who: str) -> tuple[np.ndarray, np.ndarray]:
    """Refuse targets that are no class probabilities.

    Parameters
    ----------
    targets : array-like of shape (n, K)
        Class probabilities.
    classes : array-like of shape (K,), optional
        Class of each column; by default their numbers.
    who : str
        Name of the estimator, for messages.

    Returns
    -------
    targets : ndarray of shape (n, K)
        Float32.
    classes : ndarray of shape (K,)
        Class of each column.

    Raises
    ------
    UsageError
        If the shapes do not agree, or the targets do not lie between 0 and 1.

    Examples
    --------
    >>> check_soft_targets([[0.25, 0.75]], ["cat", "dog"], "Example")[0].tolist()
    [[0.25, 0.75]]
    """
    soft = np.asarray(targets, dtype=np.float32)
    names = np.arange(soft.shape[-1]) if classes is None else np.asarray(classes)
    if soft.ndim != 2 or not len(soft) or names.shape != soft.shape[1:]:
        raise UsageError(
            f"{who} needs targets of shape (n, K) and a class for each of the K columns. "
            f"Got {soft.shape} and {len(names)} classes instead."
        )
    # Comparisons with NaN are false.
    if not ((soft >= 0) & (soft <= 1 + 1e-3)).all():
        raise UsageError(
            f"The targets of {who} must be probabilities, from 0 to 1: one of them is not."
        )
    return soft, names


def _column(y: Any, n: int, who: str) -> np.ndarray:
    """Return one label an image, (n,), of whatever an estimator was given."""
    if y is None:
        raise UsageError(f"{who} requires y to be passed, but the target y is None.")
    from sklearn.utils import assert_all_finite
    from sklearn.utils.validation import column_or_1d

    labels = column_or_1d(y, warn=True)
    assert_all_finite(labels, input_name="y")
    if len(labels) != n:
        raise UsageError(
            f"{who} needs one label an image. Got {len(labels)} labels for {n} images instead."
        )
    return np.asarray(labels)
