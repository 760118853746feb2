import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view

from fewlabel.features import filters as filters_module
from fewlabel.features.filters import (
    VARIANCE_FLOOR,
    WHITENING_FLOOR,
    _learn_filters,
    _pooled_responses,
    _sample_patches,
)


def natural(n, height, width, channels, seed=0):
    """Images with smooth shapes and some noise, from 0 to 1."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    phase = rng.uniform(0, 6, size=(n, 1, 1, channels))
    slope = rng.uniform(-0.8, 0.8, size=(2, n, 1, 1, 1))
    wave = np.sin(slope[0] * rows[..., None] + slope[1] * columns[..., None] + phase)
    images = 0.5 + 0.4 * wave + 0.1 * rng.normal(size=(n, height, width, channels))
    return images.clip(0, 1).astype(np.float32)


def learn(images, n_filters=6, *, patch_size=3, stride=1, pad=1, grid=2, n_patches=800):
    rng = np.random.default_rng(0)
    patches = _sample_patches(images, n_patches, patch_size, pad, rng)
    settings = {"patch_size": patch_size, "stride": stride, "pad": pad, "grid": grid}
    return patches, _learn_filters(patches, n_filters, threshold=0.25, rng=rng, **settings)


def cells(length, grid):
    bounds = np.linspace(0, length, grid + 1).round().astype(int)
    return list(itertools.pairwise(bounds))


def slow_responses(images, filters):
    """The formula, in float64."""
    pad, size, stride = filters.pad, filters.patch_size, filters.stride
    padded = np.pad(images.astype(np.float64), ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    windows = sliding_window_view(padded, (size, size), axis=(1, 2))[:, ::stride, ::stride]
    patches = windows.reshape(*windows.shape[:3], -1)
    spread = np.sqrt(patches.var(axis=-1, keepdims=True) + VARIANCE_FLOOR)
    patches = (patches - patches.mean(axis=-1, keepdims=True)) / spread
    response = patches @ filters.weight.astype(np.float64) + filters.bias
    maps = [np.maximum(sign * response - filters.threshold, 0) for sign in (1, -1)]
    pooled = [
        signed[:, a:b, c:d].mean(axis=(1, 2))
        for signed in maps
        for a, b in cells(response.shape[1], filters.grid)
        for c, d in cells(response.shape[2], filters.grid)
    ]
    return np.sqrt(np.concatenate(pooled, axis=1))


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ((12, 12, 1), {}),
        ((12, 12, 3), {}),
        ((11, 17, 1), {"patch_size": 5, "pad": 1, "grid": 3}),
        ((13, 10, 3), {"stride": 2, "grid": 3}),
        ((16, 16, 1), {"patch_size": 7, "pad": 2, "stride": 2, "grid": 4}),
        ((9, 9, 3), {"patch_size": 3, "pad": 0, "stride": 3, "grid": 1}),
        ((5, 4, 3), {"patch_size": 1, "pad": 0, "grid": 2}),
    ],
)
def test_responses_follow_the_formula(shape, settings):
    images = natural(6, *shape)
    _, filters = learn(images, **settings)
    fast = _pooled_responses(images, filters)
    assert fast.dtype == np.float32
    assert fast.shape == (6, filters.n_values) == (6, 2 * filters.grid**2 * len(filters.bias))
    assert fast.max() > 0.1
    # The square root magnifies what is rounded near zero.
    np.testing.assert_allclose(fast**2, slow_responses(images, filters) ** 2, atol=2e-5)


def test_whitening_is_folded_into_the_filters():
    """A response is the filter's product with the normalized, whitened patch."""
    patches, filters = learn(natural(20, 14, 14, 1))
    normalized = patches - patches.mean(axis=1, keepdims=True)
    normalized /= np.sqrt(normalized.var(axis=1, keepdims=True) + VARIANCE_FLOOR)
    mean = normalized.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(normalized, rowvar=False))
    whitening = (vectors / np.sqrt(np.maximum(values, 0) + WHITENING_FLOOR)) @ vectors.T
    dictionary = np.linalg.lstsq(whitening, filters.weight, rcond=None)[0]
    # The filters are directions: of length 1, but for the mean that was taken out.
    np.testing.assert_allclose(np.linalg.norm(dictionary, axis=0), 1, atol=0.01)
    folded = normalized @ filters.weight + filters.bias
    np.testing.assert_allclose(folded, (normalized - mean) @ whitening @ dictionary, atol=1e-3)
    np.testing.assert_allclose(filters.weight.sum(axis=0), 0, atol=1e-5)
    spread = ((normalized - mean) @ whitening @ dictionary).std()
    assert filters.threshold == pytest.approx(0.25 * spread, rel=0.01)


@pytest.mark.parametrize("values", [1, 5_000, 10**9])
def test_neither_the_size_of_a_block_nor_the_type_matters(values, monkeypatch):
    images = (natural(23, 15, 15, 1) * 255).round().astype(np.uint8)
    fractions = images.astype(np.float32) / 255
    _, filters = learn(fractions)
    expected = _pooled_responses(fractions, filters)
    monkeypatch.setattr(filters_module, "_VALUES_A_BLOCK", values)
    for given in (images, fractions):
        np.testing.assert_allclose(_pooled_responses(given, filters), expected, atol=1e-5)


@pytest.mark.parametrize("brightness", [0.0, 0.7])
def test_dark_and_bright_images_alike(brightness):
    # Of bright patches with little contrast the mean is a hundred times what matters.
    images = brightness + (1 - brightness) * natural(10, 14, 14, 1)
    _, filters = learn(images, 10)
    exact, fast = slow_responses(images, filters), _pooled_responses(images, filters)
    assert np.linalg.norm(fast - exact) / np.linalg.norm(exact - exact.mean(axis=0)) < 1e-3


def test_a_sign_that_no_filter_responds_with_is_exactly_zero():
    images = natural(6, 12, 12, 1)
    _, filters = learn(images)
    # Rounding here would be taken for a feature, and scaled up as one.
    up, down = (replace(filters, bias=np.full_like(filters.bias, b)) for b in (100, -100))
    half = filters.n_values // 2
    assert (_pooled_responses(images, up)[:, half:] == 0).all()
    assert (_pooled_responses(images, down)[:, :half] == 0).all()


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_constant_images_have_finite_features(level):
    images = np.full((30, 9, 9, 3), level, np.float32)
    _, filters = learn(images, 8, pad=0)
    features = _pooled_responses(images, filters)
    assert np.isfinite(features).all()
    assert np.isfinite(filters.weight).all()
    # All patches are alike: there is one direction to learn, not eight.
    assert len(filters.bias) == 1
    np.testing.assert_allclose(features, features[:1].repeat(30, axis=0), atol=1e-5)
    # A blank patch responds like any other blank patch.
    _, filters = learn(natural(10, 9, 9, 3), pad=0)
    blank, black = (_pooled_responses(x, filters) for x in (images[:1], 0 * images[:1]))
    np.testing.assert_allclose(blank, black, atol=0.02)


def test_fewer_different_patches_than_filters():
    images = np.zeros((10, 6, 6, 1), np.float32)
    images[:, 3:] = 1
    # An edge at one of two heights: all other patches are blank.
    assert len(learn(images, 50, pad=0, n_patches=3_000)[1].bias) == 2


def test_patches_are_cut_from_the_images_channel_by_channel_and_from_their_padding():
    rng = np.random.default_rng(0)
    images = np.arange(2 * 6 * 5 * 3, dtype=np.float32).reshape(2, 6, 5, 3)
    patches = _sample_patches(images, 200, 2, 0, rng)
    assert patches.shape == (200, 12)
    for patch in patches:
        n, row, column, channel = np.unravel_index(int(patch[0]), images.shape)
        assert channel == 0
        window = images[n, row : row + 2, column : column + 2]
        np.testing.assert_array_equal(patch, window.transpose(2, 0, 1).ravel())
    assert len(np.unique(patches[:, 0])) > 30
    padded = _sample_patches(np.ones((1, 4, 4, 1), np.float32), 300, 3, 2, rng)
    assert padded.min() == 0
    assert padded.sum(axis=1).min() == 1


def test_threads_change_nothing(monkeypatch):
    monkeypatch.setattr(filters_module, "_VALUES_A_BLOCK", 5_000)
    images = np.random.default_rng(0).integers(0, 256, (60, 12, 12, 1), dtype=np.uint8)
    filters = learn(images)[1]
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = _pooled_responses(images, filters)
        torch.set_num_threads(4)
        np.testing.assert_array_equal(_pooled_responses(images, filters), alone)
    finally:
        torch.set_num_threads(before)
