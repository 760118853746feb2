"""Labels that may be wrong: improbable to models that have not seen them."""

from __future__ import annotations

import numpy as np

from fewlabel.data.task import Task

SUSPICIOUS_BELOW = 0.05
"""A label that is less probable than this without itself is worth a look."""


def _rank_labels(task: Task, y: np.ndarray, proba: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which labels (d,) to check first, by position, and how probable each (m,) is."""
    probability = _label_probability(task, y, proba)
    order = np.argsort(probability, kind="stable")
    return order[~task.correct(y, proba)[order]], probability


def _label_probability(task: Task, y: np.ndarray, proba: np.ndarray) -> np.ndarray:
    """Return each image's least self-confidence (m,) (Northcutt, Jiang and Chuang, JAIR 2021)."""
    present, known = task.evidence(y, proba.shape[1])
    # Where classes exclude each other, none is more improbably absent than another is present.
    return np.asarray(np.where(known, np.where(present == 1, proba, 1 - proba), 1.0).min(axis=1))
