"""Power laws through a few points of a learning curve, weighed by how well they fit.

The share of errors is taken to fall as ``a * n**-b + c`` with the number ``n`` of labels. A
handful of noisy points does not tell a floor ``c`` from a slow fall, so no single curve is
picked: a grid of all of them, with and without a floor, is weighed by how well each fits, and
plausible curves are drawn from it.
"""

from __future__ import annotations

import numpy as np

_POWERS = np.linspace(0.0, 1.2, 49)
_FLOOR_SHARES = np.concatenate([[0.0], np.linspace(0.05, 0.95, 19)])
_NO_FLOOR = 0.2
"""Prior weight of the curves without a floor; the rest is spread evenly over floors."""

_MISFIT = 0.05
"""Relative error of the form, for each doubling that a point lies below all labels. With few
labels a class there is more: the share of a label in those of its class."""

_LUCK = 0.5
"""Relative spread of the errors of equally many labels, times the root of their number."""

_N_DRAWS = 8_000
_LEAST_ERROR = 1e-4


def mean_and_covariance(wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean error of each size and the covariance of these means, over the tested images.

    Half an image that is always right and half a one that is always wrong are added (Jeffreys'
    prior): no error among few images does not mean that there are none.

    Parameters
    ----------
    wrong : ndarray of shape (t, p)
        For each image and size, the share of wrong predictions.

    Returns
    -------
    mean : ndarray of shape (p,)
        Errors.
    covariance : ndarray of shape (p, p)
        Their covariance. All sizes are tested on the same images, so it is mostly positive.

    Examples
    --------
    >>> mean, covariance = mean_and_covariance(np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0]]))
    >>> mean.tolist(), bool(covariance[0, 1] > 0)
    ([0.625, 0.375], True)
    """
    n, p = wrong.shape
    rows = np.vstack([wrong, np.ones((1, p)), np.zeros((1, p))])
    weights = np.concatenate([np.ones(n), [0.5, 0.5]]) / (n + 1)
    mean = weights @ rows
    centered = rows - mean
    return mean, (centered * weights[:, None]).T @ centered / n


def draw_curves(
    relative: np.ndarray,
    mean: np.ndarray,
    covariance: np.ndarray,
    *,
    n_now: int,
    n_classes: int,
) -> np.ndarray:
    """Draw plausible curves: from their posterior, on the logarithmic scale of the errors.

    Parameters
    ----------
    relative : ndarray of shape (p,)
        Numbers of labels, relative to ``n_now``.
    mean : ndarray of shape (p,)
        Errors with them, above 0.
    covariance : ndarray of shape (p, p)
        Covariance of these.
    n_now : int
        Labels there are: how much luck there is in which ones they are depends on it.
    n_classes : int
        Number of classes: with few labels of each, no power law fits well.

    Returns
    -------
    ndarray of shape (s, 4)
        Error with ``n_now`` labels, power, share of the floor in that error, and luck with
        further labels. The same for the same points: a report must not change from run to run.
    """
    power, floor = (a.ravel() for a in np.meshgrid(_POWERS, _FLOOR_SHARES, indexing="ij"))
    prior = np.where(floor == 0, _NO_FLOOR, (1 - _NO_FLOOR) / (len(_FLOOR_SHARES) - 1))
    misfit = _MISFIT / 2 - np.log2(relative) * (_MISFIT + n_classes / (relative * n_now))
    precision = np.linalg.inv(covariance / np.outer(mean, mean) + np.diag(misfit**2))
    shape = np.log(floor[:, None] + (1 - floor[:, None]) * relative ** -power[:, None])
    residual = np.log(mean) - shape
    # Given the shape, the level has a normal posterior around the weighted mean residual.
    pull = precision.sum(axis=0)
    level = residual @ pull / pull.sum()
    misfits = np.einsum("ij,jk,ik->i", residual, precision, residual) - pull.sum() * level**2
    log_weight = np.log(prior) - misfits / 2
    weight = np.exp(log_weight - log_weight.max())
    steps = (np.arange(_N_DRAWS) + 0.5) / _N_DRAWS
    cell = np.searchsorted(np.cumsum(weight) / weight.sum(), steps).clip(max=len(weight) - 1)
    luck = _LUCK / np.sqrt(n_now)
    noise = np.random.default_rng(0).standard_normal((2, _N_DRAWS))
    error = np.exp(level[cell] + np.hypot(pull.sum() ** -0.5, luck) * noise[0])
    return np.column_stack([error, power[cell], floor[cell], luck * noise[1]])


def errors_at(draws: np.ndarray, relative: float) -> np.ndarray:
    """Give the errors of drawn curves at one number of labels.

    Parameters
    ----------
    draws : ndarray of shape (s, 7)
        Curves from `draw_curves`; the pace of their fall beyond the labels there are, 1 where
        it goes on as before; errors that no label shows, added to each; and which part of
        these falls as the others do.
    relative : float
        Number of labels, relative to those there are.

    Returns
    -------
    ndarray of shape (s,)
        Errors, between almost 0 and 1.

    Examples
    --------
    >>> curve = np.array([[0.2, 1.0, 0.5, 0.0, 1.0, 0.01, 0.0]])
    >>> float(errors_at(curve, 2.0)[0])
    0.16...
    """
    level, power, floor, luck, pace, unseen, falling = draws.T
    if relative > 1:
        # Of twice the labels, half are known already: their luck is in the level.
        level = level * np.exp(luck * np.sqrt(1 - 1 / relative))
        power = power * pace
    fall = floor + (1 - floor) * relative**-power
    unseen = unseen * (1 - falling * (1 - np.minimum(fall, 1)))
    return np.clip(level * fall + unseen, _LEAST_ERROR, 1)


def audit_weights(accuracy: np.ndarray, audit: tuple[int, int] | None) -> np.ndarray:
    """Weigh curves by how well they foretell a random audit.

    Parameters
    ----------
    accuracy : ndarray of shape (s,)
        What each curve foretells.
    audit : (int, int) or None
        Right predictions, among how many.

    Returns
    -------
    ndarray of shape (s,)
        Weights that sum to 1.

    Examples
    --------
    >>> audit_weights(np.array([0.5, 0.9]), (9, 10)).round(2).tolist()
    [0.02, 0.98]
    """
    if audit is None:
        return np.full(len(accuracy), 1 / len(accuracy))
    right, n = audit
    accuracy = accuracy.clip(_LEAST_ERROR, 1 - _LEAST_ERROR)
    log_weight = right * np.log(accuracy) + (n - right) * np.log1p(-accuracy)
    weight = np.exp(log_weight - log_weight.max())
    return np.asarray(weight / weight.sum())


def weighted_quantiles(values: np.ndarray, weights: np.ndarray, shares: list[float]) -> np.ndarray:
    """Give quantiles of weighted values.

    Parameters
    ----------
    values : ndarray of shape (s,)
        Values.
    weights : ndarray of shape (s,)
        Weights that sum to 1.
    shares : list of float
        Which quantiles, between 0 and 1.

    Returns
    -------
    ndarray of shape (q,)
        The quantiles.

    Examples
    --------
    >>> weighted_quantiles(np.array([3.0, 1.0]), np.array([0.5, 0.5]), [0.5]).tolist()
    [2.0]
    """
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) - weights[order] / 2
    return np.interp(shares, reached, values[order])
