from dataclasses import replace

import numpy as np
import pytest

from fewlabel.data import Labels, image_set_from_array, labels_from_truth, load_images
from fewlabel.errors import LabelError
from fewlabel.pipeline import FitSettings, extract_features, fit_images

SETTINGS = FitSettings(features="pixels")


@pytest.fixture(scope="module")
def digits():
    images = load_images("digits").subset(range(400))
    return images, labels_from_truth(images), extract_features(images, features="pixels")


def _few(truth, rows, purpose=()):
    y = np.full(len(truth.y), -1)
    y[rows] = truth.y[rows]
    return Labels(y, truth.classes, purpose)


def test_the_audit_is_never_trained_on(digits):
    images, truth, prepared = digits
    purpose = ("train",) * 100 + ("audit",) * 40 + ("",) * 260
    labels = _few(truth, np.arange(140), purpose)
    result = fit_images(images, labels, SETTINGS, prepared=prepared)
    scrambled = labels.y.copy()
    scrambled[100:140] = np.roll(scrambled[100:140], 7)
    other = fit_images(images, replace(labels, y=scrambled), SETTINGS, prepared=prepared)
    np.testing.assert_array_equal(result.proba, other.proba)
    assert result.audit.n == 40
    assert result.audit.is_random_sample
    assert result.audit.value > 0.8 > other.audit.value
    assert (result.origin[100:140] != "label").all()


def test_the_summary_names_the_baseline_and_the_choice(digits):
    images, truth, prepared = digits
    summary = fit_images(images, _few(truth, range(60)), SETTINGS, prepared=prepared).summary()
    names = [row["name"] for row in summary["candidates"]]
    assert "supervised" in names
    assert [row["name"] for row in summary["candidates"] if row["chosen"]] == [summary["method"]]
    assert 0 <= summary["supervised_accuracy"] <= 1
    assert summary["estimate"]["low"] < summary["estimate"]["value"] < summary["estimate"]["high"]
    assert "not known to be a random sample" in summary["warnings"][-1]


def test_one_class_is_refused_by_name(digits):
    images, truth, prepared = digits
    rows = np.flatnonzero(truth.y == 3)[:5]
    with pytest.raises(LabelError, match="the labels hold only '3'"):
        fit_images(images, _few(truth, rows), SETTINGS, prepared=prepared)


def test_copies_with_different_labels_are_named():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (30, 8, 8)).astype(np.uint8)
    pixels[7] = pixels[2]
    images = image_set_from_array(pixels)
    y = np.full(30, -1)
    y[:10] = np.arange(10) % 2
    result = fit_images(images, Labels(y, ("a", "b")), SETTINGS)
    assert any("2 and 7 are the same image, labelled 'a' and 'b'" in w for w in result.warnings)
    assert result.n_duplicates == 1


def test_what_more_labels_would_bring_is_told_or_why_not(digits):
    images, truth, prepared = digits
    result = fit_images(images, _few(truth, range(60)), SETTINGS, prepared=prepared)
    found = result.summary()["learning_curve"]
    assert found["n_now"] == 60
    assert found["next_n"] == 120
    assert found["shift"] > 0
    assert result.seconds["curve"] > 0
    few = fit_images(images, _few(truth, range(14)), SETTINGS, prepared=prepared)
    assert few.summary()["learning_curve"] is None
    assert "from 20 testable labels on" in few.summary()["no_learning_curve"]


def test_a_random_sample_and_an_audit_are_taken_at_their_word(digits):
    images, truth, prepared = digits
    drawn = _few(truth, range(60), ("random",) * 60 + ("",) * 340)
    curve = fit_images(images, drawn, SETTINGS, prepared=prepared).curve
    assert curve.shift == 0
    rows = np.arange(160)
    audited = _few(truth, rows, ("train",) * 60 + ("audit",) * 100 + ("",) * 240)
    result = fit_images(images, audited, SETTINGS, prepared=prepared)
    assert result.curve.n_now == 60
    assert result.curve.now.low - 0.05 < result.audit.value < result.curve.now.high + 0.05
    assert not np.allclose(result.curve.weights, result.curve.weights[0])
