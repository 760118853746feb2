import json

import numpy as np
import pytest
from PIL import Image

from fewlabel.data import load_images
from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.features import patch_features
from fewlabel.features.patch_features import PatchFeatures


@pytest.fixture(scope="module")
def digits():
    return load_images("digits").subset(range(250))


@pytest.fixture(scope="module")
def fitted(digits):
    return PatchFeatures(max_fit_samples=200).fit(digits)


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(0)
    for i, shape in enumerate([(80, 90), (100, 70), (75, 75), (90, 120)]):
        pixels = rng.integers(256, size=(*shape, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    return load_images(tmp_path)


def test_small_images_keep_their_size(fitted, digits):
    assert fitted.size_ == (8, 8)
    assert fitted.channels_ == 1
    features = fitted.transform(digits)
    assert features.shape == (250, 128)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()


def test_photos_of_any_size_are_read_at_64(photos):
    extractor = PatchFeatures().fit(photos)
    assert extractor.size_ == (64, 64)
    assert extractor.channels_ == 3
    assert len(extractor.transform(photos)) == 4


def test_the_size_may_be_given(photos):
    assert PatchFeatures(size=20).fit(photos).size_ == (20, 20)
    assert PatchFeatures(size=(20, 30)).fit(photos).size_ == (20, 30)
    with pytest.raises(UsageError, match="'size' parameter of PatchFeatures"):
        PatchFeatures(size=0).fit(photos)


def test_the_state_survives_json_and_gives_identical_features(fitted, digits):
    arrays, meta = fitted.to_state()
    assert meta["extractor"] == "patches"
    again = PatchFeatures.from_state(arrays, json.loads(json.dumps(meta)))
    np.testing.assert_array_equal(again.transform(digits), fitted.transform(digits))
    twice_arrays, twice_meta = again.to_state()
    assert twice_meta == meta
    assert twice_arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(twice_arrays[name], array)


def test_the_block_size_does_not_matter(fitted, digits, monkeypatch):
    expected = fitted.transform(digits)
    monkeypatch.setattr(patch_features, "_BLOCK_SIZE", 17)
    np.testing.assert_allclose(fitted.transform(digits), expected, atol=1e-5)


def test_the_same_seed_gives_the_same_features(fitted, digits):
    again = PatchFeatures(max_fit_samples=200).fit(digits)
    np.testing.assert_array_equal(again.transform(digits), fitted.transform(digits))


def test_progress_is_told(digits, monkeypatch):
    monkeypatch.setattr(patch_features, "_BLOCK_SIZE", 100)
    told = []
    PatchFeatures(max_fit_samples=100).fit(
        digits, progress=lambda *step: told.append(step)
    ).transform(digits, progress=lambda *step: told.append(step))
    assert told == [
        ("learn patches", 0, 1),
        ("learn patches", 1, 1),
        ("features", 100, 250),
        ("features", 200, 250),
        ("features", 250, 250),
    ]


def test_transform_before_fit(digits):
    with pytest.raises(UsageError, match="This PatchFeatures extractor is not fitted"):
        PatchFeatures().transform(digits)


@pytest.mark.parametrize(
    "missing",
    ["weight", "bias", "reduce.mean", "size", "channels", "filters", "reduce", "random_state"],
)
def test_something_is_missing(fitted, missing):
    arrays, meta = fitted.to_state()
    (arrays if missing in arrays else meta).pop(missing)
    name = missing.split(".")[-1]
    with pytest.raises(ModelFormatError, match=f"lacks? '{name}': the model is damaged"):
        PatchFeatures.from_state(arrays, meta)


@pytest.mark.parametrize(
    ("name", "change"),
    [("weight", np.s_[:-1]), ("bias", np.s_[:-1]), ("bias", np.s_[:, None])],
)
def test_arrays_that_do_not_fit(fitted, name, change):
    arrays, meta = fitted.to_state()
    arrays[name] = arrays[name][change]
    with pytest.raises(ModelFormatError, match=r"saved filters have shape \(.*, expected \(4, 1"):
        PatchFeatures.from_state(arrays, meta)


@pytest.mark.parametrize(
    "forge", [lambda m: m["filters"].update(grid=5), lambda m: m.update(reduce=None)]
)
def test_components_of_another_dictionary(fitted, forge):
    arrays, meta = fitted.to_state()
    forge(meta)
    with pytest.raises(ModelFormatError, match="saved components do not fit the filters"):
        PatchFeatures.from_state(arrays, meta)
