import numpy as np
import pytest
from PIL import Image

from fewlabel.data import decode
from fewlabel.data.decode import _decode_file, _inspect_file, _quiet_pillow
from fewlabel.data.modes import UnreadableImageError
from tests.data.conftest import at_most
from tests.hostile import png


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_png_of_every_mode(tmp_path, mode):
    path = tmp_path / "a.png"
    Image.new(mode, (7, 5)).save(path)
    info = _inspect_file(path)
    assert (info.height, info.width, info.is_gray) == (5, 7, True)
    for channels in (1, 3):
        pixels = _decode_file(path, size=(4, 6), channels=channels)
        assert pixels.shape == (4, 6, channels)
        # Black, but for the modes that are transparent: those show the white ground.
        assert set(pixels.ravel()) == ({255} if mode in ("LA", "RGBA") else {0})


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "bmp", "tif", "webp", "ppm", "jp2"])
def test_every_common_format(save_photo, suffix):
    path = save_photo(f"a.{suffix}", mode="RGB")
    info = _inspect_file(path)
    assert (info.height, info.width, info.is_gray) == (30, 40, False)
    png = _decode_file(save_photo("a.png"), size=None, channels=3).astype(int)
    assert np.abs(_decode_file(path, size=None, channels=3) - png).mean() < 12


def test_cmyk_jpeg(tmp_path):
    path = tmp_path / "a.jpg"
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(path)
    red, green, _ = _decode_file(path, size=(4, 4), channels=3)[0, 0]
    assert green < 15 < 240 < red


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_exif_rotation_shows_the_image_upright(tmp_path, orientation, suffix):
    upright = np.zeros((20, 40), np.uint8)
    upright[:10, :20] = 250
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = Image.fromarray(upright)
    if orientation > 1:
        stored = stored.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(path := tmp_path / f"a.{suffix}", exif=exif)
    info = _inspect_file(path)
    assert (info.height, info.width) == (20, 40)
    for size in (None, (10, 20), (6, 6)):
        pixels = _decode_file(path, size=size, channels=1)[..., 0]
        h, w = pixels.shape
        assert pixels[h // 4, w // 4] > 230
        assert pixels[-h // 4, w // 4] < 20
        assert pixels[h // 4, -w // 4] < 20


def test_damaged_exif_does_not_matter(tmp_path):
    path = tmp_path / "a.jpg"
    Image.new("RGB", (8, 8)).save(path, exif=b"Exif\0\0II*\0\xff\xff\xff\xff\xff\xff")
    with _quiet_pillow():
        assert _inspect_file(path).width == 8


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_an_animation_gives_its_first_frame(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    frames = [Image.new("RGB", (8, 8), color) for color in ((200, 0, 0), (0, 0, 200))]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    red, _, blue = _decode_file(path, size=(4, 4), channels=3)[0, 0]
    assert blue < 50 < 150 < red


def test_pixels_say_what_is_gray_and_not_the_mode(tmp_path):
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16).repeat(8, 0).repeat(8, 1)
    Image.fromarray(ramp).convert("RGB").save(tmp_path / "a.jpg")
    assert _inspect_file(tmp_path / "a.jpg").is_gray
    # Behind full transparency color does not count.
    for alpha, is_gray in ((0, True), (9, False)):
        Image.new("RGBA", (2, 2), (5, 5, 96, alpha)).save(tmp_path / "a.png")
        assert _inspect_file(tmp_path / "a.png").is_gray == is_gray


def test_digest_is_that_of_the_bytes_and_a_wrong_suffix_does_not_matter(save_photo, tmp_path):
    one, other = save_photo("one.png", seed=1), save_photo("other.jpg", seed=2)
    copy = tmp_path / "copy.jpg"
    copy.write_bytes(one.read_bytes())
    assert _inspect_file(one) == _inspect_file(copy)._replace(stamp=_inspect_file(one).stamp)
    assert _inspect_file(one).digest != _inspect_file(other).digest


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "bmp", "tif", "webp", "jp2"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_truncated_files_are_named(save_photo, suffix, share):
    path = save_photo(f"a.{suffix}", size=(160, 120))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with _quiet_pillow(), pytest.raises(UnreadableImageError, match=r"truncated|decoded|content"):
        _inspect_file(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        (b"", r"empty \(0 bytes\)"),
        (b"not an image at all", "not an image of a known format"),
        (b"\x89PNG\r\n\x1a\n", "not an image|decoded"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image of a known format"),
        (png(30_000, 30_000), "900 megapixels, more than the 100"),
        (png(10_500, 10_500), "110 megapixels, more than the 100"),
        (png(9_900, 9_900), "truncated"),
        (bytes(2_000), "GB, more than"),
    ],
)
def test_unreadable_content_gives_a_reason(tmp_path, monkeypatch, content, reason):
    monkeypatch.setattr(decode, "MAX_FILE_BYTES", 1_999)
    path = tmp_path / "a.png"
    if content is not None:
        path.write_bytes(content)
    with _quiet_pillow(), at_most(20e6), pytest.raises(UnreadableImageError, match=reason):
        _inspect_file(path)


def test_jpegs_are_reduced_while_decoding_with_little_loss(tmp_path):
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    big = coarse.resize((800, 600), Image.Resampling.BICUBIC)
    big.save(path := tmp_path / "a.jpg", quality=95)
    reduced = _decode_file(path, size=(30, 40), channels=3).astype(int)
    exact = np.asarray(big.resize((40, 30), Image.Resampling.BICUBIC)).astype(int)
    assert np.abs(reduced - exact).mean() < 2


def test_the_color_of_a_large_image_shows_in_a_reduced_one(tmp_path, monkeypatch):
    monkeypatch.setattr(decode, "_LARGE", 1000)
    pixels = np.full((200, 200, 4), 90, np.uint8)
    pixels[..., 3] = 255
    for red in (90, 250):
        pixels[50:60, 50:60, 0] = red
        Image.fromarray(pixels).save(tmp_path / "a.png")
        assert _inspect_file(tmp_path / "a.png")[:3] == (200, 200, red == 90)
