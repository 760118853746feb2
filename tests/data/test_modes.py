import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fewlabel.data.modes import (
    UnreadableImageError,
    _on_white,
    _resize_cover,
    _standard_mode,
)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        *[(mode, "L") for mode in ("1", "L", "I;16", "I;16B", "I", "F")],
        *[(mode, "RGB") for mode in ("P", "RGB", "CMYK", "YCbCr", "HSV")],
        *[(mode, "RGBA") for mode in ("RGBA", "LA", "PA")],
    ],
)
def test_every_mode_becomes_plain(mode, expected):
    assert _standard_mode(Image.new(mode, (3, 2)), 65535).mode == expected


def test_transparency_is_laid_on_white():
    image = Image.new("P", (2, 1), 1)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.info["transparency"] = 1
    standard = _standard_mode(image, 65535)
    assert standard.mode == "RGBA"
    assert _on_white(standard).getpixel((0, 0)) == (255, 255, 255)
    half = _on_white(Image.new("RGBA", (1, 1), (0, 0, 0, 128)))
    assert half.getpixel((0, 0)) == (127, 127, 127)


@pytest.mark.parametrize(
    ("values", "white", "expected"),
    [
        (np.array([[0, 32768, 65535]], np.uint16), 65535, [0, 128, 255]),
        (np.array([[0, 2048, 4095]], np.uint16), 4095, [0, 128, 255]),
        (np.array([[0.0, 0.5, 1.0]], np.float32), 65535, [0, 128, 255]),
        (np.array([[0.0, 100.4, 255.0]], np.float32), 65535, [0, 100, 255]),
        (np.array([[-10.0, 0.0, 10.0]], np.float32), 65535, [0, 128, 255]),
        (np.array([[0, 600_000, 1_000_000]], np.int32), 65535, [0, 153, 255]),
        (np.array([[-5, -5, -5]], np.int32), 65535, [0, 0, 0]),
    ],
)
def test_deep_grays_are_scaled_and_nan_is_refused(values, white, expected):
    assert np.asarray(_standard_mode(Image.fromarray(values), white)).tolist() == [expected]
    nan = Image.fromarray(np.where(values == values[0, 1], np.nan, 0).astype(np.float32))
    with pytest.raises(UnreadableImageError, match="NaN or infinite"):
        _standard_mode(nan, white)


@given(*[st.integers(1, 60)] * 4)
@settings(max_examples=60, deadline=None)
def test_cover_gives_the_size_asked_for(height, width, out_h, out_w):
    resized = _resize_cover(Image.new("RGB", (width, height), (9, 99, 199)), (out_h, out_w))
    assert resized.size == (out_w, out_h)
    assert resized.getextrema() == ((9, 9), (99, 99), (199, 199))


def test_cover_keeps_the_aspect_and_the_center():
    wide = np.zeros((20, 60), np.uint8)
    wide[:, 20:40] = 255
    middle = np.asarray(_resize_cover(Image.fromarray(wide), (10, 10)))
    assert middle[:, 1:-1].min() > 200
