"""Choose the predictions that a sheet explains: right, wrong and unsure ones."""

from __future__ import annotations

import numpy as np

from fewlabel.data import Task
from fewlabel.errors import UsageError

_UNSURE_BELOW = 0.2  # a prediction is unsure where the next one is this close
_DULL = 0.65  # confidence, at most, where no class is predicted: there is little to see


def _choose_examples(
    task: Task, proba: np.ndarray, n: int, y: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Choose ``n`` rows worth an explanation, of many classes; other kinds fill up a rare one."""
    if n < 1:
        raise UsageError(f"At least one example must be chosen. Got {n}.")
    rows = np.arange(len(proba)) if y is None else task.labeled(np.asarray(y))
    if not len(rows):
        raise UsageError("No label is known among the images: leave the labels out.")
    known = np.asarray(proba, dtype=np.float64)[rows]
    predicted, margin, top = (
        task.stratify(task.predict(known)),
        task.margin(known),
        task.confidence(known),
    )
    top = np.where(task.decided(known).any(axis=1), top, np.minimum(top, _DULL))
    far = margin >= _UNSURE_BELOW
    kinds = {"sure": far}
    if y is not None:
        correct = task.correct(np.asarray(y)[rows], known)
        kinds = {"right": far & correct, "wrong": far & ~correct}
    queues = {
        kind: _by_class(np.flatnonzero(those), predicted, -top) for kind, those in kinds.items()
    }
    queues["unsure"] = _by_class(np.flatnonzero(~far), predicted, margin)
    sizes = _shares({kind: len(queue) for kind, queue in queues.items()}, n)
    return {kind: rows[queue[: sizes[kind]]] for kind, queue in queues.items()}


def _by_class(rows: np.ndarray, predicted: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Sort by ``key``, but take the best of each class first, then the second best, and so on."""
    order = rows[np.argsort(key[rows], kind="stable")]
    seen: dict[int, int] = {}
    turns = []
    for label in predicted[order].tolist():
        turns.append(seen.get(label, 0))
        seen[label] = turns[-1] + 1
    # Of one class alone, the sheet would show one mistake many times.
    return order[np.argsort(turns, kind="stable")]


def _shares(available: dict[str, int], n: int) -> dict[str, int]:
    """Deal ``n`` places out in turns to the kinds that still have candidates."""
    sizes = dict.fromkeys(available, 0)
    # One by one, so that the kinds are as even as they can be.
    while sum(sizes.values()) < min(n, sum(available.values())):
        for kind in sizes:
            if sizes[kind] < available[kind] and sum(sizes.values()) < n:
                sizes[kind] += 1
    return sizes


def _class_at_issue(task: Task, proba: np.ndarray, kind: str, y: np.ndarray | None) -> int:
    """Return the class of one prediction to explain: the wrong, the doubtful or the top one."""
    if kind == "wrong" and y is not None:
        present, known = task.evidence(y[None], len(proba))
        wrong = known[0] & (task.decided(proba[None])[0] != (present[0] == 1))
        return int(np.where(wrong, proba, -1).argmax())
    if kind == "unsure":
        # Of two classes that are equally doubtful the more probable one.
        return int((np.abs(proba - 0.5) - 1e-9 * proba).argmin())
    return int(proba.argmax())
