"""Calibration and coverage, by hand and by simulation."""

import numpy as np
import pytest

from fewlabel.errors import UsageError
from fewlabel.evaluate import (
    coverage_accuracy_curve,
    expected_calibration_error,
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
