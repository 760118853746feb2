"""Images whose labels are known, and how well each class of them is predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fewlabel.data import Task
from fewlabel.evaluate import per_class


@dataclass(frozen=True, eq=False)
class Scored:
    """Images whose labels are known, and what a model predicts for them.

    Attributes
    ----------
    task : Task
        One label an image or several.
    y : ndarray of shape (n,) or (n, K)
        Their labels.
    proba : ndarray of shape (n, K)
        Probabilities.
    """

    task: Task
    y: np.ndarray
    proba: np.ndarray

    @property
    def correct(self) -> np.ndarray:
        """Whether every known label of an image is predicted right, (n,) bool."""
        return self.task.correct(self.y, self.proba)

    @property
    def confidence(self) -> np.ndarray:
        """Probability that every known label is predicted right, (n,)."""
        _, known = self.task.evidence(self.y, self.proba.shape[1])
        return self.task.confidence(np.where(known, self.proba, 1.0))


def class_rows(scored: Scored, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return measures of each class by itself.

    Parameters
    ----------
    scored : Scored
        Images whose labels are known.
    classes : sequence of str
        Names of the K classes.

    Returns
    -------
    list of dict
        ``name``, the numbers of images ``known, present, predicted, right``, and ``precision,
        recall, f1, average_precision, calibration_error``; None where there is nothing to measure
        on.

    Examples
    --------
    >>> from fewlabel.data import MultiLabel
    >>> scored = Scored(MultiLabel(), np.array([[1], [0]]), np.array([[0.9], [0.8]]))
    >>> row = class_rows(scored, ["cat"])[0]
    >>> row["recall"], row["precision"]
    (1.0, 0.5)
    """
    return [
        row | {"name": row["class"], "present": row["support"]}
        for row in per_class(scored.task, scored.y, scored.proba, classes)
    ]
