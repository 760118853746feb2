"""What a fit refuses, and what it warns of, for one label an image and for several."""

from dataclasses import replace

import numpy as np
import pytest

from fewlabel.data import Labels, image_set_from_array
from fewlabel.errors import LabelError
from fewlabel.evaluate import CandidateScore, Choice
from fewlabel.fit_checks import _check_trainable, _fit_warnings
from fewlabel.pipeline import FitSettings, fit_images
from tests.conftest import NAMES, pictures

NONE = Choice("graph", ())


def scored(name):
    return CandidateScore(name, 0.9, 0.0, 0.1, {}, name == "supervised", "")


def pixels(example, n):
    return example.images.subset(range(n)).read(slice(None), size=(16, 16))


def test_nothing_to_learn_is_an_error(example):
    task, truth = example.truth.task, example.truth
    none = replace(truth, y=task.empty(len(truth.y), len(truth.classes)))
    with pytest.raises(LabelError, match="nothing to learn: no image to train on is labeled"):
        _check_trainable(example.images, none)
    codes = task.stratify(truth.y)
    same = np.flatnonzero(codes == codes[0])
    rows = [i for i in same if (truth.y[i] == truth.y[same[0]]).all()][:5]
    name = truth.names()[rows[0]]
    with pytest.raises(LabelError, match=f"every image is labeled {name!r}".replace("|", r"\|")):
        _check_trainable(example.images, example.known(rows))


def test_two_different_images_must_be_labeled():
    X, _ = pictures(40, 0)
    X[1] = X[0]
    y = np.full((40, 3), -1, np.int8)
    y[:2] = [1, 0, 1], [0, 1, -1]
    with pytest.raises(LabelError, match="two different images"):
        _check_trainable(image_set_from_array(X), Labels(y, NAMES))


def test_copies_with_different_labels_are_named(example):
    y = example.truth.y[:60].copy()
    X = pixels(example, 60)
    X[7] = X[2]
    y[7] = 1 - y[2] if y.ndim == 2 else (y[2] + 1) % 10
    labels = Labels(y, example.truth.classes)
    first, second = (labels.names()[i] for i in (2, 7))
    text = f"2 and 7 are the same image, labeled {first!r} and {second!r}"
    assert any(text in each for each in _fit_warnings(image_set_from_array(X), labels, NONE, None))


def test_copies_of_images_that_are_trained_on_are_no_audit(digits):
    X = pixels(digits, 400)
    X[300:310] = X[:10]
    rows = [*range(80), *range(300, 330)]
    labels = digits.known(rows, ["random"] * 80 + [""] * 220 + ["audit"] * 30 + [""] * 70)
    result = fit_images(image_set_from_array(X), labels, FitSettings(features="pixels"))
    assert (result.audit.n, result.n_duplicates) == (20, 10)
    assert any("10 image(s) of the audit are exact copies" in text for text in result.warnings)


def test_classes_that_cannot_be_learned_are_named(shapes):
    y = shapes.labels.y
    y = np.column_stack([y, np.where(y[:, 0] >= 0, 0, -1), np.full(360, -1)]).astype(np.int8)
    y[5, :4] = 0
    y[6, :3] = 0
    labels = Labels(y, (*NAMES, "ghost", "spirit"))
    warnings = " ".join(_fit_warnings(shapes.images, labels, NONE, None))
    assert "No image to train on has the class(es) ghost, spirit" in warnings
    assert "have none of the labels: they teach absence" in warnings
    assert not shapes.fit(labels).predicted[80:, 3:].any()


def test_that_the_unlabeled_images_did_not_help_is_said_where_it_was_measured(digits):
    compared = Choice("supervised", (scored("graph"), scored("supervised")))
    asked = Choice("supervised", (scored("supervised"),))
    for choice, is_warned in ((compared, True), (asked, False), (NONE, False)):
        found = _fit_warnings(digits.images, digits.labels, choice, None)
        assert any("did not help" in text for text in found) == is_warned


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X[::2].fill(7), "20 of 40 images are of one color (flat), so they show nothing"),
        (lambda X: X[20:30].__setitem__(..., X[:10]), "10 of 40 images are identical to another"),
        (lambda X: None, ""),
        (lambda X: X[:5].fill(7), ""),
    ],
)
def test_many_images_that_show_nothing_or_the_same_are_warned_of(change, message):
    X, y = pictures(40, 0)
    change(X)
    warnings = _fit_warnings(image_set_from_array(X), Labels(y, NAMES), NONE, None)
    found = " ".join(text for text in warnings if " of 40 images are" in text)
    assert message in found
    assert bool(message) == bool(found)


def test_images_that_white_hides_are_laid_on_another_ground():
    alpha, y = pictures(40, 0)
    icons = np.stack([np.full_like(alpha, 255)] * 3 + [alpha], axis=3)
    warnings = _fit_warnings(image_set_from_array(icons), Labels(y, NAMES), NONE, None)
    assert any("laid on black" in text for text in warnings)


@pytest.mark.parametrize(
    ("n_random", "n_train", "warned"), [(5, 40, True), (9, 40, False), (5, 20, False)]
)
def test_random_images_that_were_passed_over_are_warned_of(digits, n_random, n_train, warned):
    rest = len(digits.images) - 50
    purpose = ("random",) * 10 + ("train",) * 40 + ("",) * rest
    labels = digits.known([*range(n_random), *range(10, 10 + n_train)], purpose)
    found = " ".join(_fit_warnings(digits.images, labels, NONE, None))
    assert warned == ("5 of 10 random images were left without a label" in found)
