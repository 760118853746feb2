"""How accurate a model is on unlabeled images: its confidence in all, and the labels of a few."""

import math
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit

from fewlabel.data.calibration import Calibration
from fewlabel.data.checks import _check_correct
from fewlabel.data.task import Task
from fewlabel.evaluate.comparison import Comparison
from fewlabel.evaluate.estimates import (
    AccuracyEstimate,
    _design_effect,
    _note_of,
    estimate_accuracy,
)
from fewlabel.params import _check_arguments, number

# A calibration that was learned from n labels is off by about 3 / sqrt(n) in log-odds, and so is
# the logarithm of its slope; by no less than what that is of 400 labels. The interval is that of
# 1.3 times the posterior's variance, 2.3 times where all of these labels have calibrated as well.
# Fixed on data that no published figure uses: docs/decisions/0015.
_ERROR, _ERROR_LABELS = 3.0, 400
_OVERDISPERSION = 1.3
# Student's distribution: a calibration that is off by far is rare, and yet must come to light.
_FREEDOM = 8
# By how much more, in log-odds for each class per label, and how uncertain that is.
_LIFT, _LIFT_ERROR = 1.1, 1.0
_CLOSEST = 0.002
# The grid, in units of that error.
_SLOPES, _SHIFTS = np.linspace(-4, 4, 25)[:, None], np.linspace(-15, 15, 181)[None, :]
_QUANTILES, _N_DRAWS = 200, 8_000
# Probabilities that the temperature is fitted to.
_MAX_ROWS = 20_000
# Of more labels, those whose log-odds are so near to each other count as one, several times.
_MANY, _NEAR = 2_000, 0.02
_LEVEL = number(0, 1, closed="neither")
_LOG_T = (math.log(0.05), math.log(20.0))


class PoolAccuracy(NamedTuple):
    """An estimated accuracy and its interval.

    Attributes
    ----------
    value : float
        Mean of the posterior, from 0 to 1; NaN where there is nothing to estimate.
    low, high : float
        Ends of the interval.
    """

    value: float
    low: float
    high: float


def pool_accuracy(
    correct: Any,
    confidence: Any,
    pool_confidence: Any,
    *,
    n_labels: int,
    calibrated_on: bool = True,
    sparsity: float = 0.0,
    groups: Any = None,
    level: float = 0.95,
) -> PoolAccuracy:
    """Estimate how many predictions of a pool of unlabeled images are right.

    The confidence in every image of the pool is known, and of a few images drawn at random whether
    the prediction is right. If the log-odds of the confidence were off by a slope and a shift, what
    would the accuracy of the pool be? The prior of the two says how far calibrations are off as a
    rule, and the random labels correct it: with few of them the confidences count, with
    many these do. The confidences serve as a control variate, as in prediction-powered inference
    (Angelopoulos et al., Science 2023), and the model as in Bayesian calibration.

    Parameters
    ----------
    correct : array-like of shape (m,), bool
        Whether predictions by models that had not seen the label are right, for labels
        that were drawn at random; may be empty.
    confidence : array-like of shape (m,)
        Confidence in them, from 0 to 1.
    pool_confidence : array-like of shape (n,)
        Confidence in the pool.
    n_labels : int
        How many labels the confidences were calibrated on.
    calibrated_on : bool
        Whether the labels drawn at random are among these; those of an audit are not.
    sparsity : float
        Classes for each label, where others than random ones were chosen to lie apart from them:
        without its own label, an image is then harder to predict than an unlabeled one is.
    groups : array-like of shape (m,), optional
        The same number for labels that belong together, such as those of one patient, which are
        right or wrong together: they count as fewer, by Kish's design effect (1965).
    level : float
        Level of the interval.

    Returns
    -------
    PoolAccuracy
        Posterior mean and interval.

    Examples
    --------
    >>> found = pool_accuracy([True] * 20 + [False] * 5, [0.9] * 25, [0.9] * 1000, n_labels=100)
    >>> [round(number, 2) for number in found]
    [0.84, 0.68, 0.95]
    """
    _check_arguments("pool_accuracy", {"level": [_LEVEL]}, level=level)
    right = _check_correct(correct) if len(correct) else np.zeros(0, bool)
    pool = np.asarray(pool_confidence, dtype=np.float64)
    if not len(pool):
        return PoolAccuracy(math.nan, 0.0, 1.0)
    deff = _design_effect(right, confidence, groups)
    error = _ERROR / math.sqrt(min(max(n_labels / deff, 1), _ERROR_LABELS))
    slope, shift = np.exp(error * _SLOPES), error * _SHIFTS
    of_pool = np.quantile(pool, (np.arange(_QUANTILES) + 0.5) / _QUANTILES)
    lift = _LIFT * sparsity
    accuracy = sum(expit(slope * odds + shift + lift) for odds in _log_odds(of_pool)) / _QUANTILES
    tails = -0.5 * (_FREEDOM + 1) * np.log1p(_SHIFTS**2 / _FREEDOM)
    log_weight = tails - 0.5 * _SLOPES**2
    for odds, sign, n in zip(*_grouped(_log_odds(confidence), right), strict=True):
        log_weight = log_weight - n / deff * np.logaddexp(0, sign * (slope * odds + shift))
    weight = np.exp(log_weight - log_weight.max())
    value = float((weight * accuracy).sum() / weight.sum())
    # Where the calibration has seen these labels, too, they are no independent evidence.
    shared = min(len(right) / max(n_labels, 1), 1.0) if calibrated_on else 0.0
    flat = np.exp((log_weight - log_weight.max()) / (_OVERDISPERSION + shared))
    # Of so many images, so many are right: of few, all may be, though none is certain. The seed
    # is fixed, since a report must not change from run to run.
    rng = np.random.default_rng(0)
    drawn = rng.choice(accuracy.ravel(), _N_DRAWS, p=flat.ravel() / flat.sum())
    lifted = expit(logit(drawn) + _LIFT_ERROR * sparsity * rng.standard_normal(_N_DRAWS))
    counts = rng.binomial(len(pool), lifted)
    low, high = np.quantile(counts / len(pool), [(1 - level) / 2, (1 + level) / 2]).tolist()
    return PoolAccuracy(value, low, high)


def estimate_on_pool(
    compared: Comparison, proba: np.ndarray
) -> tuple[Calibration, AccuracyEstimate]:
    """Estimate the accuracy on unlabeled images, and calibrate the confidences to agree with it.

    Parameters
    ----------
    compared : Comparison
        The kept candidate and what it predicts for labels that it did not see.
    proba : ndarray of shape (n, K)
        Its uncalibrated probabilities of the unlabeled images.

    Returns
    -------
    Calibration
        With it, the mean confidence in the unlabeled images is the estimated accuracy.
    AccuracyEstimate
        Resting on the labels that were drawn at random.
    """
    task, calibration, seen = compared.task, compared.calibration(), ~compared.unseen
    oof = compared.calibrated(compared.kept.name, calibration)
    random, n_seen = compared.is_random, int(seen.sum())
    if n_seen and not len(proba):
        # All images are labeled: new ones are like these.
        return calibration, estimate_accuracy(
            task.correct(compared.y, oof), is_random_sample=True, groups=compared.groups
        )
    found = PoolAccuracy(math.nan, 0.0, 1.0)
    if n_seen:
        found = pool_accuracy(
            task.correct(compared.y, oof)[random],
            task.confidence_in(compared.y, oof)[random],
            task.confidence(calibration.apply(proba)),
            n_labels=n_seen,
            sparsity=_sparsity(compared, n_seen),
            groups=compared.groups[random],
        )
    if not math.isnan(found.value):
        calibration = agree_with(task, calibration, proba, found.value)
    n, is_random = int(random.sum()) or n_seen, bool(random.any())
    note = _note_of(int((random & ~seen).sum()), is_random)
    n_unseen = len(seen) - n_seen
    return calibration, AccuracyEstimate(*found, n, n_unseen, 0.95, "posterior", is_random, note)


def audit_accuracy(
    task: Task,
    y: np.ndarray,
    proba: np.ndarray,
    pool: np.ndarray,
    *,
    n_labels: int,
    groups: Any = None,
) -> AccuracyEstimate:
    """Estimate the accuracy on unlabeled images by images that nothing has learned from.

    Parameters
    ----------
    task : Task
        What the labels are for.
    y : ndarray of shape (m,) or (m, K)
        Labels of images that were drawn at random, at least one.
    proba : ndarray of shape (m, K)
        Calibrated probabilities of these.
    pool : ndarray of shape (n, K)
        Calibrated probabilities of the unlabeled images.
    n_labels : int
        How many labels they were calibrated on.
    groups : array-like of shape (m,), optional
        The same number for images that belong together.

    Returns
    -------
    AccuracyEstimate
        Resting on these labels, with the confidences as a control variate.
    """
    confidence = task.confidence_in(y, proba), task.confidence(pool)
    right = task.correct(y, proba)
    found = pool_accuracy(right, *confidence, n_labels=n_labels, calibrated_on=False, groups=groups)
    return AccuracyEstimate(*found, len(y), 0, 0.95, "posterior", True, "")


def _sparsity(compared: Comparison, n_labels: int) -> float:
    """Return classes for each label, of the labels that were not drawn at random."""
    # By how much they mislead was measured of one label an image.
    if not compared.task.has_preferences:
        return 0.0
    n_classes = compared.oof_proba[compared.kept.name].shape[1]
    return n_classes / n_labels * (1 - float(compared.is_random.mean()))


def agree_with(
    task: Task, calibration: Calibration, proba: np.ndarray, accuracy: float
) -> Calibration:
    """Return the calibration at the temperature where the mean confidence is an accuracy.

    Parameters
    ----------
    task : Task
        What the labels are for.
    calibration : Calibration
        The calibration to change.
    proba : ndarray of shape (n, K)
        Uncalibrated probabilities, at least one row.
    accuracy : float
        The accuracy of these predictions, as it was estimated.

    Returns
    -------
    Calibration
        The calibration, which predicts the same; as near as temperatures go.
    """
    rows = proba[:: -(-len(proba) // _MAX_ROWS)]

    def gap(log_t: float) -> float:
        tempered = calibration.tempered(math.exp(log_t)).apply(rows)
        return float(task.confidence(tempered).mean()) - accuracy

    if gap(_LOG_T[0]) <= 0:
        return calibration.tempered(math.exp(_LOG_T[0]))
    if gap(_LOG_T[1]) >= 0:
        return calibration.tempered(math.exp(_LOG_T[1]))
    return calibration.tempered(math.exp(brentq(gap, *_LOG_T, xtol=1e-4)))


def _grouped(odds: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return log-odds, -1 for right and 1 for wrong, and how many labels have these."""
    sign = np.where(right, -1, 1)
    if len(odds) != len(right) or len(odds) <= _MANY:
        return odds, sign, np.ones(len(right), np.int64)
    pairs = np.column_stack([np.rint(odds / _NEAR) * _NEAR, sign])
    found, counts = np.unique(pairs, axis=0, return_counts=True)
    return found[:, 0], found[:, 1], counts


def _log_odds(confidence: Any) -> np.ndarray:
    """Return log-odds of confidences, those near 0 and 1 cut."""
    rows = np.asarray(confidence, dtype=np.float64)
    return np.asarray(logit(np.clip(rows, _CLOSEST, 1 - _CLOSEST)))
