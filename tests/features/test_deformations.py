import numpy as np
import pytest

from fewlabel.features.patches import _deform, _reduce_invariantly


def describe(images):
    """Where the light of an image is, and how much there is."""
    pixels = images.reshape(len(images), *images.shape[1:3]).astype(np.float32)
    total = pixels.sum(axis=(1, 2)) + 1e-3
    places = [(pixels.sum(axis) * np.arange(28)).sum(1) / total for axis in (1, 2)]
    return np.column_stack([*places, total / 1e3]).astype(np.float32)


def bars(n=300, seed=0):
    """Bars that differ in how wide and where they are."""
    rng = np.random.default_rng(seed)
    images = np.zeros((n, 28, 28, 1), np.uint8)
    for image in images:
        width, (top, left) = rng.integers(4, 9), rng.integers(10, 14, 2)
        image[top : top + 6, left : left + width] = 200
    return images


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_an_image_moves_a_little_and_keeps_its_light(dtype):
    images = bars().astype(dtype)
    moved = _deform(images, np.random.default_rng(0))
    assert (moved.shape, moved.dtype) == (images.shape, dtype)
    before, after = describe(images), describe(moved)
    steps = np.abs(after - before)[:, :2]
    assert 0.3 < steps.mean() < 1.5
    assert steps.max() < 4
    np.testing.assert_allclose(after[:, 2], before[:, 2], rtol=0.25)


def test_what_deformations_leave_alone_comes_first():
    """Bars differ most in where they are, but that is what deformations change."""
    images = bars()
    rows = describe(images)
    reducer = _reduce_invariantly(images, rows.copy(), describe, 2, 0.25, np.random.default_rng(0))
    reduced = reducer.transform(rows)
    assert reduced.shape == (300, 2)
    assert abs(np.corrcoef(reduced[:, 0], rows[:, 2])[0, 1]) > 0.95
    assert reducer.eigenvalues_[0] > reducer.eigenvalues_[1]
    again = _reduce_invariantly(images, rows.copy(), describe, 2, 0.25, np.random.default_rng(0))
    np.testing.assert_array_equal(again.transform(rows), reduced)


@pytest.mark.parametrize("n", [1, 5])
def test_equal_images_have_a_useless_row(n):
    images = np.full((n, 28, 28, 1), 7, np.uint8)
    reducer = _reduce_invariantly(
        images, describe(images), describe, 3, 0.25, np.random.default_rng(0)
    )
    assert np.ptp(reducer.transform(describe(images)), axis=0).max() == 0
    assert np.isfinite(reducer.components_).all()
