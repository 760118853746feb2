import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from fewlabel.errors import UsageError
from fewlabel.features import patches as patches_module
from fewlabel.features.patches import PatchDictionary, _deform, _reduce_invariantly


def quick(**parameters):
    return PatchDictionary(8, n_patches=2_000, random_state=0, **parameters)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(256, size=shape).astype(np.uint8)


@pytest.fixture(scope="module")
def X(digits):
    return digits.images.read(slice(None))[..., 0]


def test_the_features_tell_digits_apart():
    bunch = load_digits()
    model = PatchDictionary(40, n_patches=20_000, n_components=64, random_state=0)
    features = model.fit_transform((bunch.images * 15.9).astype(np.uint8))
    assert features.shape == (1797, 64)
    assert features.dtype == np.float32
    classifier = KNeighborsClassifier(1, metric="cosine").fit(features[:300], bunch.target[:300])
    assert classifier.score(features[300:], bunch.target[300:]) > 0.8


@pytest.mark.parametrize("size", [(8, 8), (9, 13), (13, 9), (1, 1), (2, 40)])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_images_of_any_shape(size, channels):
    X = noise(20, *size, *channels)
    model = quick(n_components=5).fit(X)
    features = model.transform(X)
    assert np.isfinite(features).all()
    # A patch of a single gray pixel has no contrast.
    assert (features.std() > 0) == (min(size) > 2 or channels == (3,))
    assert model.image_shape_ == (*size, *(channels or (1,)))
    assert features.shape == (20, len(model.get_feature_names_out()))


def test_large_images_are_strided_to_about_28_steps():
    model = quick(n_components=None, patch_size=9).fit(noise(3, 84, 100, 3))
    assert model.filters_.stride == 3
    assert model.filters_.patch_size == 9
    assert model.transform(noise(2, 84, 100, 3)).shape == (2, 2 * 16 * 8)


def test_rows_are_square_images_unless_told_otherwise(X):
    by_image = quick(n_components=10).fit_transform(X)
    rows = X.reshape(len(X), 64)
    np.testing.assert_allclose(quick(n_components=10).fit_transform(rows), by_image, atol=1e-5)
    wide = quick(n_components=10, image_shape=(4, 16)).fit(rows)
    assert wide.image_shape_ == (4, 16, 1)
    color = quick(n_components=10, image_shape=(4, 4, 3)).fit(noise(30, 48))
    assert color.image_shape_ == (4, 4, 3)


def test_the_block_size_does_not_matter(X, monkeypatch):
    model = quick(n_components=10).fit(X)
    expected = model.transform(X)
    monkeypatch.setattr(patches_module, "_BLOCK", 7)
    np.testing.assert_allclose(model.transform(X), expected, atol=1e-5)


def test_the_images_that_patches_are_cut_from_are_bounded(X, monkeypatch):
    seen = []
    real = patches_module._sample_patches

    def spy(images, *rest):
        seen.append(len(images))
        return real(images, *rest)

    monkeypatch.setattr(patches_module, "_sample_patches", spy)
    monkeypatch.setattr(patches_module, "_POOL_VALUES", 64 * 20)
    quick(n_components=None).fit(X)
    assert seen == [20]


def test_images_of_another_shape():
    with pytest.raises(ValueError, match=r"shape \(8, 9, 1\), but PatchDictionary was fitted on"):
        quick(n_components=3).fit(noise(10, 8, 8)).transform(noise(2, 8, 9))
    with pytest.raises(UsageError, match=r"X must have 2, 3 or 4 dimensions. Got 5 instead"):
        quick().fit(noise(2, 3, 3, 3, 3))
    with pytest.raises(UsageError, match=r"must match the 64 columns of X. Got \(8, 9\)"):
        quick(image_shape=(8, 9)).fit(noise(10, 64))


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
