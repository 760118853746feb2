"""Tables of 1 (present), 0 (absent) and -1 (not known): one column a label."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from fewlabel.errors import UsageError

Structure = Sequence[tuple[int, int]]
"""Groups ``(start, stop)`` of columns of which every image has exactly one."""


def check_label_table(Y: Any, n: int, who: str) -> np.ndarray:
    """Check a table of labels.

    Parameters
    ----------
    Y : array-like of shape (n, L)
        1 present, 0 absent, -1 not known.
    n : int
        Number of rows or images.
    who : str
        Name of the estimator, for messages.

    Returns
    -------
    ndarray of shape (n, L), int8
        The table.

    Raises
    ------
    UsageError
        If its shape is another, or it holds anything else; the message names the entry.

    Examples
    --------
    >>> check_label_table([[1, 0], [-1, 1]], 2, "Example").tolist()
    [[1, 0], [-1, 1]]
    """
    if Y is None:
        raise UsageError(f"{who} requires y to be passed, but the target y is None.")
    table = np.asarray(Y)
    if table.ndim != 2 or not table.shape[1] or len(table) != n:
        raise UsageError(
            f"{who} needs a table of labels of shape ({n}, L): one row an image, one column a "
            f"label. Got {table.shape} instead."
        )
    if table.dtype.kind not in "biuf" or not np.isin(table, (-1, 0, 1)).all():
        found = next((v for v in table.ravel().tolist() if v not in (-1, 0, 1)), None)
        raise UsageError(
            f"The labels of {who} must be 1 (present), 0 (absent) or -1 (not known). "
            f"Got {found!r} instead."
        )
    return table.astype(np.int8)


def useless_columns(table: np.ndarray, names: Sequence[Any]) -> list[str]:
    """Say which labels nothing can be learnt of.

    Parameters
    ----------
    table : ndarray of shape (n, L)
        1, 0 and -1.
    names : sequence of length L
        Name of each label.

    Returns
    -------
    list of str
        A sentence for each kind that there is, with the names.

    Examples
    --------
    >>> useless_columns(np.array([[1, 0, -1], [0, 0, -1]]), ["a", "b", "c"])
    ['No image has the label b (always 0).', 'The label c is never known (always -1).']
    """
    unknown = (table < 0).all(axis=0)
    absent = ~unknown & ~(table == 1).any(axis=0)
    found = []
    for which, text, why in (
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
        numbers = np.flatnonzero(which)
        if len(numbers):
            listed = ", ".join(str(names[j]) for j in numbers[:8])
            more = ", …" if len(numbers) > 8 else ""
            found.append((text if len(numbers) == 1 else why).format(listed + more))
    return found


def warn_of_useless_columns(
    table: np.ndarray, names: Sequence[Any], who: str, stacklevel: int = 3
) -> list[str]:
    """Warn of labels that nothing can be learnt of.

    Parameters
    ----------
    table : ndarray of shape (n, L)
        1, 0 and -1.
    names : sequence of length L
        Name of each label.
    who : str
        Name of the estimator.
    stacklevel : int
        Whose line the warning names.

    Returns
    -------
    list of str
        What was said.

    Examples
    --------
    >>> warn_of_useless_columns(np.array([[1, 0], [0, 1]]), ["a", "b"], "Example")
    []
    """
    found = useless_columns(table, names)
    for text in found:
        warnings.warn(
            f"{text} {who} cannot learn it: leave the column out, or label images that have it.",
            UserWarning,
            stacklevel=stacklevel,
        )
    return found


def check_structure(structure: Structure | None, n_labels: int, who: str) -> list[tuple[int, int]]:
    """Check groups of labels of which every image has exactly one.

    Parameters
    ----------
    structure : sequence of (start, stop) or None
        Groups of columns; None is none.
    n_labels : int
        Number of columns.
    who : str
        Name of the estimator, for messages.

    Returns
    -------
    list of (int, int)
        The groups.

    Raises
    ------
    UsageError
        If a group is outside the table, has fewer than two columns, or overlaps another.

    Examples
    --------
    >>> check_structure(((0, 10), (10, 36)), 36, "Example")
    [(0, 10), (10, 36)]
    """
    if structure is None:
        return []
    try:
        groups = sorted((int(start), int(stop)) for start, stop in structure)
    except (TypeError, ValueError):
        groups = [(-1, -1)]
    ends = [0, *[stop for _, stop in groups]]
    apart = all(start >= end for (start, _), end in zip(groups, ends, strict=False))
    if not apart or any(stop - start < 2 for start, stop in groups) or ends[-1] > n_labels:
        raise UsageError(
            f"The 'structure' parameter of {who} must hold pairs (start, stop) of columns from 0 "
            f"to {n_labels}, each of two labels or more, that do not overlap. "
            f"Got {structure!r} instead."
        )
    return groups


def check_fits_structure(table: np.ndarray, structure: Structure | None, who: str) -> None:
    """Refuse labels that say other than exactly one of a group.

    Parameters
    ----------
    table : ndarray of shape (n, L)
        1, 0 and -1.
    structure : sequence of (start, stop) or None
        Groups of columns.
    who : str
        Name of the estimator, for messages.

    Raises
    ------
    UsageError
        If a row has two labels of a group, or is known to have none; the message names it.

    Examples
    --------
    >>> check_fits_structure(np.array([[1, 0], [-1, 0]]), ((0, 2),), "Example")
    """
    for start, stop in structure or ():
        part = table[:, start:stop]
        present = (part == 1).sum(axis=1)
        wrong = np.flatnonzero((present > 1) | (part == 0).all(axis=1))
        if len(wrong):
            raise UsageError(
                f"{who} was told that every image has exactly one of the labels {start} to "
                f"{stop - 1}, but row {wrong[0]} has {present[wrong[0]]} ({len(wrong):,} such "
                "rows): correct the labels, or set structure=None."
            )


def exact_match_score(table: np.ndarray, predicted: np.ndarray, sample_weight: Any = None) -> float:
    """Give the share of the rows of which every known label is predicted right.

    Parameters
    ----------
    table : ndarray of shape (n, L)
        1, 0 and -1. Rows of which nothing is known are left out.
    predicted : ndarray of shape (n, L)
        1 and 0.
    sample_weight : array-like of shape (n,), optional
        Weight of each row.

    Returns
    -------
    float
        From 0 to 1; NaN where nothing is known.

    Examples
    --------
    >>> table = np.array([[1, 0], [-1, -1], [0, -1]])
    >>> exact_match_score(table, np.array([[1, 0], [1, 1], [1, 1]]))
    0.5
    """
    known = (table >= 0).any(axis=1)
    right = ((predicted == table) | (table < 0)).all(axis=1)
    if not known.any():
        return float("nan")
    weights = None if sample_weight is None else np.asarray(sample_weight)[known]
    return float(np.average(right[known], weights=weights))


def most_likely_labels(proba: np.ndarray, structure: Structure | None = None) -> np.ndarray:
    """Decide which labels are present.

    Parameters
    ----------
    proba : ndarray of shape (n, L)
        Probability of each label.
    structure : sequence of (start, stop), optional
        Groups of columns of which the likeliest one is taken.

    Returns
    -------
    ndarray of shape (n, L), int64
        1 present, 0 absent.

    Examples
    --------
    >>> most_likely_labels(np.array([[0.4, 0.3, 0.3, 0.2]]), ((0, 3),)).tolist()
    [[1, 0, 0, 0]]
    """
    present = (proba >= 0.5).astype(np.int64)
    for start, stop in structure or ():
        present[:, start:stop] = 0
        best = start + proba[:, start:stop].argmax(axis=1)
        present[np.arange(len(proba)), best] = 1
    return present
