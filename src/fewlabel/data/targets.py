"""Labels as the propagation methods take them: codes with -1 for unlabeled."""

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


def _encode_labels(y: Any, who: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes, sorted, and labels (n,) as codes, int64, -1 where unlabeled."""
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


def _one_hot(codes: np.ndarray, n_classes: int) -> np.ndarray:
    """Return one float32 row a code: 1 in the column of its class; all zero where unlabeled."""
    rows = np.zeros((len(codes), n_classes), dtype=np.float32)
    labeled = np.flatnonzero(codes >= 0)
    rows[labeled, codes[labeled]] = 1
    return rows


def _check_soft_targets(targets: Any, classes: Any, who: str) -> tuple[np.ndarray, np.ndarray]:
    """Return targets (n, K), float32, and the classes; raise if they are no probabilities."""
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
