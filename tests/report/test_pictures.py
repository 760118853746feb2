import base64
import io

import numpy as np
import pytest
from PIL import Image

from fewlabel.report.pictures import _is_tiny, _thumbnail_uri


def decode(uri):
    kind, data = uri.removeprefix("data:image/").split(";base64,")
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert picture.format == kind.upper()
    return np.asarray(picture), kind


def smooth(height, width):
    ramp = np.add.outer(np.arange(height), np.arange(width)) * 255 / (height + width)
    return np.repeat(ramp[:, :, None], 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize("shape", [(28, 28, 1), (28, 28, 3), (64, 40, 3)])
def test_tiny_images_are_lossless(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    decoded, kind = decode(_thumbnail_uri(image))
    assert kind == "png"
    np.testing.assert_array_equal(decoded, image.squeeze())
    assert _is_tiny(image)


def test_photos_are_reduced_and_keep_their_aspect():
    decoded, _ = decode(_thumbnail_uri(smooth(600, 300)))
    assert decoded.shape == (160, 80, 3)
    assert not _is_tiny(smooth(65, 20))


def test_the_smaller_format_is_taken():
    noise = np.random.default_rng(0).integers(0, 256, (150, 150, 3), dtype=np.uint8)
    assert decode(_thumbnail_uri(noise))[1] == "jpeg"
    assert decode(_thumbnail_uri(np.full_like(noise, 7)))[1] == "png"
    view = noise[:28, :28][::-1, ::-1]
    np.testing.assert_array_equal(decode(_thumbnail_uri(view))[0], view)
