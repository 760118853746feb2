"""The checks on labels and probabilities that every measure starts with."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from fewlabel.data.missing import _known_labels
from fewlabel.errors import UsageError

# How far a row of probabilities may be from 1 in sum; float16 rows of many classes are.
ROW_SUM_TOLERANCE = 1e-3


def _check_codes(y: Any, name: str, n_classes: int | None = None) -> np.ndarray:
    """Return class numbers (n,) from 0 on, and below K, as int64; raise if they are none."""
    array = np.asarray(y)
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "iu":
        raise UsageError(
            f"The '{name}' parameter must be a one-dimensional array of whole numbers, at least "
            f"one. Got an array of shape {array.shape} and type {array.dtype} instead."
        )
    if array.min() < 0:
        raise UsageError(
            f"The '{name}' parameter must hold no negative class. Got {array.min()} instead: "
            "leave out the unlabeled images first (y >= 0)."
        )
    if n_classes is not None and array.max() >= n_classes:
        raise UsageError(
            f"The '{name}' parameter must hold classes from 0 to {n_classes - 1}. "
            f"Got {array.max()} instead: give all classes in n_classes or in the probabilities."
        )
    return array.astype(np.int64, copy=False)


def _check_proba(proba: Any) -> np.ndarray:
    """Return class probabilities (n, K) as float64 rows that sum to 1; raise if they are none."""
    array = np.array(proba, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] < 2:
        raise UsageError(
            "The 'proba' parameter must have the shape (images, classes) with two classes or "
            f"more. Got {array.shape} instead."
        )
    sums = array.sum(axis=1)
    # Written so that NaN fails it.
    sound = (np.abs(sums - 1) <= ROW_SUM_TOLERANCE) & (array >= 0).all(axis=1)
    if not sound.all():
        row = int(np.flatnonzero(~sound)[0])
        raise UsageError(
            "The 'proba' parameter must hold probabilities: finite, not negative, each row "
            f"summing to 1. Row {row} has the least value {array[row].min():.4g} and the sum "
            f"{sums[row]:.4g}."
        )
    # What rounding left, so that log losses of models compare.
    array /= sums[:, None]
    return array


def _check_correct(correct: Any) -> np.ndarray:
    """Return which predictions (n,) are right as float64; raise if one is neither."""
    array = np.asarray(correct)
    if array.ndim != 1 or array.size == 0 or not np.isin(array, (0, 1)).all():
        raise UsageError(
            "The 'correct' parameter must be a one-dimensional array of True and False, at "
            f"least one. Got an array of shape {array.shape} and type {array.dtype} instead."
        )
    return array.astype(np.float64)


def _check_same_length(**arrays: np.ndarray) -> None:
    """Raise if arrays, by the names to call them, do not describe the same images."""
    lengths = [len(array) for array in arrays.values()]
    if len(set(lengths)) > 1:
        names = " and ".join(f"'{name}'" for name in arrays)
        raise UsageError(
            f"{names} must describe the same images, one entry each. "
            f"Got {' and '.join(map(str, lengths))} instead."
        )


def _check_table(y: Any, n: int, who: str) -> np.ndarray:
    """Return a table (n, K) of labels as int8; raise if it is none."""
    if y is None:
        raise UsageError(f"{who} requires y to be passed, but the target y is None.")
    values, known = _known_labels(y)
    if known.ndim != 2 or not known.shape[1] or len(known) != n:
        raise UsageError(
            f"{who} needs a table of labels of shape ({n}, K): one row an image, one column a "
            f"label. Got {known.shape} instead."
        )
    if values.dtype.kind not in "biuf" or not np.isin(values, (0, 1)).all():
        found = next((v for v in values.tolist() if v not in (0, 1)), None)
        raise UsageError(
            f"The labels of {who} must be 1 (present), 0 (absent) or -1 (unknown). "
            f"Got {found!r} instead."
        )
    table = np.full(known.shape, -1, dtype=np.int8)
    table[known] = values
    return table


def _unlearnable_labels(table: np.ndarray, names: Sequence[Any]) -> list[str]:
    """Return sentences that name the labels of which nothing can be learned."""
    unknown = (table < 0).all(axis=0)
    absent = ~unknown & ~(table == 1).any(axis=0)
    found = []
    for which, one, several in (
        (
            absent,
            "No image has the label {} (always 0).",
            "No image has any of the labels {} (always 0).",
        ),
        (
            unknown,
            "The label {} is never known (always -1).",
            "The labels {} are never known (always -1).",
        ),
    ):
        columns = np.flatnonzero(which)
        if len(columns):
            listed = ", ".join(str(names[j]) for j in columns[:8])
            more = ", …" if len(columns) > 8 else ""
            found.append((one if len(columns) == 1 else several).format(listed + more))
    return found


def _warn_of_unlearnable(sentences: Sequence[str], who: str, stacklevel: int = 3) -> None:
    """Warn of labels, by sentences from `_unlearnable_labels`, that nothing can be learned of."""
    for text in sentences:
        warnings.warn(
            f"{text} {who} cannot learn it: leave the column out, or label images that have it.",
            UserWarning,
            stacklevel=stacklevel,
        )
