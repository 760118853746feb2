"""What is calibrated is not fitted to what it is tested on."""

import numpy as np
import pytest
from scipy.special import expit

from fewlabel.data import MultiLabel, SingleLabel
from fewlabel.evaluate import calibrate_apart, fit_calibration


def several(n=400, scale=2.0):
    """Labels, and probabilities whose log-odds are off by a factor."""
    rng = np.random.default_rng(0)
    odds = rng.normal(-1, 2, (n, 4))
    return (rng.random((n, 4)) < expit(odds)).astype(int), expit(scale * odds)


def test_a_calibration_undoes_what_is_off():
    y, proba = several()
    assert fit_calibration(MultiLabel(), y, proba).to_dict()["scale"] == pytest.approx(0.5, rel=0.2)


@pytest.mark.parametrize("task", [SingleLabel(), MultiLabel()])
def test_nothing_is_fitted_to_what_no_model_could_have_predicted(task):
    y, proba = several() if not task.exclusive else (np.arange(40) % 2, np.full((40, 2), 0.5))
    unseen = np.arange(len(y)) % 4 == 0
    spoiled = np.where(unseen.reshape(-1, *[1] * (y.ndim - 1)), 1 - y, y)
    found, same = (fit_calibration(task, each, proba, unseen) for each in (y, spoiled))
    assert found.to_dict() == same.to_dict()
    neutral = fit_calibration(task, y, proba, np.ones(len(y), bool))
    assert neutral.to_dict() == task.calibration().to_dict()


def test_each_fold_is_calibrated_on_the_others():
    y, proba = several()
    fold = np.arange(len(y)) % 4
    apart = calibrate_apart(MultiLabel(), y, proba, fold)
    for number in range(4):
        here = fold == number
        expected = MultiLabel().calibrate(y[~here], proba[~here]).apply(proba[here])
        np.testing.assert_array_equal(apart[here], expected)
    changed = np.where((fold == 0)[:, None], 1 - y, y)
    again = calibrate_apart(MultiLabel(), changed, proba, fold)
    np.testing.assert_array_equal(again[fold == 0], apart[fold == 0])
    # A single fold has no others to be calibrated on.
    np.testing.assert_array_equal(calibrate_apart(MultiLabel(), y, proba, 0 * fold), proba)
