"""Power laws through a few points of a learning curve, weighed by how well they fit.

The share of errors is taken to fall as ``a * n**-b + c`` with the number ``n`` of labels. A
handful of noisy points does not tell a floor ``c`` from a slow fall, so no single curve is
picked: a grid of all of them, with and without a floor, is weighed by how well each fits, and
plausible curves are drawn from it.
"""

import numpy as np

_POWERS = np.linspace(0.0, 1.2, 49)
_FLOOR_SHARES = np.concatenate([[0.0], np.linspace(0.05, 0.95, 19)])
# Prior weight of the curves without a floor; the rest is spread evenly over floors.
_NO_FLOOR = 0.2

# Relative error of the form, for each doubling that a point lies below all labels. With few labels
# a class there is more: the share of a label in those of its class.
_MISFIT = 0.05

# Relative spread of the errors of equally many labels, times the root of their number.
_LUCK = 0.5

_N_DRAWS = 8_000
# An error of exactly 0 would rule out a curve for the first mistake of an audit.
_LEAST_ERROR = 1e-4


def _mean_and_covariance(wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean error (p,) of each size and the covariance (p, p), with Jeffreys' prior."""
    n, p = wrong.shape
    # No error among few images does not mean that there are none.
    rows = np.vstack([wrong, np.ones((1, p)), np.zeros((1, p))])
    weights = np.concatenate([np.ones(n), [0.5, 0.5]]) / (n + 1)
    mean = weights @ rows
    centered = rows - mean
    return mean, (centered * weights[:, None]).T @ centered / n


def _draw_curves(
    relative: np.ndarray, mean: np.ndarray, covariance: np.ndarray, *, n_now: int, n_classes: int
) -> np.ndarray:
    """Return plausible curves (s, 4), from their posterior on the logarithmic scale of the errors.

    Of each: error with ``n_now`` labels, power, floor as a fraction of that error, and luck
    with further labels. ``mean`` (p,) and ``covariance`` (p, p) are the errors with ``relative``
    (p,) times ``n_now`` labels.
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
    # Even steps and no random draws: every likely cell is met about as often as it should be.
    steps = (np.arange(_N_DRAWS) + 0.5) / _N_DRAWS
    cell = np.searchsorted(np.cumsum(weight) / weight.sum(), steps).clip(max=len(weight) - 1)
    luck = _LUCK / np.sqrt(n_now)
    # The same curves for the same points: a report must not change from run to run.
    noise = np.random.default_rng(0).standard_normal((2, _N_DRAWS))
    error = np.exp(level[cell] + np.hypot(pull.sum() ** -0.5, luck) * noise[0])
    return np.column_stack([error, power[cell], floor[cell], luck * noise[1]])


def _errors_at(draws: np.ndarray, relative: float) -> np.ndarray:
    """Return the errors (s,) of drawn curves with ``relative`` times the labels there are.

    ``draws`` (s, 7) holds curves from `_draw_curves`, then how fast each goes on falling beyond
    the labels there are (1: as before), errors that no label shows, added to each, and which
    part of these falls as the others do.
    """
    level, power, floor, luck, speed, unseen, falling = draws.T
    if relative > 1:
        # Of twice the labels, half are known already: their luck is in the level.
        level = level * np.exp(luck * np.sqrt(1 - 1 / relative))
        power = power * speed
    fall = floor + (1 - floor) * relative**-power
    unseen = unseen * (1 - falling * (1 - np.minimum(fall, 1)))
    return np.clip(level * fall + unseen, _LEAST_ERROR, 1)
