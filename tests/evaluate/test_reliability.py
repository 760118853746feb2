"""Calibration and coverage, by hand and by simulation."""

import numpy as np
import pytest
from scipy.special import expit

from fewlabel.data import MultiLabel, SingleLabel
from fewlabel.errors import UsageError
from fewlabel.evaluate import (
    calibrate_apart,
    coverage_accuracy_curve,
    expected_calibration_error,
    fit_calibration,
    reliability_curve,
)


def simulated(n=20_000, shift=0.0, seed=0):
    """Predictions that are right with a chance of their confidence minus ``shift``."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.5, 1.0, n)
    return rng.random(n) < confidence - shift, confidence


def test_equal_mass_bins_hold_equally_many():
    correct, confidence = simulated()
    curve = reliability_curve(correct, confidence)
    assert len(curve.count) == 15
    assert np.ptp(curve.count) <= 1
    assert curve.count.sum() == len(correct)
    assert (np.diff(curve.confidence) > 0).all()
    np.testing.assert_allclose(curve.accuracy, curve.confidence, atol=0.04)


def test_calibration_error_measures_the_shift():
    right = expected_calibration_error(*simulated())
    wrong = expected_calibration_error(*simulated(shift=0.2))
    assert right < 0.02
    assert wrong == pytest.approx(0.2, abs=0.02)


def test_equal_confidences_share_a_bin_whatever_their_order():
    correct = np.array([1, 1, 0, 0, 1, 0])
    confidence = np.array([0.8, 0.8, 0.8, 0.8, 0.6, 0.6])
    expected = (4 * 0.3 + 2 * 0.1) / 6
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(6)
        error = expected_calibration_error(correct[order], confidence[order])
        assert error == pytest.approx(expected)
    assert expected_calibration_error([True], [0.9]) == pytest.approx(0.1)


def test_coverage_curve_by_hand_with_a_tie():
    curve = coverage_accuracy_curve([0, 1, 1, 0, 1], [0.5, 0.9, 0.7, 0.7, 0.8])
    np.testing.assert_allclose(curve.threshold, [0.9, 0.8, 0.7, 0.5])
    np.testing.assert_allclose(curve.coverage, [0.2, 0.4, 0.8, 1.0])
    np.testing.assert_allclose(curve.accuracy, [1, 1, 0.75, 0.6])


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: reliability_curve([], []), "'correct' parameter must be"),
        (lambda: reliability_curve([2], [0.5]), "array of True and False"),
        (lambda: reliability_curve([1, 0], [0.5]), "must hold 2 numbers from 0 to 1"),
        (lambda: reliability_curve([1], 0.5), "must hold 1 numbers"),
        (lambda: reliability_curve([1, 1], [1.5, np.nan]), "2 of them out of range"),
        (lambda: reliability_curve([1], [0.5], n_bins=0), "'n_bins' parameter must be at least 1"),
    ],
)
def test_bad_input_is_named(call, text):
    with pytest.raises(UsageError, match=text):
        call()


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
