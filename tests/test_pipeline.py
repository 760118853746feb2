"""The main job without networks, for one label an image and for several."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from fewlabel.data import Labels, image_set_from_array, load_images
from fewlabel.errors import LabelError, UsageError
from fewlabel.pipeline import FitSettings, fit_images
from tests.conftest import NAMES, pictures

PIXELS = FitSettings(features="pixels")


@pytest.mark.parametrize("method", ["auto", "graph", "blend", "supervised"])
def test_it_learns_and_estimates_what_it_reached(example, method):
    result = example.fit(method=method)
    rest = slice(80, None)
    reached = example.truth.task.correct(example.truth.y[rest], result.proba[rest]).mean()
    assert reached > 0.7
    assert result.estimate.low - 0.02 <= reached <= result.estimate.high + 0.02
    assert result.method == method or method == "auto"
    np.testing.assert_array_equal(result.tested, np.arange(80)[np.isin(range(80), result.tested)])
    if method != "auto":
        # Nothing is said of a comparison that was not made.
        assert [row.why for row in result.choice.table if row.chosen] == ["asked for"]
        assert "did not help" not in " ".join(result.warnings)


def test_given_labels_stand_and_unknown_ones_are_predicted(example, fitted):
    task, labels = fitted.task, example.labels
    _, known = task.evidence(labels.y, len(labels.classes))
    given, _ = task.evidence(labels.y, len(labels.classes))
    np.testing.assert_array_equal(fitted.proba[known], given[known])
    whole = known.all(axis=1)
    assert set(fitted.origin[whole]) == {"label"}
    assert "label" not in fitted.origin[~whole]
    assert ((fitted.proba[~known] > 0) & (fitted.proba[~known] < 1)).any()


def test_the_audit_is_measured_and_never_trained_on(example):
    purpose = ("train",) * 80 + ("audit",) * 40 + ("",) * (len(example.images) - 120)
    labels = example.known(range(120), purpose)
    y = labels.y.copy()
    y[80:120] = np.roll(y[80:120], 7, axis=0)
    result, other = (example.fit(found, method="graph") for found in (labels, replace(labels, y=y)))
    np.testing.assert_array_equal(result.proba, other.proba)
    assert result.audit.n == 40
    assert result.audit.is_random_sample
    assert result.audit.value > 0.7 > other.audit.value
    assert (result.origin[80:120] != "label").all()


def test_nothing_to_learn_is_an_error(example):
    task, n = example.truth.task, len(example.images)
    none = replace(example.truth, y=task.empty(n, len(example.truth.classes)))
    with pytest.raises(LabelError, match="nothing to learn: no image to train on is labeled"):
        example.fit(none)
    same = np.flatnonzero(task.stratify(example.truth.y) == task.stratify(example.truth.y)[0])
    rows = [i for i in same if (example.truth.y[i] == example.truth.y[same[0]]).all()][:5]
    name = example.truth.names()[rows[0]]
    with pytest.raises(LabelError, match=f"every image is labeled {name!r}".replace("|", r"\|")):
        example.fit(example.known(rows))


def test_two_different_images_must_be_labeled():
    X, _ = pictures(40, 0)
    X[1] = X[0]
    y = np.full((40, 3), -1, np.int8)
    y[:2] = [1, 0, 1], [0, 1, -1]
    with pytest.raises(LabelError, match="two different images"):
        fit_images(image_set_from_array(X), Labels(y, NAMES), PIXELS)


def test_copies_with_different_labels_are_named(example):
    y = example.truth.y[:60].copy()
    X = example.images.read(slice(0, 60), size=(16, 16))
    X[7] = X[2]
    y[7] = 1 - y[2] if y.ndim == 2 else (y[2] + 1) % 10
    labels = Labels(y, example.truth.classes)
    result = fit_images(image_set_from_array(X), labels, PIXELS)
    first, second = (labels.names()[i] for i in (2, 7))
    text = f"2 and 7 are the same image, labeled {first!r} and {second!r}"
    assert any(text in warning for warning in result.warnings)
    assert result.n_duplicates == 1


def test_classes_that_cannot_be_learned_are_named(shapes):
    y = shapes.labels.y
    y = np.column_stack([y, np.where(y[:, 0] >= 0, 0, -1), np.full(360, -1)]).astype(np.int8)
    y[5, :4] = 0
    y[6, :3] = 0
    result = shapes.fit(Labels(y, (*NAMES, "ghost", "spirit")))
    warnings = " ".join(result.warnings)
    assert "No image to train on has the class(es) ghost, spirit" in warnings
    assert "have none of the labels: they teach absence" in warnings
    assert not result.predicted[80:, 3:].any()


def test_a_method_for_one_label_is_refused_where_there_are_several(shapes):
    with pytest.raises(UsageError, match=r"one label an image|must be one of"):
        shapes.fit(method="propagated")


def test_what_more_labels_would_bring_or_why_that_is_unknown(digits):
    result = digits.fit(digits.known(range(60)))
    found = result.summary()["learning_curve"]
    assert found["n_now"] == 60
    assert found["next_n"] == 120
    assert found["shift"] > 0
    assert result.seconds["curve"] > 0
    few = digits.fit(digits.known(range(14))).summary()
    assert few["learning_curve"] is None
    assert "from 20 testable labels on" in few["no_learning_curve"]


def test_a_random_sample_needs_no_shift_and_an_audit_narrows_the_curve(digits):
    drawn = digits.known(range(60), ("random",) * 60 + ("",) * 340)
    assert digits.fit(drawn).curve.shift == 0
    purpose = ("train",) * 60 + ("audit",) * 100 + ("",) * 240
    result = digits.fit(digits.known(range(160), purpose))
    assert result.curve.n_now == 60
    assert result.curve.now.low - 0.05 < result.audit.value < result.curve.now.high + 0.05
    assert not np.allclose(result.curve.weights, result.curve.weights[0])


def test_colors_and_sizes_may_be_mixed(tmp_path):
    X, Y = pictures(60, 9)
    for number, pixels in enumerate(X):
        image = Image.fromarray(pixels)
        if number % 3 == 0:
            image = Image.merge("RGB", [image, image, Image.new("L", (16, 16))]).resize((40, 30))
        image.save(tmp_path / f"{number:02}.png")
    Image.new("L", (16, 16)).save(tmp_path / "empty.png")
    labels = Labels(np.vstack([Y, [[-1] * 3]]).astype(np.int8), NAMES)
    result = fit_images(load_images(tmp_path), labels, PIXELS)
    assert result.proba.shape == (61, 3)
    assert result.origin[-1] != "label"


def test_a_class_with_one_label_does_not_spoil_the_calibration(digits):
    rows = [*np.flatnonzero(digits.truth.y[:200] < 8)[:40], np.flatnonzero(digits.truth.y == 9)[0]]
    result = digits.fit(digits.known(rows))
    assert result.estimate.n_unseen == 1
    accuracy = result.task.correct(digits.truth.y[result.tested], result.tested_proba).mean()
    assert abs(result.task.confidence(result.tested_proba).mean() - accuracy) < 0.2
    assert result.scores["log_loss"] < 1.5


def test_copies_of_images_that_are_trained_on_are_no_audit(digits):
    pixels = digits.images.read(slice(None), size=(8, 8))[..., 0]
    pixels[300:310] = pixels[:10]
    rows = [*range(80), *range(300, 330)]
    labels = digits.known(rows, ["random"] * 80 + [""] * 220 + ["audit"] * 30 + [""] * 70)
    result = fit_images(image_set_from_array(pixels), labels, FitSettings(features="pixels"))
    assert result.audit.n == 20
    assert any("10 image(s) of the audit are exact copies" in text for text in result.warnings)
