"""Temperature scaling: one number that makes confidences honest (Guo et al. 2017).

The logarithms of the probabilities are divided by a temperature T and normalised again. T above
1 makes a model less sure, T below 1 surer; which class is the most probable never changes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from fewlabel.data.checks import check_classes, check_proba, check_same_length, check_weights
from fewlabel.errors import UsageError

MIN_TEMPERATURE = 0.05
MAX_TEMPERATURE = 20.0

PROBABILITY_FLOOR = 1e-6
"""Least probability that is taken at its word. A graph or a tree gives hard zeros, and one that
is wrong would pull T further than all the other labels together. In simulation, with half of
100 labels predicted by hard zeros and ones that are right in 95 %, this floor leaves a log loss
of 0.77 nats on new images and a floor of 1e-12 leaves 0.91; it costs 0.003 nats where a model
without zeros is three times too sure, and 0.012 where it is four times too sure."""

_GRID = np.linspace(np.log(MIN_TEMPERATURE), np.log(MAX_TEMPERATURE), 49)


def fit_temperature(
    proba: Any, y_true: Any, *, prior_strength: float = 1.0, weights: Any = None
) -> float:
    """Find the temperature that fits the labels best.

    The probabilities must come from a model that did not see these labels (``cross_fit``).
    Minimised is the sum of the log losses plus ``prior_strength / 2 * log(T) ** 2``, the
    penalty of a log-normal prior around T = 1: at the default strength T lies within a factor
    of 2.7 of 1 in two cases of three. Ten labels can outvote it only when they say so clearly,
    since there ten right answers in a row would otherwise send T to its bound; for hundreds
    of labels it does not matter.

    Parameters
    ----------
    proba : array-like of shape (n, K)
        Class probabilities of labelled images; below 1e-6 they count as 1e-6.
    y_true : array-like of shape (n,), int
        Their classes.
    prior_strength : float
        Precision of the prior on log T (1 over its variance); 0 for none.
    weights : array-like of shape (n,), optional
        Weights of the images above 0, such as cluster sizes. They are scaled to sum to the
        effective sample size, so that the prior keeps its meaning.

    Returns
    -------
    float
        T, between 0.05 and 20.

    Raises
    ------
    UsageError
        If the arrays do not fit together or ``prior_strength`` is negative.

    References
    ----------
    Guo, Pleiss, Sun, Weinberger: On calibration of modern neural networks. ICML 2017.

    Examples
    --------
    >>> proba = np.tile([0.99, 0.01], (1000, 1))
    >>> y = np.array([0] * 800 + [1] * 200)
    >>> temperature = fit_temperature(proba, y)
    >>> apply_temperature(proba, temperature)[0].round(2)
    array([0.8, 0.2])
    """
    proba = check_proba(proba)
    y_true = check_classes(y_true, "y_true", proba.shape[1])
    check_same_length(proba=proba, y_true=y_true)
    weights = check_weights(weights, len(y_true))
    if not (np.isfinite(prior_strength) and prior_strength >= 0):
        raise UsageError(
            f"The 'prior_strength' parameter must be 0 or above. Got {prior_strength} instead."
        )
    weights = weights * weights.sum() / np.sum(weights**2)
    logits = _log_clipped(proba)

    def _objective(log_t: float) -> float:
        log_proba = log_softmax(logits * np.exp(-log_t), axis=1)
        losses = -log_proba[np.arange(len(y_true)), y_true]
        return float(losses @ weights + 0.5 * prior_strength * log_t**2)

    # The loss is convex in 1/T and the penalty in log T, but their sum need be neither: a grid
    # finds the valley, and the bounded search its bottom.
    values = [_objective(log_t) for log_t in _GRID]
    best = int(np.argmin(values))
    bounds = _GRID[max(best - 1, 0)], _GRID[min(best + 1, len(_GRID) - 1)]
    found = minimize_scalar(_objective, bounds=bounds, method="bounded", options={"xatol": 1e-5})
    log_t = found.x if found.fun < values[best] else _GRID[best]
    return float(np.clip(np.exp(log_t), MIN_TEMPERATURE, MAX_TEMPERATURE))


def apply_temperature(proba: Any, temperature: float) -> np.ndarray:
    """Give class probabilities at another temperature.

    Parameters
    ----------
    proba : array-like of shape (n, K)
        Class probabilities; below 1e-6 they count as 1e-6.
    temperature : float
        T above 0; 1 changes nothing but the floor.

    Returns
    -------
    ndarray of shape (n, K), float64
        Rows that sum to 1, each with its most probable class where it was.

    Raises
    ------
    UsageError
        If ``proba`` holds no probabilities or ``temperature`` is not above 0.

    Examples
    --------
    >>> apply_temperature([[0.8, 0.2]], 2.0).round(3)
    array([[0.667, 0.333]])
    """
    if not (np.isfinite(temperature) and temperature > 0):
        raise UsageError(
            f"The 'temperature' parameter must be a number above 0. Got {temperature} instead."
        )
    proba = check_proba(proba)
    scaled = softmax(_log_clipped(proba) / temperature, axis=1)
    # Two classes a rounding error apart can meet, or swap, in the logarithm: the winner is
    # lifted by one step of float64 then.
    top = proba.argmax(axis=1)
    moved = np.flatnonzero(scaled.argmax(axis=1) != top)
    scaled[moved, top[moved]] = np.nextafter(scaled[moved].max(axis=1), 2.0)
    return np.asarray(scaled)


def _log_clipped(proba: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(proba, PROBABILITY_FLOOR))
