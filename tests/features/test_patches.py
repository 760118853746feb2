import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from fewlabel.errors import UsageError
from fewlabel.features import patches as patches_module
from fewlabel.features.patches import PatchDictionary


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
