import numpy as np
import pytest
from PIL import Image

from fewlabel.data import image_set_from_array, load_images
from fewlabel.features.patch_features import PatchFeatures
from fewlabel.features.pixels import Pixels
from tests.features.conftest import noise


def test_are_the_pixels_from_0_to_1():
    pixels = noise(700)
    images = image_set_from_array(pixels)
    features = Pixels().fit(images).transform(images)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, pixels.reshape(700, -1) / 255, atol=1e-6)


def test_gray_images_have_one_channel_and_color_can_be_dropped():
    gray, color = (image_set_from_array(noise(5, channels=channels)) for channels in (1, 3))
    assert Pixels().fit_transform(gray).shape == (5, 100)
    assert Pixels(gray=False).fit_transform(gray).shape == (5, 300)
    assert Pixels(gray=True).fit_transform(color).shape == (5, 100)
    # New images are read as those of fit.
    new = image_set_from_array(noise(3, side=30, channels=1))
    assert Pixels().fit(color).transform(new).shape == (3, 300)


@pytest.mark.parametrize(("kind", "side"), [(Pixels, 32), (PatchFeatures, 64)])
def test_photos_of_several_sizes_are_scaled(tmp_path, kind, side):
    for index, size in enumerate([(90, 60), (40, 200), (75, 75)]):
        Image.fromarray(noise(1, side=8, seed=index)[0]).resize(size).save(
            tmp_path / f"{index}.png"
        )
    photos = load_images(tmp_path)
    for given, size in ((None, (side, side)), (20, (20, 20)), ((8, 6), (8, 6))):
        extractor = kind(given).fit(photos)
        assert (extractor.size_, extractor.channels_) == (size, 3)
        assert len(extractor.transform(photos)) == 3
    large = image_set_from_array(noise(2, side=65, channels=1))
    assert kind().fit(large).size_ == (side, side)
