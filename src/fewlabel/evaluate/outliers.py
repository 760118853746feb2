"""What is worth a look: images unlike any labeled, and labels that models contradict."""

import math
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import beta

from fewlabel.data.task import Task
from fewlabel.texts import _percent_text

SUSPICIOUS_BELOW = 0.05
"""A label that is less probable than this without itself is worth a look."""

ALARM_RATE = 0.05
"""Fraction of the images of labeled classes that may be listed as unlike all of them."""

MIN_LABELS = math.ceil(1 / ALARM_RATE) - 1
"""With fewer tested labels there is no threshold of that rate."""


class _Alarms(NamedTuple):
    """A threshold, the number of labels it rests on, and how often known classes exceed it."""

    threshold: float
    n_labels: int
    rate: float
    low: float
    high: float

    def summary(
        self, n_unlike: int, n_images: int, what: str = "unlabeled images"
    ) -> dict[str, Any]:
        """Return how many images exceed it, beside what false alarms would give."""
        rate, low, high = (_percent_text(value, 0) for value in self[2:])
        text = (
            f"{n_unlike:,} of {n_images:,} {what} ({_percent_text(n_unlike / n_images)}) "
            f"are unlike anything labeled. If all were of labeled classes, about {rate} would be "
            f"({low} to {high}, from {self.n_labels:,} labels)"
        )
        least = math.ceil(n_unlike - self.high * n_images)
        if least > 0:
            text += f": at least {least:,} show something else"
        elif n_unlike:
            text += ": all may be false alarms, which a look at the first of them tells"
        text += "."
        return {"n_images": n_unlike, "in_words": text} | self._asdict()


def _alarm_threshold(scores: np.ndarray) -> _Alarms:
    """Return the conformal threshold (Bates et al., Ann. Statist. 2023) of at least 19 scores."""
    n = len(scores)
    # 0.05 * 20 is a little more than 1, or less.
    k = math.floor(round(ALARM_RATE * (n + 1), 9))
    low, high = (float(end) for end in beta.ppf([0.025, 0.975], k, n + 1 - k))
    return _Alarms(float(np.sort(scores)[n - k]), n, k / (n + 1), low, high)


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
