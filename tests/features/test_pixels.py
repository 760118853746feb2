import numpy as np
import pytest
from PIL import Image

from fewlabel.data import image_set_from_array, load_images
from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.features.pixels import Pixels
from tests.features.conftest import noise


def test_are_the_pixels_from_0_to_1():
    pixels = noise(700)
    images = image_set_from_array(pixels)
    features = Pixels().fit(images).transform(images)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, pixels.reshape(700, -1) / 255, atol=1e-6)


def test_grey_images_have_one_channel_and_colour_can_be_dropped():
    gray = image_set_from_array(noise(5, channels=1))
    assert Pixels().fit(gray).transform(gray).shape == (5, 100)
    assert Pixels(gray=False).fit(gray).transform(gray).shape == (5, 300)
    color = image_set_from_array(noise(5))
    extractor = Pixels(gray=True).fit(color)
    assert extractor.transform(color).shape == (5, 100)


def test_new_images_are_read_as_those_of_fit():
    extractor = Pixels().fit(image_set_from_array(noise(5, side=12)))
    gray = image_set_from_array(noise(3, side=30, channels=1))
    assert extractor.transform(gray).shape == (3, 12 * 12 * 3)


def test_photos_of_several_sizes_are_scaled(tmp_path):
    for index, size in enumerate([(90, 60), (40, 200)]):
        Image.fromarray(noise(1, side=8, seed=index)[0]).resize(size).save(
            tmp_path / f"{index}.png"
        )
    images = load_images(tmp_path)
    assert Pixels().fit(images).transform(images).shape == (2, 32 * 32 * 3)
    assert Pixels((8, 6)).fit(images).transform(images).shape == (2, 8 * 6 * 3)
    large = image_set_from_array(noise(2, side=65, channels=1))
    assert Pixels().fit(large).size_ == (32, 32)


def test_reduction_and_progress():
    images = image_set_from_array(noise(60))
    seen = []
    extractor = Pixels(n_components=7, max_fit_samples=30)
    extractor.fit(images, progress=lambda *call: seen.append(call))
    features = extractor.transform(images, progress=lambda *call: seen.append(call))
    assert features.shape == (60, 7)
    assert seen == [("learn components", 30, 30), ("pixels", 60, 60)]
    np.testing.assert_array_equal(
        features, Pixels(n_components=7, max_fit_samples=30).fit(images).transform(images)
    )


@pytest.mark.parametrize("n_components", [None, 5])
def test_state_round_trip(n_components):
    images = image_set_from_array(noise(30))
    extractor = Pixels(size=9, n_components=n_components, power=0.5).fit(images)
    arrays, meta = extractor.to_state()
    assert meta["extractor"] == "pixels"
    again = Pixels.from_state(arrays, meta)
    np.testing.assert_array_equal(again.transform(images), extractor.transform(images))
    assert again.to_state()[1] == meta


def test_damaged_state():
    arrays, meta = Pixels().fit(image_set_from_array(noise())).to_state()
    with pytest.raises(ModelFormatError, match="features are 'patches', not 'pixels'"):
        Pixels.from_state(arrays, meta | {"extractor": "patches"})
    with pytest.raises(ModelFormatError, match="saved features lack 'size': the model is damaged"):
        Pixels.from_state(arrays, {k: v for k, v in meta.items() if k != "size"})
    with pytest.raises(ModelFormatError, match="saved reducer lacks"):
        Pixels.from_state(arrays, meta | {"reduce": {"n_components": 3}})


@pytest.mark.parametrize("size", [0, -3, (4,), (4, 0), 2.5, "big", True])
def test_bad_size(size):
    with pytest.raises(
        UsageError, match=r"'size' parameter of Pixels must be a positive int or \("
    ):
        Pixels(size).fit(image_set_from_array(noise(3)))


def test_bad_use():
    images = image_set_from_array(noise(3))
    with pytest.raises(UsageError, match="not fitted: call fit"):
        Pixels().transform(images)
    with pytest.raises(UsageError, match="'n_components' parameter of Pixels must be an int"):
        Pixels(n_components=0).fit(images)
