import numpy as np
import pytest

from fewlabel.errors import DataError, UsageError
from fewlabel_experiments.combo.generator import make_combo
from fewlabel_experiments.combo.preprocess import (
    HOWS,
    PreprocessSettings,
    preprocess_images,
    preprocessing_steps,
    recompose,
)
from fewlabel_experiments.combo.settings import ComboLayout, ComboNoise, ComboSettings

QUIET = ComboNoise(gaussian=(0.02, 0.05), salt_pepper=(0.0, 0.02), contrast=(0.6, 0.75))


@pytest.fixture(scope="module")
def images(glyphs):
    settings = ComboSettings(noise=QUIET)
    return make_combo(60, 0, 0, glyphs=glyphs, settings=settings).labeled.images


def test_both_characters_come_to_their_places(images):
    done = preprocess_images(images)
    assert done.images.shape == images.shape
    assert done.images.dtype == np.uint8
    assert done.counts["failed"] <= 3
    assert sum(done.counts.values()) == len(images)
    found = done.images[done.how > 0] > 60
    for half in (found[:, :, :28], found[:, :, 28:]):
        rows, columns = half.any(axis=2), half.any(axis=1)
        assert rows.any(axis=1).mean() > 0.95
        assert not rows[:, :12].any()
        assert not rows[:, 44:].any()
        assert not columns[:, 0].any()


def test_cropped_images_hold_the_same_characters_in_half_the_rows(images):
    whole = preprocess_images(images)
    cropped = preprocess_images(images, PreprocessSettings(crop=True))
    assert cropped.images.shape == (len(images), 28, 56)
    np.testing.assert_array_equal(cropped.how, whole.how)
    found = whole.how > 0
    np.testing.assert_array_equal(cropped.images[found], whole.images[found, 14:42])
    # The last of a soft edge may be left out.
    assert np.delete(whole.images[found], np.arange(14, 42), axis=1).max() < 10


@pytest.mark.parametrize(("height", "kept"), [(20, 20), (40, 28), (101, 50)])
def test_images_of_any_height_are_cropped_to_what_holds_a_character(height, kept):
    images = np.random.default_rng(0).integers(256, size=(2, height, 56), dtype=np.uint8)
    assert preprocess_images(images, PreprocessSettings(crop=True)).images.shape == (2, kept, 56)


def test_an_image_without_characters_is_squeezed_and_not_cut():
    image = np.zeros((1, 56, 56), dtype=np.uint8)
    # A thin upright line at the border: too narrow for two characters.
    image[0, :, :3] = 200
    done = preprocess_images(image, PreprocessSettings(crop=True))
    assert done.counts["failed"] == 1
    np.testing.assert_array_equal(done.images[0], image[0, ::2])


def test_touching_characters_are_cut(glyphs):
    settings = ComboSettings(layout=ComboLayout(touching=1.0, lines=2.0), noise=QUIET)
    images = make_combo(40, 0, 0, glyphs=glyphs, settings=settings).labeled.images
    cut = preprocess_images(images).counts
    assert cut["eroded"] == 0
    assert cut["cut"] > 10
    assert cut["failed"] <= 2
    eroded = preprocess_images(images, PreprocessSettings(erode=True)).counts
    assert eroded["eroded"] > 0
    assert eroded["eroded"] + eroded["cut"] == cut["cut"]
    uncut = preprocess_images(images, PreprocessSettings(cut=False, second_look=False))
    assert uncut.counts["failed"] > 10
    np.testing.assert_array_equal(uncut.images[uncut.how == 0], images[uncut.how == 0])


RNG = np.random.default_rng(0)
NOISE = [
    np.clip(RNG.normal(100, 30, (8, 56, 56)), 0, 255),
    RNG.integers(0, 256, (8, 56, 56)),
    255 * (RNG.random((8, 56, 56)) < 0.05),
]
EMPTY = [np.full((n, 56, 56), value) for n, value in ((0, 0), (3, 0), (3, 128), (3, 255))]


@pytest.mark.parametrize("number", range(len(EMPTY + NOISE)))
def test_images_that_are_empty_or_noise_alone_go_through_and_are_counted(number):
    images = (EMPTY + NOISE)[number].astype(np.uint8)
    done = preprocess_images(images)
    assert done.images.shape == images.shape
    np.testing.assert_array_equal(done.images[done.how == 0], images[done.how == 0])
    assert sum(done.counts.values()) == len(images)
    if number < len(EMPTY):
        assert done.counts["failed"] == len(images)


def test_every_step_can_be_left_out(images):
    base = preprocess_images(images[:8]).images
    for change in ({"specks": False}, {"sigma": 0.0}, {"opening": 2}, {"compose": False}):
        done = preprocess_images(images[:8], PreprocessSettings(**change))
        assert (done.images != base).any(), change
    largest = preprocess_images(images[:8], PreprocessSettings(merge=False))
    assert largest.counts["merged"] == 0


def test_a_faint_character_is_found_at_the_second_look():
    image = np.full((1, 56, 56), 20, dtype=np.uint8)
    image[0, 10:30, 5:15] = 220
    image[0, 10:30, 35:45] = 55
    blind = PreprocessSettings(second_look=False)
    assert HOWS[preprocessing_steps(image, blind).how[0]] == "failed"
    steps = preprocessing_steps(image)
    assert HOWS[steps.how[0]] == "apart"
    assert np.unique(steps.parts[0, 15:25, 37:43]).tolist() == [2]


def test_recomposed_characters_keep_their_shape():
    images = np.full((1, 56, 56), 200, dtype=np.uint8)
    parts = np.zeros((1, 56, 56), dtype=np.int8)
    parts[0, 2:20, 3:12] = 1
    parts[0, 30:36, 30:48] = 2
    ink = recompose(images, parts)[0] > 100
    for half, ratio in ((ink[:, :28], 20 / 11), (ink[:, 28:], 8 / 20)):
        height, width = half.any(axis=1).sum(), half.any(axis=0).sum()
        assert height / width == pytest.approx(ratio, rel=0.15)
        assert 23 <= max(height, width) <= 26


@pytest.mark.parametrize(
    ("images", "settings", "message"),
    [
        (np.zeros((2, 56, 56, 3), np.uint8), {}, "make colors gray first"),
        (np.zeros((2, 56, 56)), {}, r"\(n, H, W\) uint8. Got \(2, 56, 56\) float64"),
        (np.zeros((2, 0, 56), np.uint8), {}, r"Got \(2, 0, 56\)"),
        (None, {"compose": False, "crop": True}, "crops only images that it composes anew"),
        (None, {"erode": True, "cut": False}, "erodes only what it may cut"),
        (None, {"sigma": -1}, r"sigma from 0 to 10 and an opening from 1 to 9\. Got -1"),
    ],
)
def test_refuses_other_images_and_settings(images, settings, message):
    with pytest.raises(DataError if settings == {} else UsageError, match=message):
        preprocess_images(images, PreprocessSettings(**settings))
