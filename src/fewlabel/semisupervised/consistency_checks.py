"""What consistency training refuses, each with the reason and the next step."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np
import torch

from fewlabel.errors import UsageError
from fewlabel.semisupervised.consistency_rules import METHODS
from fewlabel.semisupervised.consistency_thresholds import sharpen

_WHO = "ConsistencyTraining"
_CHOICES = {
    "method": METHODS,
    "pseudo_labels": ("hard", "soft"),
    "alignment": ("auto", "none", "uniform", "labels"),
    "teacher": ("ema", "live"),
}
_COUNTS = ("n_steps", "steps_per_epoch", "mu")
_PROPAGATED_TEMPERATURE = 0.5


def check_settings(estimator: Any) -> None:
    """Refuse parameters that are out of range.

    Parameters
    ----------
    estimator : ConsistencyTraining
        Its parameters are looked at.

    Raises
    ------
    UsageError
        If one is out of range; the message names it.
    """
    for name, choices in _CHOICES.items():
        _check(name, getattr(estimator, name), f"one of {', '.join(choices)}", choices.__contains__)
    for name in _COUNTS:
        _check(name, getattr(estimator, name), "an int of at least 1", _is_count)
    for name in ("lambda_u", "fairness", "propagated_share"):
        _check(name, getattr(estimator, name), "a number of at least 0", _is_not_negative)
    _check("threshold", estimator.threshold, "a float in [0, 1]", lambda v: _is_number(v, 0, 1))
    _check("temperature", estimator.temperature, "a float in (0, 10]", _is_temperature)
    if estimator.fairness and estimator.method != "freematch":
        raise UsageError(
            f"The 'fairness' parameter of {_WHO} belongs to method='freematch'. Got method="
            f"{estimator.method!r}: choose that method, or leave fairness at 0."
        )


def check_images(X: Any, who: str) -> None:
    """Refuse what is not an array of uint8 images.

    Parameters
    ----------
    X : ndarray of shape (n, H, W) or (n, H, W, C), dtype uint8
        Images.
    who : str
        Name of the estimator, for the message.

    Raises
    ------
    UsageError
        If they are not.

    Examples
    --------
    >>> check_images(np.zeros((2, 8, 8), np.uint8), "Example")
    """
    if not isinstance(X, np.ndarray) or X.dtype != np.uint8 or X.ndim not in (3, 4):
        got = f"{X.dtype} of shape {X.shape}" if hasattr(X, "dtype") else type(X).__name__
        raise UsageError(
            f"{who} changes images at random and needs an array of uint8 images, (n, H, W) or "
            f"(n, H, W, C). Got {got} instead: for rows of features use SelfTraining."
        )


def check_propagated(propagated: Any, n: int, n_classes: int) -> np.ndarray:
    """Turn propagated labels into targets: sharpened, and times their confidence.

    Parameters
    ----------
    propagated : array-like of shape (n, n_classes), optional
        Class probabilities; a row of zeros says nothing.
    n : int
        Number of images.
    n_classes : int
        Number of classes.

    Returns
    -------
    ndarray of shape (n, n_classes)
        Float32; each row sums to its weight. All 0 if nothing was propagated.

    Raises
    ------
    UsageError
        If the shape is another, or they are not probabilities.

    Examples
    --------
    >>> check_propagated([[0.75, 0.25], [0.0, 0.0]], 2, 2).round(2).tolist()
    [[0.8100000023841858, 0.09000000357627869], [0.0, 0.0]]
    """
    if propagated is None:
        return np.zeros((n, n_classes), dtype=np.float32)
    rows = np.asarray(propagated, dtype=np.float32)
    if rows.shape != (n, n_classes):
        raise UsageError(
            f"'propagated' must have a row an image and a column a class, ({n}, {n_classes}). "
            f"Got {rows.shape} instead."
        )
    # Comparisons with NaN are false.
    if not ((rows >= 0) & (rows <= 1 + 1e-3)).all():
        raise UsageError("'propagated' must hold probabilities, from 0 to 1: one of them is not.")
    told = rows.max(axis=1) > 0
    sharp = sharpen(torch.from_numpy(rows[told]), _PROPAGATED_TEMPERATURE).numpy()
    targets = np.zeros_like(rows)
    targets[told] = sharp * sharp.max(axis=1, keepdims=True)
    return targets


def _check(name: str, value: Any, expected: str, holds: Any) -> None:
    if not holds(value):
        raise UsageError(
            f"The '{name}' parameter of {_WHO} must be {expected}. Got {value!r} instead."
        )


def _is_number(value: Any, low: float, high: float) -> bool:
    is_real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return is_real and low <= value <= high


def _is_count(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and _is_number(value, 1, math.inf)


def _is_not_negative(value: Any) -> bool:
    return _is_number(value, 0, math.inf) and math.isfinite(value)


def _is_temperature(value: Any) -> bool:
    return _is_number(value, 0, 10) and value > 0
