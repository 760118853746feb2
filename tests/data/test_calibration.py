"""Calibration is found, tamed by its prior, and a temperature never changes a decision."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import expit, softmax

from fewlabel.data.calibration import Scaling, Temperature


def synthetic(temperature, n=2000, k=6, seed=0):
    """Labels drawn from calibrated probabilities, and the probabilities made wrong by T."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2.0, size=(n, k))
    calibrated = softmax(logits, axis=1)
    y = (calibrated.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(max=k - 1)
    return y, softmax(logits * temperature, axis=1)


def several(n=2000, k=4, scale=1.0, shift=0.0):
    """Labels, and probabilities that are off by a scale and a shift."""
    rng = np.random.default_rng(0)
    odds = rng.normal(-1, 2, (n, k))
    y = (rng.random((n, k)) < expit(odds)).astype(int)
    return y, expit(scale * odds + shift), expit(odds)


@pytest.mark.parametrize("temperature", [0.3, 0.7, 1.0, 2.0, 3.0])
def test_a_known_temperature_is_recovered(temperature):
    found = Temperature.fit(*synthetic(temperature))
    assert found.temperature == pytest.approx(temperature, rel=0.08)


def test_the_prior_tames_few_labels():
    proba = np.full((10, 5), 0.05)
    proba[:, 0] = 0.8
    assert 0.25 < Temperature.fit(np.zeros(10, int), proba).temperature < 0.9
    assert 2 < Temperature.fit(np.ones(10, int), proba).temperature < 15


def test_a_hard_zero_for_the_right_class_is_survived():
    proba = np.array([[1.0, 0.0, 0.0]] * 10)
    y = np.array([0] * 9 + [1])
    calibrated = Temperature.fit(y, proba).apply(proba)
    assert np.isfinite(calibrated).all()
    assert (calibrated > 0).all()
    assert 0.8 < calibrated[0, 0] < 0.98  # nine of ten were right


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
    scaled = Temperature(temperature).apply(proba)
    np.testing.assert_array_equal(scaled.argmax(axis=1), proba.argmax(axis=1))
    np.testing.assert_allclose(scaled.sum(axis=1), 1)


@pytest.mark.parametrize(("scale", "shift"), [(3.0, 0.0), (0.4, 0.0), (1.0, 2.0), (2.0, -1.0)])
def test_scaling_undoes_what_is_off(scale, shift):
    y, proba, calibrated = several(scale=scale, shift=shift)
    found = Scaling.fit(y[:1000], proba[:1000])
    assert found.scale == pytest.approx(1 / scale, rel=0.15)
    assert np.abs(found.apply(proba[1000:]) - calibrated[1000:]).mean() < 0.03


def test_entries_that_are_not_known_do_not_count():
    y, proba, _ = several(n=400)
    masked = y.copy()
    masked[:, 1] = -1
    others = Scaling.fit(np.delete(y, 1, axis=1), np.delete(proba, 1, axis=1))
    assert Scaling.fit(masked, proba) == others


def test_few_labels_leave_probabilities_near_what_they_were():
    found = Scaling.fit(np.array([[1, 0]]), np.array([[0.9, 0.1]]))
    assert 0.5 < found.scale < 3
    assert abs(found.shift) < 0.5
    assert Scaling().apply([[0.3]])[0, 0] == pytest.approx(0.3)


@pytest.mark.parametrize("temperature", [0.05, 0.5, 20.0])
def test_a_temperature_changes_no_label_and_can_be_saved(temperature):
    for scaling in (Scaling(1.0, 5.0), Scaling(0.05, -3.0), Scaling(20.0, 1.0)):
        proba = np.linspace(0, 1, 201)[:, None]
        found = scaling.tempered(temperature)
        assert 0.01 <= found.scale <= 100
        assert abs(found.shift) <= 10
        np.testing.assert_array_equal(found.apply(proba) > 0.5, scaling.apply(proba) > 0.5)
