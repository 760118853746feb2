"""Choose the predictions that a sheet explains: right, wrong and unsure ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fewlabel.errors import UsageError

UNSURE_BELOW = 0.2
"""A prediction counts as unsure where the two most probable classes are this close."""


def choose_examples(
    proba: NDArray[np.floating], n: int, y: NDArray[np.integer] | None = None
) -> dict[str, NDArray[np.int64]]:
    """Choose predictions that are worth an explanation, of as many classes as possible.

    Where true classes are known: the surest right ones, the surest mistakes, and those where two
    classes are closest. Without them: sure and unsure ones. Where a group has too few, the
    others take its places.

    Parameters
    ----------
    proba : ndarray of shape (m, K)
        Class probabilities.
    n : int
        How many to choose.
    y : ndarray of shape (m,), optional
        True classes, -1 where unknown; images without one are then left out.

    Returns
    -------
    dict of str to ndarray
        Rows of ``proba``: ``"right"``, ``"wrong"`` and ``"unsure"``, or ``"sure"`` and
        ``"unsure"``. No row comes twice; together they are ``n``, or all that there are.

    Raises
    ------
    UsageError
        If ``n`` is below 1, or no true class is known in ``y``.

    Examples
    --------
    >>> proba = np.array([[0.9, 0.1], [0.2, 0.8], [0.45, 0.55], [0.7, 0.3]])
    >>> chosen = choose_examples(proba, 3, np.array([0, 0, 1, 0]))
    >>> {kind: rows.tolist() for kind, rows in chosen.items()}
    {'right': [0], 'wrong': [1], 'unsure': [2]}
    """
    if n < 1:
        raise UsageError(f"At least one example must be chosen. Got {n}.")
    rows = np.arange(len(proba)) if y is None else np.flatnonzero(np.asarray(y) >= 0)
    if not len(rows):
        raise UsageError("No true class is known among the images: leave the labels out.")
    known = np.asarray(proba, dtype=np.float64)[rows]
    predicted, top = known.argmax(axis=1), known.max(axis=1)
    second = np.sort(known, axis=1)[:, -2] if known.shape[1] > 1 else np.zeros(len(known))
    margin = top - second
    close = np.flatnonzero(margin < UNSURE_BELOW)
    far = np.flatnonzero(margin >= UNSURE_BELOW)
    queues = {"sure": _by_class(far, predicted, -top)}
    if y is not None:
        correct = predicted == np.asarray(y)[rows]
        queues = {
            "right": _by_class(far[correct[far]], predicted, -top),
            "wrong": _by_class(far[~correct[far]], predicted, -top),
        }
    queues["unsure"] = _by_class(close, predicted, margin)
    sizes = _shares({kind: len(queue) for kind, queue in queues.items()}, n)
    return {kind: rows[queue[: sizes[kind]]] for kind, queue in queues.items()}


def _by_class(
    rows: NDArray[np.int64], predicted: NDArray[np.int64], key: NDArray[np.floating]
) -> NDArray[np.int64]:
    """Sort by ``key``, but take the best of each class first, then the second best, and so on."""
    order = rows[np.argsort(key[rows], kind="stable")]
    seen: dict[int, int] = {}
    turns = []
    for label in predicted[order].tolist():
        turns.append(seen.get(label, 0))
        seen[label] = turns[-1] + 1
    return order[np.argsort(turns, kind="stable")]


def _shares(available: dict[str, int], n: int) -> dict[str, int]:
    """Deal ``n`` places out in turns to the kinds that still have candidates."""
    sizes = dict.fromkeys(available, 0)
    while sum(sizes.values()) < min(n, sum(available.values())):
        for kind in sizes:
            if sizes[kind] < available[kind] and sum(sizes.values()) < n:
                sizes[kind] += 1
    return sizes
