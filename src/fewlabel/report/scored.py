"""Images whose labels are known, and how well each class of them is predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fewlabel.data import Task
from fewlabel.evaluate import average_precisions, label_calibration_errors


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
    present, known = scored.task.evidence(scored.y, len(classes))
    there, found = (present == 1) & known, scored.task.decided(scored.proba) & known
    table = np.where(known, present, -1).astype(np.int64)
    precisions = errors = np.full(len(classes), np.nan)
    if known.any():
        precisions = average_precisions(table, scored.proba)
        errors = label_calibration_errors(table, scored.proba)
    counts = [a.sum(axis=0).tolist() for a in (known, there, found, there & found)]
    columns = zip(classes, *counts, strict=True)
    return [
        {
            "name": name,
            "known": n_known,
            "present": n_there,
            "predicted": n_found,
            "right": n_right,
            "precision": _ratio(n_right, n_found),
            "recall": _ratio(n_right, n_there),
            "f1": _ratio(2 * n_right, n_found + n_there),
            "average_precision": _known(precisions[k]),
            "calibration_error": _known(errors[k]),
        }
        for k, (name, n_known, n_there, n_found, n_right) in enumerate(columns)
    ]


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
