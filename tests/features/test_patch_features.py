import numpy as np
import pytest
from PIL import Image

from fewlabel.data import load_images
from fewlabel.errors import ModelFormatError
from fewlabel.features import patch_features
from fewlabel.features.patch_features import PatchFeatures


@pytest.fixture(scope="module")
def fitted(digits):
    return PatchFeatures(max_fit_samples=200).fit(digits.images)


def test_photos_of_any_size_are_read_at_64_or_as_told(tmp_path):
    rng = np.random.default_rng(0)
    for i, shape in enumerate([(80, 90), (100, 70), (75, 75), (90, 120)]):
        pixels = rng.integers(256, size=(*shape, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    photos = load_images(tmp_path)
    extractor = PatchFeatures().fit(photos)
    assert extractor.size_ == (64, 64)
    assert extractor.channels_ == 3
    assert len(extractor.transform(photos)) == 4
    assert PatchFeatures(size=20).fit(photos).size_ == (20, 20)
    assert PatchFeatures(size=(20, 30)).fit(photos).size_ == (20, 30)


def test_small_images_keep_their_size(fitted, digits, monkeypatch):
    assert fitted.size_ == (8, 8)
    assert fitted.channels_ == 1
    features = fitted.transform(digits.images)
    assert features.shape == (400, 128)
    monkeypatch.setattr(patch_features, "_BLOCK_SIZE", 17)
    np.testing.assert_allclose(fitted.transform(digits.images), features, atol=1e-5)


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
