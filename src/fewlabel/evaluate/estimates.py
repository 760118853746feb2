"""How accurate a model is on all the images, from few labels and with an interval."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fewlabel.data.checks import check_correct, check_same_length, check_weights
from fewlabel.data.task import Task
from fewlabel.errors import UsageError
from fewlabel.evaluate.metrics import wilson_interval

NOT_RANDOM = (
    "The labeled images were chosen to represent the others and are not a random sample, so "
    "this estimate may be off in either direction; a random audit gives an unbiased one."
)


@dataclass(frozen=True)
class AccuracyEstimate:
    """An accuracy (or exact match) with its interval, and how far to trust it.

    Attributes
    ----------
    value : float
        Estimated accuracy, from 0 to 1; NaN where no label could be tested.
    low : float
        Low end of the interval.
    high : float
        High end of the interval.
    n : int
        Number of labels it rests on, without those in ``n_unseen``.
    n_unseen : int
        Labels that no model could be tested on; the interval covers both outcomes for them.
    level : float
        Confidence level of the interval.
    method : str
        ``"wilson"``, or ``"weighted-wilson"`` for weighted labels.
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
    weights: Any = None,
    unseen: Any = None,
    is_random_sample: bool = False,
    level: float = 0.95,
) -> AccuracyEstimate:
    """Estimate accuracy from out-of-fold predictions of the labeled images.

    Without weights this is the share of right predictions with Wilson's interval. With weights
    (the sizes of the clusters that representatives stand for) it is the weighted share (Hájek
    1971), and the interval takes the effective sample size (Σw)² / Σw² (Kish 1965).

    Labels marked ``unseen`` are left out of the value. The low end of the interval counts them
    as wrong and the high end as right, so the interval holds whatever they are.

    The final model sees all labels and the cross-fitted ones a part, so the estimate is rather
    low than high. Cross-fitted predictions share training labels, so the interval is a little
    narrow.

    Parameters
    ----------
    correct : array-like of shape (n_labeled,), bool
        Whether each cross-fitted prediction is right.
    weights : array-like of shape (n_labeled,), optional
        Weights above 0, one a label.
    unseen : array-like of shape (n_labeled,), bool, optional
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
        If the arrays do not fit together, a parameter is out of range, or a random sample is
        given weights.

    Examples
    --------
    >>> estimate = estimate_accuracy([True] * 45 + [False] * 5, is_random_sample=True)
    >>> estimate.value, round(estimate.low, 3), round(estimate.high, 3)
    (0.9, 0.786, 0.957)
    """
    right = check_correct(correct)
    if weights is not None and is_random_sample:
        raise UsageError(
            "The 'weights' parameter of estimate_accuracy must be None for a random sample, "
            "where each image counts once."
        )
    unseen = np.zeros(len(right), bool) if unseen is None else np.asarray(unseen, dtype=bool)
    check_same_length(correct=right, unseen=unseen)
    w = check_weights(weights, len(right))
    tested = ~unseen
    low = _interval(np.where(tested, right, 0.0), w, level)[0]
    high = _interval(np.where(tested, right, 1.0), w, level)[1]
    return AccuracyEstimate(
        value=float(np.average(right[tested], weights=w[tested])) if tested.any() else math.nan,
        low=low,
        high=high,
        n=int(tested.sum()),
        n_unseen=int(unseen.sum()),
        level=level,
        method="wilson" if weights is None else "weighted-wilson",
        is_random_sample=is_random_sample,
        note=_note(int(unseen.sum()), is_random_sample),
    )


def audit_estimate(task: Task, y: Any, proba: Any, *, level: float = 0.95) -> AccuracyEstimate:
    """Estimate accuracy from labels of images drawn at random: unbiased.

    The labels must not have been used to fit, calibrate or choose the model.

    Parameters
    ----------
    task : Task
        What the labels are for.
    y : array-like of shape (m,) or (m, K), int
        Labels of the audited images; -1 for what was left blank.
    proba : array-like of shape (m, K)
        What the final model predicts for them.
    level : float
        Confidence level of the interval.

    Returns
    -------
    AccuracyEstimate
        Share of right predictions with Wilson's interval; the note says how many images were
        left blank, since blanks are seldom random.

    Raises
    ------
    UsageError
        If the arrays do not fit together or no audited image is labeled.

    Examples
    --------
    >>> from fewlabel.data import SingleLabel
    >>> audit_estimate(SingleLabel(), [0, 1, 1, -1], np.eye(2)[[0, 1, 0, 0]]).value
    0.666...
    """
    y, proba = np.asarray(y), np.asarray(proba)
    if y.dtype.kind not in "iu" or not (y >= 0).any():
        raise UsageError(
            "The 'y' parameter of audit_estimate must hold the label of at least one audited "
            "image: fill in the labels of the audit first."
        )
    check_same_length(y=y, proba=proba)
    answered = task.labeled(y)
    correct = task.correct(*task.check(y[answered], proba[answered]))
    estimate = estimate_accuracy(correct, is_random_sample=True, level=level)
    blank = len(y) - len(answered)
    if not blank:
        return estimate
    note = (
        f"{blank} of {len(y)} audited images were left blank; if those are the hard ones, "
        "the accuracy is lower than this."
    )
    return AccuracyEstimate(**(asdict(estimate) | {"note": note}))


def _interval(right: np.ndarray, w: np.ndarray, level: float) -> tuple[float, float]:
    """Return Wilson's interval for a weighted fraction, at Kish's effective sample size."""
    n_effective = float(w.sum() ** 2 / np.sum(w**2))
    share = float(np.clip(np.average(right, weights=w), 0, 1))
    return wilson_interval(share * n_effective, n_effective, level)


def _note(n_unseen: int, is_random_sample: bool) -> str:
    parts = [] if is_random_sample else [NOT_RANDOM]
    if n_unseen:
        parts.append(
            f"{n_unseen} labeled {'image has' if n_unseen == 1 else 'images have'} no other "
            "label of the same class and could not be tested; the interval covers both outcomes. "
            "A second label for each such class narrows it."
        )
    return " ".join(parts)
