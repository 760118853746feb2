"""Labels that come with an array of images, as texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fewlabel.data.label_texts import _barred_texts, _check_label_names, _label_texts
from fewlabel.data.missing import _known_labels, _warn_of_labels, _warn_of_one_class
from fewlabel.errors import DataError


def _truth_of(
    y: Any, classes: Sequence[str] | None, n: int, source: str
) -> tuple[list[str], list[str] | None]:
    """Return the labels of n images as texts, and the names of a table's columns."""
    values, known = _known_labels(y)
    names = None if classes is None else [_name(c) for c in classes]
    is_column = known.ndim == 2 and known.shape[1] == 1
    # One column is one label an image, unless it has a name of its own.
    if is_column and not (names is not None and len(names) == 1):
        known = known[:, 0]
    if known.ndim == 2:
        columns = [str(i) for i in range(known.shape[1])] if names is None else names
        cells = _several_texts(values, known, columns, n, source)
        if names is None:
            _warn_of_one_hot(np.asarray(y), source)
        return cells, columns
    if known.shape != (n,):
        raise DataError(f"The y of {source} must have shape ({n},). Got {known.shape}.")
    texts = np.full(n, "", dtype=object)
    texts[known] = found = _texts(values, source)
    if set(found) == {"1"}:
        _warn_of_one_class(y, values, known, source)
    return texts.tolist(), None


def _warn_of_one_hot(y: np.ndarray, source: str) -> None:
    """Warn of a table that looks like one class an image, and has no names that say otherwise."""
    if y.shape[1] > 1 and np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all():
        _warn_of_labels(
            f"The y of {source} is read as several labels an image, and each image has exactly "
            "one: if it is one-hot, give y.argmax(axis=1) instead."
        )


def _texts(values: np.ndarray, source: str) -> list[str]:
    # pandas makes floats of whole numbers where one is missing.
    if values.dtype.kind == "f":
        bad = values[~np.isfinite(values) | (values != np.rint(values))]
        if len(bad):
            raise DataError(
                f"The y of {source} must hold classes. Got fractions such as {bad[0]:g} instead."
            )
        values = values.astype(np.int64)
    listed = next((v for v in values.tolist() if isinstance(v, list | tuple | dict | set)), None)
    if listed is not None:
        raise DataError(
            f"The y of {source} must hold one label an image, or be a table of 1, 0 and -1. "
            f"Got {str(listed)[:80]} instead."
        )
    return [str(value).strip() for value in values.tolist()]


def _name(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _several_texts(
    values: np.ndarray, known: np.ndarray, names: Sequence[str], n: int, source: str
) -> list[str]:
    _check_label_names(names, source)
    numbers = values.dtype.kind in "buif" and np.isin(values, (0, 1)).all()
    if known.shape != (n, len(names)) or not numbers:
        raise DataError(
            f"The y of {source} must have shape ({n},), or ({n}, K) with 1, 0 and -1 and a name in "
            f"classes for each of the K labels. Got {known.shape} of {values.dtype} and "
            f"{len(names)} names."
        )
    table = np.full(known.shape, -1, dtype=np.int8)
    table[known] = values
    return _barred_texts(_label_texts(table, names))
