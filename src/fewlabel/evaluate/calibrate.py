"""Calibration on labels that were not trained on, and of predictions that are tested afterwards."""

from typing import Any

import numpy as np

from fewlabel.data.calibration import _CALIBRATION_FIELDS, Calibration
from fewlabel.data.task import Task
from fewlabel.params import number
from fewlabel.persist.schema import _check_fields


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
