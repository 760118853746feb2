"""From which score on an image is unlike all that are labeled, at a rate of false alarms."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import beta

from fewlabel.percent import _percent_text

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

    def summary(self, n_unlike: int, n_images: int) -> dict[str, Any]:
        """Return how many unlabeled images exceed it, beside what false alarms would give."""
        rate, low, high = (_percent_text(value, 0) for value in self[2:])
        text = (
            f"{n_unlike:,} of {n_images:,} unlabeled images ({_percent_text(n_unlike / n_images)}) "
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
