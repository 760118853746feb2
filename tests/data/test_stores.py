import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fewlabel.data.modes import _resize_cover
from fewlabel.data.stores import _resize_arrays


@given(*[st.integers(1, 40)] * 4, st.sampled_from([1, 3]))
@settings(max_examples=60, deadline=None)
def test_shape_and_a_flat_image(h: int, w: int, out_h: int, out_w: int, channels: int) -> None:
    resized = _resize_arrays(np.full((2, h, w, channels), 130, np.uint8), (out_h, out_w))
    assert resized.shape == (2, out_h, out_w, channels)
    assert (resized == 130).all()


@pytest.mark.parametrize(
    ("shape", "size"),
    [((28, 28), (32, 32)), ((28, 28), (10, 14)), ((8, 8), (30, 20)), ((40, 60), (9, 9))],
)
def test_agrees_with_pillow(shape: tuple[int, int], size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(60, 200, (4, 4, 3), dtype=np.uint8))
    smooth = np.array(coarse.resize(shape[::-1], Image.Resampling.BICUBIC))
    ours = _resize_arrays(smooth[None], size)[0].astype(int)
    pillows = np.asarray(_resize_cover(Image.fromarray(smooth), size)).astype(int)
    assert np.abs(ours - pillows).max() <= 1
    assert pillows.std() > 5


def test_blocks_do_not_show() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (1500, 6, 6, 1), dtype=np.uint8)
    whole = _resize_arrays(pixels, (4, 4))
    assert np.array_equal(whole[1300:1310], _resize_arrays(pixels[1300:1310], (4, 4)))
