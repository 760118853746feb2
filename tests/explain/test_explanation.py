import json

import numpy as np
import pytest

from fewlabel.errors import DataError, UsageError
from fewlabel.explain.explanation import explain_image
from fewlabel.explain.occlusion import _segment_means


def left_or_right(images):
    """Two classes: how bright the left half is, and how bright the right half is."""
    middle = images.shape[2] // 2
    sides = [images[:, :, :middle], images[:, :, middle:]]
    left, right = (side.mean(axis=(1, 2, 3)) / 255 for side in sides)
    odds = np.exp(4 * (left - right))
    return np.stack([odds / (1 + odds), 1 / (1 + odds)], axis=1)


@pytest.mark.parametrize("shape", [(28, 28, 1), (8, 8, 3), (80, 96, 3)])
def test_what_speaks_for_a_class_is_green_and_what_speaks_against_it_red(shape):
    image = np.random.default_rng(0).integers(100, 256, shape).astype(np.uint8)
    dark = explain_image(left_or_right, image // 4 + 128, target=0, n_samples=400, fill="gray")
    assert len(dark.weights) >= 16
    assert dark.stability > 0.3
    column = np.arange(shape[1])[None, :].repeat(shape[0], 0)
    is_left = _segment_means(column, dark.segments) < shape[1] / 2
    assert dark.weights[is_left].mean() > 0 > dark.weights[~is_left].mean()
    assert dark.occlusion[:, 0].mean() > 0 > dark.occlusion[:, -1].mean()
    assert dark.agreement > 0.5


def test_more_samples_are_more_stable():
    image = np.random.default_rng(0).integers(0, 256, (28, 28, 1)).astype(np.uint8)
    found = (explain_image(left_or_right, image, n_samples=n, fill="gray") for n in (60, 1500))
    few, many = (explanation.stability for explanation in found)
    assert max(few, 0.8) < many


def test_segments_that_are_the_fill_already_have_no_weight():
    image = np.zeros((28, 28, 1), np.uint8)
    image[8:20, 4:12] = 220
    found = explain_image(left_or_right, image, n_samples=200)
    assert found.fill == "background"
    assert found.active.sum() == 6
    assert (found.weights[~found.active] == 0).all()
    assert (found.weights[found.active] > 0).all()


def test_a_picture_of_nothing_or_of_chance_carries_a_warning():
    found = explain_image(left_or_right, np.full((28, 28), 9, np.uint8), n_samples=20)
    assert len(found.weights) == 49
    assert not found.weights.any()
    assert np.isnan(found.stability)
    assert "nothing in this image speaks for the class" in found.notes[0]
    rng = np.random.default_rng(0)

    def chance(images):
        p = rng.random(len(images))
        return np.stack([p, 1 - p], axis=1)

    image = rng.integers(0, 256, (28, 28, 1)).astype(np.uint8)
    found = explain_image(chance, image, n_samples=100)
    assert found.stability < 0.5
    assert "The repeats hardly agree" in found.notes[0]


def test_the_record_is_json_and_progress_is_reported():
    steps = []
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    settings = {"n_samples": 50, "repeats": 2, "progress": lambda *step: steps.append(step)}
    found = explain_image(left_or_right, image, **settings)
    record = found.to_dict()
    assert json.loads(json.dumps(record)) == record
    assert record["n_segments"] == len(record["weights"]) == len(record["occlusion"]) == 16
    assert record["n_repeats"] == 2
    assert steps[-1] == ("LIME", 100, 100)


def test_mistakes_are_named():
    image = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(UsageError, match=r"target must be a class from 0 to 1. Got 2"):
        explain_image(left_or_right, image, target=2)
    with pytest.raises(UsageError, match=r"repeats must be at least 1. Got 0"):
        explain_image(left_or_right, image, repeats=0)
    with pytest.raises(DataError, match=r"uint8 array of shape .* Got float64 of shape \(8, 8\)"):
        explain_image(left_or_right, np.zeros((8, 8)))
