"""Labels as the propagation methods take them: codes with -1 for unlabeled."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from fewlabel.data.label_names import _warn_of_look_alikes
from fewlabel.data.missing import (
    _as_array,
    _is_unlabeled_text,
    _known_labels,
    _unlabeled_words,
    _warn_of_labels,
    _warn_of_one_class,
    _warn_of_plain_scorers,
)
from fewlabel.errors import UsageError


def encode_labels(y: Any, who: str) -> tuple[np.ndarray, np.ndarray]:
    """Turn labels, some of which are missing, into class numbers.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels: numbers or texts. Unlabeled are -1, None, NaN, pandas.NA, blank texts, ``"-1"``,
        and what programs write for them, such as ``"nan"``.
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
        If no row is labeled, or some labels are texts and others numbers.
    ValueError
        If the labels are not classes, such as fractions.

    Warns
    -----
    UserWarning
        Of texts such as ``"nan"`` and ``"NA"``, of classes that look alike, and where -1 leaves
        a single class.

    Examples
    --------
    >>> encode_labels([5, -1, 3, None], "Example")
    (array([3, 5]), array([ 1, -1,  0, -1]))
    """
    # Imported late, here and below: listing and labeling images should not wait for scikit-learn.
    from sklearn.utils import assert_all_finite
    from sklearn.utils.multiclass import check_classification_targets

    values, known = _known_labels(y)
    if values.dtype == object:
        kinds = ", ".join(sorted({type(value).__name__ for value in values.tolist()}))
        raise UsageError(
            f"The labels of {who} must be all numbers or all texts, and -1 or None where "
            f"unlabeled. Got {kinds} instead: write each as a text."
        )
    assert_all_finite(values, input_name="y")
    with warnings.catch_warnings():
        # One label a class is few, and no sign of a regression.
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        check_classification_targets(values)
    classes, positions = np.unique(values, return_inverse=True)
    codes = np.full(len(known), -1, dtype=np.int64)
    codes[known] = positions
    if values.dtype.kind == "U":
        classes, codes = _without_words(classes, codes, who)
    if not len(classes):
        raise UsageError(f"{who} needs at least one labeled row: every label is -1 or blank.")
    _warn_of_one_class(y, values, known, who)
    if not known.all():
        _warn_of_plain_scorers()
    return classes, codes


def _without_words(
    classes: np.ndarray, codes: np.ndarray, who: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return classes and codes without texts that mean unlabeled; warn of those that look odd."""
    n = np.bincount(codes[codes >= 0], minlength=len(classes)).tolist()
    counts = dict(zip(classes.tolist(), n, strict=True))
    words = _unlabeled_words(counts, f"The y of {who}")
    kept = np.array([name not in words for name in counts], dtype=bool)
    _warn_of_look_alikes({n: counts[n] for n in counts if n not in words}, f"The y of {who}")
    # A last place, which -1 finds, for the unlabeled.
    return classes[kept], np.append(np.where(kept, np.cumsum(kept) - 1, -1), -1)[codes]


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
    """Return one label a row, (n,), of whatever an estimator was given."""
    if y is None:
        raise UsageError(f"{who} requires y to be passed, but the target y is None.")
    from sklearn.utils.validation import column_or_1d

    labels = np.asarray(column_or_1d(_as_array(y), warn=True))
    if len(labels) != n:
        raise UsageError(
            f"{who} needs one label an image. Got {len(labels)} labels for {n} images instead."
        )
    return labels


def _recode(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the codes of labels, -1 where unlabeled, and K for what is none of the classes."""
    position = {label: code for code, label in enumerate(classes.tolist())}
    values, known = _known_labels(y)
    other = len(classes)
    codes = np.full(len(known), -1, dtype=np.int64)
    codes[known] = [
        position.get(v, -1 if isinstance(v, str) and _is_unlabeled_text(v) else other)
        for v in values.tolist()
    ]
    if len(values) and (codes[known] == other).all():
        _warn_of_labels(
            f"None of the labels, such as {values.tolist()[0]!r}, is one of the classes, such as "
            f"{classes.tolist()[0]!r}: texts and numbers, and capitals, are different labels."
        )
    return codes
