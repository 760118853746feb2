import numpy as np
import pytest

from fewlabel.data import PixelScale, image_set_from_array
from fewlabel.errors import DataError


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([0, 7, 255], np.uint8), [0, 7, 255]),
        (np.array([0, 7, 255], np.int64), [0, 7, 255]),
        (np.array([0, 2048, 4095], np.uint16), [0, 128, 255]),
        (np.array([0, 65535 // 2, 65535], np.uint16), [0, 127, 255]),
        (np.array([0.0, 0.5, 1.0], np.float32), [0, 128, 255]),
        (np.array([0.0, 100.4, 255.0], np.float16), [0, 100, 255]),
        (np.array([False, True, True]), [0, 255, 255]),
    ],
)
def test_values_become_uint8(values, expected):
    images = image_set_from_array(values.reshape(3, 1, 1))
    assert images.read([0, 1, 2]).ravel().tolist() == expected
    assert images.native_shape == (1, 1, 1)
    assert images.names == ("0", "1", "2")
    assert images.by_index


@pytest.mark.parametrize(
    ("peak", "level"), [(0, 255), (255, 255), (256, 1023), (4095, 4095), (4096, 16383)]
)
def test_the_white_level_is_the_smallest_depth_that_holds_the_peak(peak, level):
    dim = np.full((1, 2, 2), peak, np.uint16)
    assert image_set_from_array(dim).scale.integer == (0, level)
    wide = PixelScale(integer=(0, 65535))
    assert image_set_from_array(dim, scale=wide).read([0]).max() == round(peak * 255 / 65535)


def test_alpha_is_laid_on_white():
    rgba = np.array([[[[10, 20, 30, 255], [10, 20, 30, 0]]]], np.uint8)
    pixels = image_set_from_array(rgba).read([0])
    assert pixels[0, 0].tolist() == [[10, 20, 30], [255, 255, 255]]


@pytest.mark.filterwarnings("ignore:Pixel values such as")
@pytest.mark.parametrize(
    ("dtype", "top"),
    [(np.int64, 255), (np.uint16, 65535), (np.int16, 32767), (np.float32, 1), (np.int32, 1)],
)
def test_alpha_has_a_scale_of_its_own(dtype, top):
    rgba = np.array([[[[-5 if dtype != np.uint16 else 0] * 3 + [top], [50] * 3 + [0]]]], dtype)
    pixels = image_set_from_array(rgba, scale=PixelScale((0, 9), (-5, 9), (-5, 9))).read([0])
    assert pixels[0, 0].tolist() == [[0] * 3, [255] * 3]


def test_channels_can_be_asked_for():
    gray = image_set_from_array(np.full((1, 2, 2), 9, np.uint8))
    assert gray.read([0], channels=3).tolist() == [[[[9] * 3] * 2] * 2]
    color = image_set_from_array(np.full((1, 2, 2, 3), (255, 0, 0), np.uint8))
    assert not color.is_gray
    assert set(color.read([0], channels=1).ravel()) == {76}


NOTHING = np.zeros((2, 2, 2), np.uint8)
LATE = np.ones((6000, 2, 2), np.float32)
LATE[5500], LATE[5123], LATE[9, 1, 0] = np.nan, np.inf, np.nan


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.zeros((5, 784)), None, r"Got \(5, 784\): give the images their height and width"),
        (np.zeros((5, 3, 8, 8)), None, r"channels last with X.transpose\(0, 2, 3, 1\)"),
        (np.zeros((5, 8, 8, 7)), None, r"with C 1, 3 or 4. Got \(5, 8, 8, 7\)\."),
        (np.zeros((0, 8, 8)), None, "holds no images"),
        (np.array([[["a"]]]), None, "must hold numbers. Got dtype <U1"),
        (np.full((1, 1, 1), None, dtype=object), None, "must hold numbers. Got dtype object"),
        (LATE, None, "NaN or infinite pixels, first in image 5123"),
        (-LATE, None, "NaN or infinite pixels, first in image 5123"),
        (NOTHING, [1], r"must have shape \(2,\). Got \(1,\)"),
        (NOTHING, [0.5, 1], "must hold classes. Got fractions"),
    ],
)
def test_what_holds_no_images_or_labels_is_named(X, y, message):
    with pytest.raises(DataError, match=message):
        image_set_from_array(X, y)


def test_equal_pixels_share_a_group():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (5, 3, 3), dtype=np.uint8)
    X[3] = X[1]
    images = image_set_from_array(X)
    assert images.content_groups().tolist() == [0, 1, 2, 1, 3]
    assert images.subset([3, 4, 1]).content_groups().tolist() == [0, 1, 0]
