import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fewlabel.data import PixelScale, image_set_from_array, load_images
from fewlabel.data.scale import _find_ground, _find_scale, _measure

RAMP = np.tile(np.linspace(0, 255, 16).astype(np.uint8), (16, 1))


def ranges_of(*arrays, nodata=None):
    scale = _find_scale([_measure(a, nodata) for a in arrays])
    return scale.integer, scale.large, scale.floating


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ([RAMP], (None, None, None)),
        ([np.uint16([[0, 900]])], ((0, 1023), (0, 1023), None)),
        # Integers of all types share one white, where all fit 16 bits.
        ([np.uint16([[9]]), np.int32([[5000]])], ((0, 16383), (0, 16383), None)),
        ([np.uint16([[9]]), np.int16([[-5, 5]])], ((0, 255), (-5, 5), None)),
        # Counts of a thermal camera.
        (
            [np.uint16([[28000, 29000]]), np.int16([[30000]])],
            ((28000, 30000), (28000, 30000), None),
        ),
        ([np.uint16([[1000]])], ((0, 1023), (0, 1023), None)),
        ([np.uint32([[0, 2**32 - 1]])], (None, (0, 2**32 - 1), None)),
        ([np.float32([[0.2, 0.9]])], (None, None, (0, 1))),
        ([np.float32([[0.2, 255]])], (None, None, (0, 255))),
        ([np.float32([[0, 1, 3]])], (None, None, (0, 255))),
        ([np.float32([[20.5, 36.5]])], (None, None, (20.5, 36.5))),
        ([np.float64([[280]]), np.float32([[310.5]])], (None, None, (280, 310.5))),
        # Rounding to bytes would be all the same to these.
        ([np.float32([[-3, -3]])], (None, None, (-3, -2))),
    ],
)
def test_each_kind_of_sample_has_one_range(arrays, expected):
    assert ranges_of(*arrays) == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_few_outliers_do_not_darken_the_rest(dtype):
    values = np.linspace(-1000, 1000, 10_000).reshape(100, 100).astype(dtype)
    values[0, 0] = 10_000_000
    low, high = ranges_of(values)[1 if dtype == np.int32 else 2]
    assert low == pytest.approx(-1000, abs=30)
    assert 1000 <= high < 2000


@pytest.mark.parametrize(
    "holes", [np.nan, np.inf, -np.inf, -9999, -3.4028235e38, 9.96921e36, -32768, -99999]
)
def test_what_was_not_measured_does_not_count_and_is_black(holes):
    values = np.stack([RAMP / 255 * 20 + base for base in (280, 290)]).astype(np.float32)
    values[:, :, 3:5] = holes
    images = image_set_from_array(values)
    assert images.scale.floating == (280, 310)
    pixels = images.read([0, 1])[..., 0]
    assert pixels[:, :, 3:5].max() == pixels[0, 0, 0] == 0
    assert pixels.max() == 255


@pytest.mark.parametrize(
    ("values", "low"),
    # Not far below the others, or not a number that stands for anything.
    [([-9999, -6000, 0], -9999), ([-9998, 0, 5], -9998), ([-999, -998, 3000], -999)],
)
def test_low_numbers_that_are_measured_stay(values, low):
    assert ranges_of(np.array([values], np.int16))[1][0] == low


def test_the_value_that_a_tag_names_does_not_count():
    colors = np.full((2, 2, 3), 7, np.uint16)
    colors[0, 0], colors[0, 1] = 65535, (65535, 7, 7)
    scale = PixelScale((0, 65535))
    assert scale._apply(colors, nodata=65535)[0].tolist() == [[0, 0, 0], [255, 0, 0]]
    assert ranges_of(np.uint16([[7, 65535]]), nodata=65535.0)[0] == (0, 255)
    assert _measure(np.uint16([[7]]), 7.0) is None


@given(
    st.sampled_from(
        ["uint16", "int16", "uint32", "int32", "int64", "float16", "float32", "float64"]
    ),
    st.integers(0, 2**32 - 1),
    st.floats(-2000, 2000),
    st.sampled_from([0.5, 20, 250, 9000]),
)
@settings(max_examples=50, deadline=None)
def test_order_and_distances_are_kept_over_a_whole_set(dtype, seed, base, spread):
    values = base + spread * np.random.default_rng(seed).random((3, 8, 8))
    values = np.abs(values).astype(dtype) if dtype == "uint16" else values.astype(dtype)
    images = image_set_from_array(values)
    pixels = images.read(slice(None))[..., 0].astype(float)
    kind = "integer" if dtype == "uint16" else "float" if dtype[0] == "f" else "large"
    exact = [images.scale._level(kind, float(v)) for v in values.ravel()]
    assert np.abs(pixels.ravel() - exact).max() <= 0.5 + 1e-9
    again = image_set_from_array(values[1:], scale=images.scale)
    assert np.array_equal(again.read([0, 1])[..., 0], pixels[1:])
    assert PixelScale._from_dict(images.scale._to_dict()) == images.scale


def test_new_images_are_read_by_the_scale_of_others(tmp_path):
    for base in (280, 300):
        (tmp_path / str(base)).mkdir()
        kelvin = (RAMP / 255 * 10 + base).astype(np.float32)
        Image.fromarray(kelvin).save(tmp_path / str(base) / "a.tif")
    both, warm = load_images(tmp_path), load_images(tmp_path / "300")
    assert both.scale.floating == (280, 310)
    assert both.digest() != load_images(tmp_path, scale=warm.scale).digest()
    given = load_images(tmp_path / "300", scale=both.scale)
    assert np.array_equal(given.read([0]), both.read([1]))
    assert given.read([0]).mean() > warm.read([0]).mean() + 50


@pytest.mark.parametrize(
    ("known", "other", "is_told"),
    [
        (np.float32([[0, 1]]), np.float32([[0, 255]]), True),
        (np.float32([[280.5, 310]]), np.float64([[7, 37]]), True),
        (np.uint16([[0, 4095]]), np.uint16([[0, 65535]]), True),
        (np.uint16([[0, 4095]]), np.uint16([[0, 5000]]), False),
        (np.int16([[-1000, 3000]]), np.int16([[-1024, 2000]]), False),
    ],
)
def test_another_unit_than_that_of_the_model_is_told(known, other, is_told):
    scale = image_set_from_array(known[None]).scale
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        image_set_from_array(other[None], scale=scale)
    assert len(caught) == is_told
    assert not is_told or "same unit" in str(caught[0].message)


def test_what_a_scale_does_not_say_is_found(tmp_path):
    Image.fromarray(np.full((4, 4), 4000, np.uint16)).save(tmp_path / "a.png")
    assert load_images(tmp_path, scale=PixelScale()).scale == PixelScale((0, 4095), (0, 4095))


@pytest.mark.parametrize(
    ("spans", "ground"),
    [
        ([], 255),
        ([(90, 0, 9)] * 9, 255),
        ([(0, 90, 40)] + [(90, 90, 90)] * 9, 255),
        ([(0, 90, 40)] * 5 + [(90, 90, 90)] * 5, 0),
        # White ones and black ones show on gray.
        ([(0, 255, 127)] * 5 + [(255, 0, 127)] * 5, 128),
        ([(0, 0, 0)] * 5, 255),
    ],
)
def test_the_ground_is_one_that_shows_the_images(spans, ground):
    assert _find_ground(np.array(spans).reshape(-1, 3)) == ground


@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
@pytest.mark.parametrize(("gray", "ground"), [(255, 0), (250, 0), (0, 255), (128, 255)])
def test_what_only_the_alpha_shows_is_seen(tmp_path, suffix, gray, ground):
    rgba = np.dstack([np.full((16, 16, 3), gray, np.uint8), RAMP])
    for name in "ab":
        Image.fromarray(rgba).save(tmp_path / f"{name}.{suffix}", lossless=True)
    images = load_images(tmp_path)
    arrays = image_set_from_array(np.stack([rgba, rgba]))
    assert images.scale.ground == arrays.scale.ground == ground
    assert np.ptp(images.read([0])) > 100
    assert np.array_equal(images.read([0], channels=3), arrays.read([0]))
    assert not images._is_flat().any()
    assert load_images(tmp_path, scale=PixelScale())._is_flat().all() == (gray == 255)


def test_flat_images_are_known(tmp_path):
    Image.new("RGB", (20, 20), (9, 9, 9)).save(tmp_path / "a.png")
    Image.fromarray(RAMP).save(tmp_path / "b.png")
    Image.fromarray(np.full((4, 4), 5, np.float32)).save(tmp_path / "c.tif")
    Image.fromarray(np.arange(16, dtype=np.float32).reshape(4, 4)).save(tmp_path / "d.tif")
    images = load_images(tmp_path)
    assert images._is_flat().tolist() == [True, False, True, False]
    assert images.subset([3, 0])._is_flat().tolist() == [False, True]
    arrays = image_set_from_array(images.read(slice(None), size=(8, 8)))
    assert arrays._is_flat().tolist() == images._is_flat().tolist()
