"""How accurate a model is on all the images, from few labels and with an interval."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fewlabel.data.checks import _check_correct
from fewlabel.evaluate.metrics import wilson_interval
from fewlabel.params import integer, number
from fewlabel.persist.schema import _FLAG, _TEXT, _Fields

NOT_RANDOM = (
    "None of the labeled images is known to be drawn at random, so this rests on how confident the "
    "model is, and may be off in either direction; labels drawn at random would tell."
)


# Of few groups, none may disagree by chance.
_LEAST_AGREEMENT = 0.1
_FRACTION = number(0, 1, closed="both")

_ESTIMATE_FIELDS: _Fields = {
    "value": [_FRACTION, None],
    "low": [_FRACTION],
    "high": [_FRACTION],
    "n": [integer(0)],
    "n_unseen": [integer(0)],
    "level": [_FRACTION],
    "method": [_TEXT],
    "is_random_sample": [_FLAG],
    "note": [_TEXT],
}
"""What the fields of a saved `AccuracyEstimate` may be."""


@dataclass(frozen=True)
class AccuracyEstimate:
    """An accuracy (or exact match) with its interval, and how far to trust it.

    Attributes
    ----------
    value : float
        Estimated accuracy, from 0 to 1; NaN where no label could be tested.
    low, high : float
        Ends of the interval.
    n : int
        Number of labels it rests on: of those drawn at random, where there are any.
    n_unseen : int
        Labels that no model could be tested on, since no other image has their class.
    level : float
        Confidence level of the interval.
    method : str
        How the interval is computed: ``"wilson"``, from the labels alone, or ``"posterior"``,
        from the confidence in all unlabeled images as well (`pool_accuracy`).
    is_random_sample : bool
        Whether these labels are a random sample of the images.
    note : str
        What a reader must know; empty if nothing.
    """

    value: float
    low: float
    high: float
    n: int
    n_unseen: int
    level: float
    method: str
    is_random_sample: bool
    note: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON types.

        Returns
        -------
        dict
            The fields by name; ``value`` is None where it is NaN.
        """
        return asdict(self) | {"value": None if math.isnan(self.value) else self.value}


def estimate_accuracy(
    correct: Any, *, is_random_sample: bool = False, groups: Any = None, level: float = 0.95
) -> AccuracyEstimate:
    """Estimate accuracy from predictions of labeled images alone, by Wilson's interval.

    Parameters
    ----------
    correct : array-like of shape (m,), bool
        Whether each prediction is right, see `fewlabel.data.task.Task.correct`.
    is_random_sample : bool
        Whether the labeled images were drawn at random from all images.
    groups : array-like of shape (m,), optional
        The same number for images that belong together.
    level : float
        Confidence level of the interval.

    Returns
    -------
    AccuracyEstimate
        Value, interval, and a note on what it rests on.

    Raises
    ------
    UsageError
        If ``correct`` is empty or the level is out of range.

    Examples
    --------
    >>> estimate = estimate_accuracy([True] * 45 + [False] * 5, is_random_sample=True)
    >>> estimate.value, round(estimate.low, 3), round(estimate.high, 3)
    (0.9, 0.786, 0.957)
    """
    right = _check_correct(correct)
    n = len(right) / _design_effect(right, right.mean(), groups)
    low, high = wilson_interval(float(right.mean()) * n, n, level)
    return AccuracyEstimate(
        value=float(right.mean()),
        low=low,
        high=high,
        n=len(right),
        n_unseen=0,
        level=level,
        method="wilson",
        is_random_sample=is_random_sample,
        note=_note_of(0, is_random_sample),
    )


def _design_effect(correct: Any, confidence: Any, groups: Any) -> float:
    """Return how many labels that belong together say as much as one by itself (Kish 1965)."""
    error = np.asarray(correct, np.float64) - confidence
    of = np.unique(np.arange(len(error)) if groups is None else groups, return_inverse=True)[1]
    size = np.bincount(of)
    if len(size) == len(error):
        return 1.0
    error -= error.mean()
    between = (np.bincount(of, error) ** 2).sum() * len(size) / max(len(size) - 1, 1)
    least = 1 + _LEAST_AGREEMENT * ((size**2).sum() / len(error) - 1)
    return float(max(between / max((error**2).sum(), 1e-9), least))


def _note_of(n_unseen: int, is_random_sample: bool) -> str:
    """Return what a reader of an estimate must know; empty if nothing."""
    parts = [] if is_random_sample else [NOT_RANDOM]
    if n_unseen:
        parts.append(
            f"{n_unseen} labeled {'image has' if n_unseen == 1 else 'images have'} no other "
            "label of the same class: predicted without it, they count as wrong. A second label "
            "for each such class narrows the interval."
        )
    return " ".join(parts)
