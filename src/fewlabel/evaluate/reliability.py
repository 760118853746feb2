"""Whether a confidence of 90 % means right in 90 %: calibration and coverage.

The measures take, for each image, whether its prediction is right and how confident it is, as
`fewlabel.data.task.Task.correct` and ``confidence`` return them.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fewlabel.data.calibration import _CALIBRATION_FIELDS, Calibration
from fewlabel.data.checks import _check_correct
from fewlabel.data.task import Task
from fewlabel.errors import UsageError
from fewlabel.params import number
from fewlabel.persist.schema import _check_fields


@dataclass(frozen=True, eq=False)
class ReliabilityCurve:
    """Bins of images by confidence; empty bins are left out.

    Attributes
    ----------
    confidence : ndarray of shape (b,), float64
        Mean confidence in each bin, increasing.
    accuracy : ndarray of shape (b,), float64
        Share of right predictions in it.
    count : ndarray of shape (b,), int64
        Number of images in it.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray


def reliability_curve(correct: Any, confidence: Any, *, n_bins: int = 15) -> ReliabilityCurve:
    """Compute confidence and accuracy, bin by bin.

    Parameters
    ----------
    correct : array-like of shape (n,), bool
        Whether each prediction is right.
    confidence : array-like of shape (n,)
        Its confidence, from 0 to 1.
    n_bins : int
        Number of bins; images with equal confidence share one, so there may be fewer.

    Returns
    -------
    ReliabilityCurve
        Mean confidence, accuracy and count of each bin.

    Raises
    ------
    UsageError
        If the arrays do not fit together or a parameter is out of range.

    Examples
    --------
    >>> curve = reliability_curve([0, 1, 1, 1], [0.5, 0.7, 0.8, 0.9], n_bins=2)
    >>> curve.accuracy, curve.count
    (array([0.5, 1. ]), array([2, 2]))
    """
    # sklearn.calibration.calibration_curve gives no counts, and is for two classes.
    correct, confidence = _check_confidence(correct, confidence)
    if n_bins < 1:
        raise UsageError(f"The 'n_bins' parameter must be at least 1. Got {n_bins} instead.")
    # Bins with about as many images each: those of one width are mostly empty.
    inner_edges = np.quantile(confidence, np.arange(1, n_bins) / n_bins)
    bins = np.searchsorted(inner_edges, confidence, side="left")
    count = np.bincount(bins, minlength=n_bins)
    filled = count > 0
    count = count[filled]
    return ReliabilityCurve(
        np.bincount(bins, confidence, minlength=n_bins)[filled] / count,
        np.bincount(bins, correct, minlength=n_bins)[filled] / count,
        count,
    )


def expected_calibration_error(correct: Any, confidence: Any, *, n_bins: int = 15) -> float:
    """Return the mean gap between confidence and accuracy over bins of confidence.

    The measure of Naeini et al. (2015). With few images it is too high even for a perfectly
    calibrated model, since each bin's accuracy is noisy.

    Parameters
    ----------
    correct : array-like of shape (n,), bool
        Whether each prediction is right.
    confidence : array-like of shape (n,)
        Its confidence, from 0 to 1.
    n_bins : int
        Number of bins.

    Returns
    -------
    float
        From 0 (calibrated) to 1.

    Raises
    ------
    UsageError
        If the arrays do not fit together or a parameter is out of range.

    Examples
    --------
    >>> round(expected_calibration_error([0, 1, 1, 1], [0.9, 0.9, 0.9, 0.9]), 3)
    0.15
    """
    curve = reliability_curve(correct, confidence, n_bins=n_bins)
    gap = np.abs(curve.accuracy - curve.confidence)
    return float(np.average(gap, weights=curve.count))


class CoverageCurve(NamedTuple):
    """Accuracy of the most confident images, from the few most confident to all.

    Attributes
    ----------
    coverage : ndarray of shape (m,), float64
        Share of the images whose confidence is at least the threshold, increasing to 1.
    accuracy : ndarray of shape (m,), float64
        Share of right predictions among them.
    threshold : ndarray of shape (m,), float64
        The distinct confidences, decreasing.
    """

    coverage: np.ndarray
    accuracy: np.ndarray
    threshold: np.ndarray


def coverage_accuracy_curve(correct: Any, confidence: Any) -> CoverageCurve:
    """Compute the accuracy of the images that are left when the uncertain ones are set aside.

    Parameters
    ----------
    correct : array-like of shape (n,), bool
        Whether each prediction is right.
    confidence : array-like of shape (n,)
        Its confidence, from 0 to 1.

    Returns
    -------
    CoverageCurve
        One point for each distinct confidence: images with the same one cannot be separated
        by a threshold.

    Raises
    ------
    UsageError
        If the arrays do not fit together.

    Examples
    --------
    >>> curve = coverage_accuracy_curve([1, 1, 0, 1], [0.9, 0.8, 0.6, 0.6])
    >>> curve.coverage, curve.accuracy
    (array([0.25, 0.5 , 1.  ]), array([1.  , 1.  , 0.75]))
    """
    correct, confidence = _check_confidence(correct, confidence)
    order = np.argsort(-confidence, kind="stable")
    confidence = confidence[order]
    # No threshold separates equal confidences: a tie counts whole.
    last_of_tie = np.append(confidence[:-1] != confidence[1:], True)
    kept = np.arange(1, len(order) + 1)[last_of_tie]
    return CoverageCurve(
        kept / len(order), np.cumsum(correct[order])[last_of_tie] / kept, confidence[last_of_tie]
    )


def _check_confidence(correct: Any, confidence: Any) -> tuple[np.ndarray, np.ndarray]:
    correct = _check_correct(correct)
    confidence = np.asarray(confidence, dtype=np.float64)
    # Written so that NaN fails it; a sum of probabilities may be a hair over 1.
    sound = (confidence >= 0) & (confidence <= 1 + 1e-9)
    if confidence.shape != correct.shape or not sound.all():
        raise UsageError(
            f"The 'confidence' parameter must hold {len(correct)} numbers from 0 to 1, one an "
            f"image. Got shape {confidence.shape}, {int((~sound).sum())} of them out of range."
        )
    return correct, confidence


def fit_calibration(task: Task, y: Any, proba: Any, unseen: Any = None) -> Calibration:
    """Fit the calibration of a model to its out-of-fold predictions.

    Parameters
    ----------
    task : Task
        What the labels are for.
    y : array-like of shape (m,) or (m, K)
        Labels.
    proba : array-like of shape (m, K)
        Uncalibrated out-of-fold probabilities.
    unseen : array-like of shape (m,), bool, optional
        Images that no model could have predicted: nothing is fitted to them.

    Returns
    -------
    Temperature or Scaling
        The calibration; one that changes nothing where no image is left.

    Examples
    --------
    >>> from fewlabel.data import SingleLabel
    >>> fit_calibration(SingleLabel(), [0], [[0.1, 0.9]], unseen=[True])
    Temperature(temperature=1.0)
    """
    y, proba = np.asarray(y), np.asarray(proba)
    seen = np.ones(len(y), bool) if unseen is None else ~np.asarray(unseen, dtype=bool)
    return task.calibrate(y[seen], proba[seen]) if seen.any() else task.calibration()


def calibrate_apart(task: Task, y: Any, proba: Any, fold: Any, unseen: Any = None) -> np.ndarray:
    """Calibrate the predictions of each fold on the labels of the others.

    Calibration can change what is predicted where an image may have several labels: fitted on
    the images that are tested, it would flatter them.

    Parameters
    ----------
    task : Task
        What the labels are for.
    y : array-like of shape (m,) or (m, K)
        Labels.
    proba : array-like of shape (m, K)
        Uncalibrated out-of-fold probabilities.
    fold : array-like of shape (m,), int
        Fold of each image.
    unseen : array-like of shape (m,), bool, optional
        Images that no model could have predicted: they are calibrated, but nothing is fitted to
        them.

    Returns
    -------
    ndarray of shape (m, K)
        Calibrated probabilities, float64; as they are where no other fold is labeled.

    Examples
    --------
    >>> from fewlabel.data import MultiLabel
    >>> y, proba = [[1], [0], [1], [0]], [[0.6], [0.4], [0.6], [0.4]]
    >>> calibrate_apart(MultiLabel(), y, proba, [0, 0, 1, 1]).shape
    (4, 1)
    """
    y, proba, fold = np.asarray(y), np.asarray(proba, dtype=np.float64), np.asarray(fold)
    calibrated, fitted_to = proba.copy(), np.zeros(len(y), dtype=bool)
    fitted_to[task.labeled(y)] = True
    if unseen is not None:
        fitted_to &= ~np.asarray(unseen, dtype=bool)
    for part in np.unique(fold):
        here, others = fold == part, fitted_to & (fold != part)
        if others.any():
            calibrated[here] = fit_calibration(task, y[others], proba[others]).apply(proba[here])
    return calibrated


def _saved_calibration(task: Task, found: Any, where: str) -> Calibration:
    """Return a calibration as it was saved; raise `ModelFormatError` if that is none."""
    usual = [number(-1e6, 1e6)]
    fields = {name: _CALIBRATION_FIELDS.get(name, usual) for name in task.calibration().to_dict()}
    _check_fields(found, fields, f"{where}.calibration")
    return task.calibration({name: found[name] for name in fields})
