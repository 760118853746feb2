"""How accurate a model is on all the images, from few labels and with an interval."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fewlabel.data.checks import check_correct, check_same_length
from fewlabel.evaluate.metrics import wilson_interval
from fewlabel.params import integer, number
from fewlabel.persist.schema import _FLAG, _TEXT, _Fields

NOT_RANDOM = (
    "The labeled images were chosen to represent the others and are not a random sample, so "
    "this estimate may be off in either direction; a random audit gives an unbiased one."
)


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
        Number of labels it rests on, without those in ``n_unseen``.
    n_unseen : int
        Labels that no model could be tested on; the interval covers both outcomes for them.
    level : float
        Confidence level of the interval.
    method : str
        How the interval is computed: ``"wilson"``.
    is_random_sample : bool
        Whether the labels are a random sample of the images.
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
    correct: Any,
    *,
    unseen: Any = None,
    is_random_sample: bool = False,
    level: float = 0.95,
) -> AccuracyEstimate:
    """Estimate accuracy from out-of-fold predictions, or from a random audit.

    Labels marked ``unseen`` are left out of the value. The low end of Wilson's interval counts
    them as wrong and the high end as right, so the interval holds whatever they are.

    The final model sees all labels and the out-of-fold ones a part, so the estimate is rather
    low than high. Out-of-fold predictions share training labels, so the interval is a little
    narrow. An audit has neither flaw, if its labels have not fitted, calibrated or chosen
    the model.

    Parameters
    ----------
    correct : array-like of shape (m,), bool
        Whether each prediction is right, see `fewlabel.data.task.Task.correct`.
    unseen : array-like of shape (m,), bool, optional
        Labels that could not be predicted (``LabelFolds.unseen``).
    is_random_sample : bool
        Whether the labeled images were drawn at random from all images.
    level : float
        Confidence level of the interval.

    Returns
    -------
    AccuracyEstimate
        Value, interval, and a note on what it rests on.

    Raises
    ------
    UsageError
        If the arrays do not fit together, or the level is out of range.

    Examples
    --------
    >>> estimate = estimate_accuracy([True] * 45 + [False] * 5, is_random_sample=True)
    >>> estimate.value, round(estimate.low, 3), round(estimate.high, 3)
    (0.9, 0.786, 0.957)
    """
    right = check_correct(correct)
    unseen = np.zeros(len(right), bool) if unseen is None else np.asarray(unseen, dtype=bool)
    check_same_length(correct=right, unseen=unseen)
    # Right by chance or wrong for want of a label: what came out for those tells nothing.
    n, n_right, n_unseen = len(right), float(right[~unseen].sum()), int(unseen.sum())
    return AccuracyEstimate(
        value=float(right[~unseen].mean()) if n > n_unseen else math.nan,
        # The interval holds whatever they are: all wrong at its low end, all right at its high one.
        low=wilson_interval(n_right, n, level)[0],
        high=wilson_interval(n_right + n_unseen, n, level)[1],
        n=n - n_unseen,
        n_unseen=n_unseen,
        level=level,
        method="wilson",
        is_random_sample=is_random_sample,
        note=_note(n_unseen, is_random_sample),
    )


def _note(n_unseen: int, is_random_sample: bool) -> str:
    """Return what a reader of an estimate must know."""
    parts = [] if is_random_sample else [NOT_RANDOM]
    if n_unseen:
        parts.append(
            f"{n_unseen} labeled {'image has' if n_unseen == 1 else 'images have'} no other "
            "label of the same class and could not be tested; the interval covers both outcomes. "
            "A second label for each such class narrows it."
        )
    return " ".join(parts)
