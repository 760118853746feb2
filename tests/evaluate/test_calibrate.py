"""The temperature is found, bounded, tamed by its prior, and never changes a decision."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import softmax

from fewlabel.errors import UsageError
from fewlabel.evaluate import (
    apply_temperature,
    expected_calibration_error,
    fit_temperature,
    log_loss,
    top_label,
)


def synthetic(temperature, n=2000, k=6, seed=0):
    """Labels drawn from calibrated probabilities, and the probabilities made wrong by T."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2.0, size=(n, k))
    honest = softmax(logits, axis=1)
    y = (honest.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(max=k - 1)
    return softmax(logits * temperature, axis=1), y


@pytest.mark.parametrize("temperature", [0.3, 0.7, 1.0, 2.0, 3.0])
def test_a_known_temperature_is_recovered(temperature):
    proba, y = synthetic(temperature)
    assert fit_temperature(proba, y) == pytest.approx(temperature, rel=0.08)


@pytest.mark.parametrize("temperature", [0.3, 3.0])
def test_calibration_improves_on_other_labels(temperature):
    found = fit_temperature(*synthetic(temperature, n=200, seed=1))
    proba, y = synthetic(temperature, seed=2)
    better = apply_temperature(proba, found)
    assert log_loss(y, better) < log_loss(y, proba) - 0.1
    error_before = expected_calibration_error(*top_label(y, proba))
    assert expected_calibration_error(*top_label(y, better)) < error_before / 3


def test_the_prior_tames_few_labels():
    proba = np.full((10, 5), 0.05)
    proba[:, 0] = 0.8
    right, wrong = np.zeros(10, int), np.ones(10, int)
    assert fit_temperature(proba, right, prior_strength=0) == pytest.approx(0.05, rel=0.01)
    assert fit_temperature(proba, wrong, prior_strength=0) == pytest.approx(20, rel=0.01)
    assert 0.25 < fit_temperature(proba, right) < 0.9
    assert 2 < fit_temperature(proba, wrong) < 15
    assert fit_temperature(proba, right, prior_strength=1e9) == pytest.approx(1, abs=1e-4)


def test_the_prior_does_not_matter_for_many_labels():
    proba, y = synthetic(2.0)
    free = fit_temperature(proba, y, prior_strength=0)
    assert fit_temperature(proba, y) == pytest.approx(free, rel=0.005)


def test_a_hard_zero_for_the_right_class_is_survived():
    proba = np.array([[1.0, 0.0, 0.0]] * 10)
    y = np.array([0] * 9 + [1])
    calibrated = apply_temperature(proba, fit_temperature(proba, y))
    assert np.isfinite(calibrated).all()
    assert (calibrated > 0).all()
    assert 0.8 < calibrated[0, 0] < 0.98  # nine of ten were right


def test_weights_count_as_repeats_do():
    proba, y = synthetic(2.0, n=60)
    repeats = np.where(np.arange(60) < 30, 1, 3)
    weighted = fit_temperature(proba, y, prior_strength=0, weights=repeats)
    repeated = fit_temperature(
        np.repeat(proba, repeats, axis=0), np.repeat(y, repeats), prior_strength=0
    )
    assert weighted == pytest.approx(repeated, rel=1e-3)
    # Their scale has no meaning, so the prior must not depend on it.
    assert fit_temperature(proba, y, weights=repeats * 1000) == pytest.approx(
        fit_temperature(proba, y, weights=repeats)
    )


def test_temperature_one_changes_nothing():
    proba, _ = synthetic(1.0, n=50)
    np.testing.assert_allclose(apply_temperature(proba, 1.0), proba, atol=1e-5)


@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 8), st.integers(2, 6)),
        elements=st.sampled_from([0.0, 1e-300, 1e-9, 0.1, 0.1 + 1e-16, 0.3, np.nextafter(0.3, 1)])
        | st.floats(0, 1),
    ),
    st.sampled_from([0.05, 0.3, 1.0, 7.0, 20.0]),
)
@settings(derandomize=True, deadline=None, max_examples=200)
def test_the_most_probable_class_never_changes(raw, temperature):
    proba = (raw + 1e-3) / (raw + 1e-3).sum(axis=1, keepdims=True)
    scaled = apply_temperature(proba, temperature)
    proba = proba / proba.sum(axis=1, keepdims=True)  # as every check does
    np.testing.assert_array_equal(scaled.argmax(axis=1), proba.argmax(axis=1))
    np.testing.assert_allclose(scaled.sum(axis=1), 1)


def test_classes_a_rounding_error_apart_keep_their_order():
    proba = np.array([[0.25, np.nextafter(0.25, 1), 0.5 - np.nextafter(0.25, 1), 0.25]])
    proba[0, 2] = 1 - proba[0, [0, 1, 3]].sum()
    top = (proba / proba.sum()).argmax()
    assert top == 1
    for temperature in np.geomspace(0.05, 20, 50):
        assert apply_temperature(proba, temperature).argmax() == 1


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: fit_temperature([[0.5, 0.5]], [0, 1]), "Got 1 and 2 instead"),
        (lambda: fit_temperature([[0.5, 0.5]], [2]), "from 0 to 1. Got 2"),
        (lambda: fit_temperature([[0.5, 0.5]], [0], prior_strength=-1), "must be 0 or above"),
        (lambda: fit_temperature([[0.5, 0.5]], [0], weights=[0]), "finite numbers above 0"),
        (lambda: fit_temperature([[0.5, 0.5]], [0], weights=[1, 1]), "must hold 1 finite"),
        (lambda: apply_temperature([[0.5, 0.5]], 0), "must be a number above 0. Got 0"),
        (lambda: apply_temperature([[0.5, 0.5]], float("nan")), "Got nan instead"),
        (lambda: apply_temperature([[0.5, 0.6]], 1), "summing to 1"),
    ],
)
def test_bad_input_is_named(call, text):
    with pytest.raises(UsageError, match=text):
        call()
