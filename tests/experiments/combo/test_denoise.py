import numpy as np
import pytest
from scipy import ndimage

from fewlabel_experiments.combo.denoise import blur, flatten, open_masks, remove_specks, threshold

RNG = np.random.default_rng(0)


def test_salt_and_pepper_become_the_median_and_the_rest_stays():
    images = RNG.integers(1, 255, (2, 20, 30), dtype=np.uint8)
    specks = RNG.random(images.shape) < 0.1
    noisy = np.where(specks, RNG.choice(np.array([0, 255], np.uint8), images.shape), images)
    medians = ndimage.median_filter(noisy, (1, 3, 3), mode="nearest")
    np.testing.assert_array_equal(remove_specks(noisy), np.where(specks, medians, images))
    # Blur stays within an image.
    flat = np.stack([np.zeros((9, 9), np.uint8), np.full((9, 9), 100, np.uint8)])
    for sigma in (0.0, 1.0):
        np.testing.assert_array_equal(blur(flat, sigma), flat)


def test_a_slanting_background_goes_and_ink_stays():
    y, x = np.mgrid[:56, :56]
    image = (50 + 0.5 * x - 0.3 * y).astype(np.float32)
    image[20:40, 25:30] += 100
    flat = flatten(image[None])[0]
    ink = np.zeros((56, 56), bool)
    ink[20:40, 25:30] = True
    assert np.abs(flat[~ink]).max() < 1
    assert np.abs(flat[ink] - 100).max() < 1


def test_the_threshold_is_that_of_otsu():
    values = np.concatenate([RNG.normal(0, 5, 2000), RNG.normal(60, 10, 500)])
    images = np.stack([values, values * 3 + 7]).reshape(2, 50, 50).astype(np.float32)
    masks, levels = threshold(images)
    assert 15 < levels[0] < 40
    np.testing.assert_array_equal(masks[0], masks[1])
    flat = np.full((1, 8, 8), 3.0, np.float32)
    assert not threshold(flat)[0].any()


@pytest.mark.parametrize(("size", "kept"), [(1, True), (2, False)])
def test_opening_takes_hairs_but_no_strokes(size, kept):
    mask = np.zeros((1, 20, 20), dtype=bool)
    mask[0, 5, 2:18] = True
    mask[0, 10:13, 2:18] = True
    opened = open_masks(mask, size)[0]
    assert opened[5].any() == kept
    assert opened[10:13, 2:18].all()
