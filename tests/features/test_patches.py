import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import KNeighborsClassifier

from fewlabel.errors import UsageError
from fewlabel.features import patches as patches_module
from fewlabel.features.patches import PatchDictionary


@pytest.fixture(scope="module")
def digits():
    bunch = load_digits()
    return (bunch.images * 15.9).astype(np.uint8), bunch.target


def quick(**parameters):
    return PatchDictionary(8, n_patches=2_000, random_state=0, **parameters)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(256, size=shape).astype(np.uint8)


def test_the_features_tell_digits_apart(digits):
    X, y = digits
    model = PatchDictionary(40, n_patches=20_000, n_components=64, random_state=0)
    features = model.fit(X).transform(X)
    assert features.shape == (1797, 64)
    assert features.dtype == np.float32
    classifier = KNeighborsClassifier(1, metric="cosine").fit(features[:300], y[:300])
    assert classifier.score(features[300:], y[300:]) > 0.8


@pytest.mark.parametrize(
    "shape",
    [
        (20, 8, 8),
        (20, 8, 8, 3),
        (20, 9, 13),
        (20, 13, 9, 3),
        (20, 1, 1),
        (20, 1, 1, 3),
        (20, 2, 40),
    ],
)
def test_images_of_any_shape(shape):
    X = noise(*shape)
    model = quick(n_components=5).fit(X)
    features = model.transform(X)
    assert len(features) == 20
    assert np.isfinite(features).all()
    assert model.image_shape_ == (*shape[1:3], shape[3] if len(shape) == 4 else 1)
    assert features.shape[1] == len(model.get_feature_names_out())


def test_large_images_are_strided_to_about_28_steps():
    model = quick(n_components=None, patch_size=9).fit(noise(3, 84, 100, 3))
    assert model.filters_.stride == 3
    assert model.filters_.patch_size == 9
    assert model.transform(noise(2, 84, 100, 3)).shape == (2, 2 * 16 * 8)


def test_constant_images_make_a_useless_feature_and_no_warning():
    features = PatchDictionary(random_state=0).fit_transform(np.full((30, 8, 8), 7, np.uint8))
    assert features.shape == (30, 1)
    np.testing.assert_allclose(features, 0, atol=1e-4)


def test_rows_are_square_images_unless_told_otherwise(digits):
    X = digits[0][:100]
    by_image = quick(n_components=10).fit_transform(X)
    rows = X.reshape(100, 64)
    np.testing.assert_allclose(quick(n_components=10).fit_transform(rows), by_image, atol=1e-5)
    wide = quick(n_components=10, image_shape=(4, 16)).fit(rows)
    assert wide.image_shape_ == (4, 16, 1)
    color = quick(n_components=10, image_shape=(4, 4, 3)).fit(noise(30, 48))
    assert color.image_shape_ == (4, 4, 3)


def test_the_block_size_does_not_matter(digits, monkeypatch):
    X = digits[0][:300]
    model = quick(n_components=10).fit(X)
    expected = model.transform(X)
    monkeypatch.setattr(patches_module, "_BLOCK", 7)
    np.testing.assert_allclose(model.transform(X), expected, atol=1e-5)


def test_the_same_seed_gives_the_same_features(digits):
    X = digits[0][:200]
    a, b = (quick(n_components=10).fit_transform(X) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    other = PatchDictionary(8, n_patches=2_000, n_components=10, random_state=1).fit_transform(X)
    assert not np.array_equal(a, other)


def test_the_images_that_patches_are_cut_from_are_bounded(digits, monkeypatch):
    seen = []
    real = patches_module._sample_patches

    def spy(images, *rest):
        seen.append(len(images))
        return real(images, *rest)

    monkeypatch.setattr(patches_module, "_sample_patches", spy)
    monkeypatch.setattr(patches_module, "_POOL_VALUES", 64 * 20)
    quick(n_components=None).fit(digits[0])
    assert seen == [20]


def test_other_images_than_in_fit():
    model = quick(n_components=3).fit(noise(10, 8, 8))
    with pytest.raises(ValueError, match=r"shape \(8, 9, 1\), but PatchDictionary was fitted on"):
        model.transform(noise(2, 8, 9))


def test_transform_before_fit():
    with pytest.raises(NotFittedError):
        PatchDictionary().transform(noise(2, 8, 8))


def test_values_that_are_not_finite():
    X = noise(10, 8, 8).astype(float)
    X[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        quick().fit(X)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_filters": 0}, r"'n_filters' .* must be an int of at least 1. Got 0"),
        ({"stride": 0}, r"'stride' .* an int of at least 1 or None. Got 0"),
        ({"threshold": -0.1}, r"'threshold' .* must be a float in \[0, 10\]. Got -0.1"),
        ({"power": np.nan}, r"'power' .* Got nan"),
        ({"n_components": 0}, r"'n_components' .* Got 0"),
    ],
)
def test_parameters_out_of_range(parameters, message):
    with pytest.raises(UsageError, match=message):
        PatchDictionary(**{"n_patches": 100, **parameters}).fit(noise(10, 8, 8))


def test_images_of_five_dimensions():
    with pytest.raises(UsageError, match=r"X must have 2, 3 or 4 dimensions. Got 5 instead"):
        quick().fit(noise(2, 3, 3, 3, 3))


def test_an_image_shape_that_does_not_match():
    with pytest.raises(UsageError, match=r"must match the 64 columns of X. Got \(8, 9\)"):
        quick(image_shape=(8, 9)).fit(noise(10, 64))
