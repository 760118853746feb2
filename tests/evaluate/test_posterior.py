"""The accuracy of a pool: by simulation, the interval holds the truth as often as it says."""

import math

import numpy as np
import pytest
from scipy.special import expit, logit

from fewlabel.data import MultiLabel, SingleLabel
from fewlabel.errors import UsageError
from fewlabel.evaluate import (
    Comparison,
    audit_accuracy,
    choose_candidate,
    estimate_accuracy,
    estimate_on_pool,
    pool_accuracy,
    wilson_interval,
)
from fewlabel.evaluate.posterior import _grouped


@pytest.mark.parametrize(("n_random", "widest"), [(0, 2.1), (20, 1.8), (100, 1.4)])
def test_the_interval_holds_the_truth_though_the_confidence_is_off(n_random, widest):
    rng = np.random.default_rng(n_random)
    held, widths = [], []
    for _ in range(300):
        confidence = rng.beta(5, 1.5, size=2_000)
        slope, shift = np.exp(0.3 * rng.normal()), 0.4 * rng.normal()
        right = rng.random(2_000) < expit(slope * logit(confidence) + shift)
        drawn = rng.choice(2_000, n_random, replace=False)
        found = pool_accuracy(right[drawn], confidence[drawn], confidence, n_labels=100)
        held.append(found.low <= right.mean() <= found.high)
        ends = wilson_interval(round(100 * right.mean()), 100)
        widths.append((found.high - found.low) / (ends[1] - ends[0]))
    assert np.mean(held) > 0.93
    assert np.median(widths) < widest


def test_many_random_labels_count_more_than_the_confidence():
    confident = np.full(1_000, 0.95)
    few, many = (
        pool_accuracy([True, False] * n, [0.95] * 2 * n, confident, n_labels=400) for n in (3, 300)
    )
    assert 0.75 < few.value < 0.92
    assert many.value == pytest.approx(0.5, abs=0.06)
    assert many.high - many.low < few.high - few.low
    nothing = pool_accuracy([], [], [], n_labels=0)
    assert math.isnan(nothing.value)
    assert nothing[1:] == (0, 1)


def test_bad_input_is_named():
    with pytest.raises(UsageError, match="'correct' parameter must be"):
        pool_accuracy([2], [0.5], [0.5], n_labels=1)
    with pytest.raises(UsageError, match="'level' parameter of pool_accuracy must be"):
        pool_accuracy([1], [0.5], [0.5], n_labels=1, level=95)


@pytest.mark.parametrize("alike", [0.0, 3.0])
def test_the_interval_of_patients_holds_the_truth(alike):
    """Twelve patients with ten photos each, whose predictions are right or wrong together."""
    truth = expit(1.2 + alike * np.random.default_rng(0).standard_normal(100_000)).mean()
    patients, rng, covered = np.repeat(np.arange(12), 10), np.random.default_rng(1), []
    for _ in range(60):
        chance = expit(1.2 + alike * rng.standard_normal(12))[patients]
        right, row = rng.random(120) < chance, []
        for groups in (None, np.arange(120), patients):
            found = pool_accuracy(
                right, np.full(120, truth), np.full(900, truth), n_labels=120, groups=groups
            )
            wilson = estimate_accuracy(right, is_random_sample=True, groups=groups)
            row += [each.low <= truth <= each.high for each in (found, wilson)]
        covered.append(row)
    each = np.mean(covered, axis=0)
    assert each[0] == each[2]
    assert each[1] == each[3]
    assert (each[4:] >= 0.93).all()
    assert alike == 0 or (each[:2] < 0.85).all()


def comparison(task, y, proba, drawn):
    """A comparison of one candidate whose out-of-fold probabilities are given."""
    fitted = type("Fitted", (), {"name": "only"})()
    choice = choose_candidate(task, y, {"only": proba})
    rows = np.arange(len(y))
    unseen = np.zeros(len(y), bool)
    return Comparison(
        task, fitted, fitted, choice, rows, y, {"only": proba}, rows % 5, unseen, drawn, rows
    )


@pytest.mark.parametrize("task", [SingleLabel(), MultiLabel()])
def test_the_confidence_agrees_with_the_estimate(task):
    """Easy labels say that all is well; those drawn at random say how it is."""
    rng = np.random.default_rng(0)
    drawn = np.arange(200) % 2 == 0
    truth = rng.integers(3, size=200)
    right = np.where(drawn, rng.random(200) < 0.7, True)
    named = np.where(right, truth, (truth + 1) % 3)
    proba = 0.9 * np.eye(3)[named] + 0.1 / 3
    y = truth if task == SingleLabel() else np.eye(3, dtype=int)[truth]
    pool = 0.9 * np.eye(3)[rng.integers(3, size=500)] + 0.1 / 3
    calibration, estimate = estimate_on_pool(comparison(task, y, proba, drawn), pool)
    assert task.confidence(calibration.apply(pool)).mean() == pytest.approx(
        estimate.value, abs=0.01
    )
    assert right[drawn].mean() - 0.05 < estimate.value < 0.85
    assert (estimate.n, estimate.is_random_sample, estimate.note) == (100, True, "")
    np.testing.assert_array_equal(task.predict(calibration.apply(pool)), task.predict(pool))
    # Without random labels the confidence is all there is, and the reader is told.
    _, guess = estimate_on_pool(comparison(task, y, proba, np.zeros(200, bool)), pool)
    assert guess.value > estimate.value
    assert (guess.n, guess.is_random_sample) == (200, False)
    assert "None of the labeled images is known to be drawn at random" in guess.note
    audited = audit_accuracy(task, y[drawn], proba[drawn], pool, n_labels=200)
    assert audited.low < right[drawn].mean() < audited.high
    assert audited.n == 100


def test_many_labels_count_as_one_by_one():
    rng = np.random.default_rng(0)
    pool = rng.beta(5, 1.5, size=20_000)
    right, drawn = rng.random(5_000) < pool[:5_000], pool[:5_000]
    exact, near = (
        _grouped(logit(drawn), right),
        _grouped(logit(np.tile(drawn, 2)), np.tile(right, 2)),
    )
    assert near[2].sum() == 10_000 > 10 * len(near[2])
    assert exact[2].sum() == 5_000
    found = pool_accuracy(right, drawn, pool, n_labels=5_000)
    assert found.low < pool.mean() < found.high
    assert found.high - found.low < 0.04


def test_labels_that_have_not_calibrated_say_more():
    confidence = np.full(50, 0.85)
    of_fit, of_audit = (
        pool_accuracy([True] * 40 + [False] * 10, confidence, [0.85] * 900, **settings)
        for settings in ({"n_labels": 50}, {"n_labels": 50, "calibrated_on": False})
    )
    assert of_fit.value == of_audit.value
    assert of_audit.high - of_audit.low < 0.8 * (of_fit.high - of_fit.low)
