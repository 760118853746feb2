import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fewlabel.data.modes import (
    _on_ground,
    _resize_cover,
    _standard_mode,
    _varies_in_alpha,
    _widest_span,
)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        *[(mode, "L") for mode in ("1", "L")],
        *[(mode, "RGB") for mode in ("P", "RGB", "CMYK", "YCbCr", "HSV")],
        *[(mode, "RGBA") for mode in ("RGBA", "LA", "PA")],
    ],
)
def test_every_mode_becomes_plain(mode, expected):
    assert _standard_mode(Image.new(mode, (3, 2))).mode == expected


def test_transparency_is_laid_on_the_ground():
    image = Image.new("P", (2, 1), 1)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.info["transparency"] = 1
    standard = _standard_mode(image)
    assert standard.mode == "RGBA"
    assert _on_ground(standard).getpixel((0, 0)) == (255, 255, 255)
    half = _on_ground(Image.new("RGBA", (1, 1), (0, 0, 0, 128)))
    assert half.getpixel((0, 0)) == (127, 127, 127)
    assert _on_ground(standard, 9).getpixel((0, 0)) == (9, 9, 9)
    assert not _varies_in_alpha(standard)
    standard.putpixel((0, 0), (0, 0, 0, 9))
    assert _varies_in_alpha(standard)
    assert not _varies_in_alpha(Image.new("RGBA", (2, 2)))


@pytest.mark.parametrize(("place", "span"), [((50, 50), 9), ((0, 0), 9), ((50, 51), 100)])
def test_the_span_is_that_of_the_widest_channel(place, span):
    image = Image.new("RGB", (100, 100), (5, 6, 7))
    image.putpixel(place, (5, 6 + span, 10))
    assert _widest_span(image) == span


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
