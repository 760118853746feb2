import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fewlabel import extras
from fewlabel.data import decode, load_images, samples, tiff
from fewlabel.data.decode import _decode_file, _inspect_file
from fewlabel.data.modes import UnreadableImageError
from fewlabel.data.scale import _kind
from tests.hostile import png

RAMP = np.tile(np.linspace(0, 255, 16).astype(np.uint8), (16, 1))
DTYPES = [
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "int8",
    "int16",
    "int32",
    "int64",
    "float16",
    "float32",
    "float64",
]


def png_of_16_bits(pixels):
    """Bytes of a PNG of (H, W, 2, 3 or 4) uint16 samples, which Pillow does not write."""
    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    color = {2: 4, 3: 2, 4: 6}[channels]
    return png(width, height, zlib.compress(rows), depth=16, color=color)


def exact(values, scale, *, inverted=False):
    """What pixels should become: the plain formula."""
    kind = _kind(values.dtype)
    levels = np.array([scale._level(kind, float(v)) for v in values.ravel()]).reshape(values.shape)
    return 255 - levels if inverted else levels


@given(
    st.sampled_from(DTYPES),
    st.sampled_from(["gray", "inverted", "rgb", "planes", "pages"]),
    st.sampled_from("<>"),
    st.sampled_from([None, "zlib"]),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=50, deadline=None)
def test_tiffs_of_every_type_and_layout(
    tmp_path_factory, dtype, layout, byteorder, compression, big, seed
):
    rng, dtype = np.random.default_rng(seed), np.dtype(dtype)
    top = 1 if dtype.kind == "f" else min(np.iinfo(dtype).max, 2**53)
    low = 0 if dtype.kind != "i" else -top / 3
    values = (low + (top - low) * rng.random((6, 5, 3))).astype(dtype)
    options = {"byteorder": byteorder, "compression": compression, "bigtiff": big}
    stored, options["photometric"] = {
        "gray": (values[..., 0], "minisblack"),
        "inverted": (values[..., 0], "miniswhite"),
        "rgb": (values, "rgb"),
        "planes": (values.transpose(2, 0, 1), "rgb"),
        "pages": (np.stack([values[..., 0], values[..., 1]]), "minisblack"),
    }[layout]
    if layout in ("rgb", "planes"):
        options["planarconfig"] = "contig" if layout == "rgb" else "separate"
    folder = tmp_path_factory.mktemp("tiff")
    tifffile.imwrite(folder / "a.tif", stored, **options)
    images = load_images(folder)
    wanted = values if layout in ("rgb", "planes") else values[..., :1]
    assert images.native_shape == wanted.shape
    expected = exact(wanted, images.scale, inverted=layout == "inverted")
    assert np.abs(images.read([0])[0] - expected).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("peak", [4095, 65535])
def test_colors_of_16_bits_keep_both_bytes(tmp_path, monkeypatch, channels, peak):
    monkeypatch.setattr(samples, "_ROWS", 4)
    rng = np.random.default_rng(0)
    values = rng.integers(0, peak + 1, (6, 7, channels)).astype(np.uint16)
    values[0, 0] = peak
    if channels != 3:
        values[..., -1] = 65535
    (tmp_path / "a.png").write_bytes(png_of_16_bits(values))
    if channels > 2:
        extra = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
        for name, options in (("b", {}), ("c", {"compression": "zlib"}), ("d", {"byteorder": ">"})):
            path = tmp_path / f"{name}.tif"
            tifffile.imwrite(path, values, photometric="rgb", **extra, **options)
    images = load_images(tmp_path)
    colors = values if channels == 3 else values[..., :-1]
    assert images.scale.integer == (0, peak)
    assert images.native_shape == (6, 7, colors.shape[2])
    for pixels in images.read(slice(None)):
        assert np.abs(pixels - colors * (255 / peak)).max() <= 0.5


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_deep_icons_show_what_is_in_their_alpha(tmp_path, dtype):
    top, alpha = (65535, RAMP * np.uint16(257)) if dtype == "uint16" else (1, RAMP / 255)
    rgba = np.dstack([np.full((16, 16, 3), top), alpha]).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", rgba, photometric="rgb", extrasamples=["unassalpha"])
    if dtype == "uint16":
        (tmp_path / "b.png").write_bytes(png_of_16_bits(rgba))
    images = load_images(tmp_path)
    assert images.scale.ground == 0
    for pixels in images.read(slice(None), channels=1):
        assert np.abs(pixels[..., 0] - RAMP.astype(int)).max() <= 1


@pytest.mark.parametrize("bits", [1, 8, 16, 32, "float"])
def test_low_values_are_white_at_every_depth(tmp_path, bits):
    shown = np.where(RAMP > 127, 255, 0) if bits == 1 else RAMP.astype(int)
    negative = 255 - shown
    stored = {
        1: negative > 127,
        8: negative.astype(np.uint8),
        16: (negative * 257).astype(np.uint16),
        32: (negative * 16_843_009).astype(np.uint32),
        "float": (negative / 255).astype(np.float32),
    }[bits]
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite")
    assert np.abs(load_images(tmp_path).read([0])[0, ..., 0] - shown).max() <= 1


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [(m, "tif") for m in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "I;16", "I", "F")]
    + [(m, "png") for m in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")],
)
def test_modes_that_pillow_writes(tmp_path, mode, suffix):
    image = Image.fromarray(RAMP)
    if mode == "LAB":
        neutral = Image.new("L", image.size, 128)
        image, tolerance = Image.merge("LAB", (image, neutral, neutral)), 12
    elif mode in ("I;16", "I", "F"):
        image, tolerance = image.convert(mode), 0
    else:
        image, tolerance = image.convert("RGB" if mode == "CMYK" else mode), 1
        image = image if image.mode == mode else image.convert(mode)
    image.save(tmp_path / f"a.{suffix}")
    shown = np.asarray(Image.fromarray(RAMP).convert("1")) * 255 if mode == "1" else RAMP
    pixels = load_images(tmp_path).read([0], channels=1)[0, ..., 0]
    assert np.abs(pixels - shown.astype(int)).max() <= tolerance


@pytest.mark.parametrize("photometric", ["minisblack", "rgb"])
@pytest.mark.parametrize("compression", ["jpeg", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiffs_of_8_bits(tmp_path, photometric, compression):
    image = Image.fromarray(RAMP).convert("RGB" if photometric == "rgb" else "L")
    image.save(tmp_path / "a.tif", compression=compression)
    pixels = load_images(tmp_path).read([0], channels=1)[0, ..., 0]
    assert np.abs(pixels - RAMP.astype(int)).max() <= (6 if compression == "jpeg" else 0)


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [
        ("uint8", "255"),
        ("uint16", "65535"),
        ("int16", "-9999"),
        ("float32", "-3.4e38"),
        ("float64", "-9999.0"),
        ("float32", "nan"),
    ],
)
def test_the_value_for_no_data_of_gdal_is_black(tmp_path, dtype, nodata):
    values = (RAMP // 2).astype(dtype)
    values[:, -2:] = float(nodata)
    tifffile.imwrite(tmp_path / "a.tif", values, extratags=[(42113, "s", 0, nodata, True)])
    images = load_images(tmp_path)
    assert np.array_equal(images.read([0])[0, :, :-2, 0], RAMP[:, :-2] // 2)
    assert images.read([0])[0, :, -2:].max() == 0


@pytest.mark.parametrize("hole", [np.nan, np.inf, -3.4028235e38])
def test_an_image_without_any_data_is_set_aside(tmp_path, hole):
    Image.fromarray(np.full((4, 4), hole, np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(UnreadableImageError, match="all its pixels are NaN, infinite or no data"):
        _inspect_file(tmp_path / "a.tif")


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_what_tifffile_reads_is_upright_too(tmp_path, orientation):
    tags = [(274, "H", 1, orientation, True)]
    tifffile.imwrite(tmp_path / "a.tif", RAMP[:8] / 255, extratags=tags)
    upright = np.rot90(RAMP[:8], {1: 0, 3: 2, 6: 3}[orientation])
    info = _inspect_file(tmp_path / "a.tif")
    assert (info.height, info.width) == upright.shape
    pixels = _decode_file(
        tmp_path / "a.tif", size=None, channels=1, scale=load_images(tmp_path).scale
    )
    assert np.abs(pixels[..., 0] - upright.astype(int)).max() <= 1


@pytest.mark.parametrize(
    ("values", "options", "reason"),
    [
        (
            RAMP / 255,
            {},
            r"a TIFF of 64-bit floats, which needs tifffile: pip install 'fewlabel\[t",
        ),
        (RAMP.astype(np.float16), {}, "a TIFF of 16-bit floats, which needs tifffile"),
        (
            np.dstack([RAMP] * 3).astype(np.float32),
            {"photometric": "rgb"},
            "a TIFF of 32-bit floats in 3 channels, which",
        ),
        (
            np.stack([RAMP] * 3).astype(np.uint16),
            {"photometric": "rgb", "planarconfig": "separate"},
            "a TIFF of 16-bit unsigned integers in 3 channels, which",
        ),
    ],
)
def test_without_tifffile_the_reason_says_what_the_file_is(
    tmp_path, monkeypatch, values, options, reason
):
    tifffile.imwrite(tmp_path / "a.tif", values, **options)
    monkeypatch.setattr(extras, "is_installed", lambda package: package != "tifffile")
    with pytest.raises(UnreadableImageError, match=reason):
        _inspect_file(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("values", "options", "reason"),
    [
        (np.zeros((5, 8, 8)), {"planarconfig": "separate"}, "64-bit floats in 5 channels, where 1"),
        (np.zeros((8, 8), np.complex64), {}, r"64-bit complex numbers \(MINISBLACK, YX\), which"),
        (np.zeros((3, 8, 8)), {"volumetric": True}, "64-bit floats .*, which is not read"),
    ],
)
def test_what_is_no_picture_says_what_it_is(tmp_path, values, options, reason):
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", **options)
    with pytest.raises(UnreadableImageError, match=reason):
        _inspect_file(tmp_path / "a.tif")


def test_sizes_are_checked_before_tifffile_decodes(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((40, 50)))
    monkeypatch.setattr(tiff._TiffPage, "read", lambda self: pytest.fail("decoded"))
    monkeypatch.setattr(tiff, "MAX_DECODED_BYTES", 15_999)
    with pytest.raises(UnreadableImageError, match="64-bit floats that takes"):
        _inspect_file(tmp_path / "a.tif")
    monkeypatch.setattr(tiff, "MAX_DECODED_BYTES", 16_000)
    monkeypatch.setattr(decode, "MAX_PIXELS", 1_999)
    with pytest.raises(UnreadableImageError, match="megapixels, more than"):
        _inspect_file(tmp_path / "a.tif")


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_truncated_deep_tiffs_are_set_aside(tmp_path, share, capfd):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.random.default_rng(0).random((60, 60)), compression="zlib")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(UnreadableImageError):
        _inspect_file(path)
    assert capfd.readouterr() == ("", "")
