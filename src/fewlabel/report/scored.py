"""Images whose labels are known, and what is predicted for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fewlabel.data import Task
from fewlabel.evaluate import AccuracyEstimate, estimate_accuracy


@dataclass(frozen=True, eq=False)
class _Scored:
    """Images whose labels are known, and what a model predicts for them."""

    task: Task
    y: np.ndarray
    proba: np.ndarray
    # The same number (n,) for images that belong together.
    groups: np.ndarray | None = None

    @property
    def correct(self) -> np.ndarray:
        """Whether every known label of an image is predicted right, (n,) bool."""
        return self.task.correct(self.y, self.proba)

    def _measured(self, chosen: Any = slice(None)) -> AccuracyEstimate:
        """Return the accuracy on the images, or on some of them, as wide as groups make it."""
        groups = None if self.groups is None else self.groups[chosen]
        return estimate_accuracy(self.correct[chosen], is_random_sample=True, groups=groups)

    @property
    def confidence(self) -> np.ndarray:
        """Probability that every known label is predicted right, (n,)."""
        _, known = self.task.evidence(self.y, self.proba.shape[1])
        return self.task.confidence(np.where(known, self.proba, 1.0))
