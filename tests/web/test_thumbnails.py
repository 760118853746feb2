import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fewlabel.data import load_images
from fewlabel.errors import DataError
from fewlabel.web.thumbnails import _Thumbnails


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(6):
        pixels = rng.integers(0, 255, (300, 600, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.jpg")
    return folder


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_images_keep_their_shape_and_are_made_once(photos: Path, tmp_path: Path) -> None:
    thumbnails = _Thumbnails(load_images(photos), tmp_path / "kept")
    data, media_type = thumbnails.get(2, "thumb")
    assert (media_type, opened(data).size) == ("image/jpeg", (320, 160))
    # Never larger than they are.
    assert opened(thumbnails.get(2, "full")[0]).size == (600, 300)
    assert len(list((tmp_path / "kept").iterdir())) == 2
    # From the disk: the file is gone, and its thumbnail is not.
    (photos / "2.jpg").unlink()
    assert thumbnails.get(2, "thumb")[0] == data
    (photos / "3.jpg").unlink()
    with pytest.raises(DataError, match=r"3\.jpg could be read when the work began, but not now"):
        thumbnails.get(3, "thumb")


def test_what_is_kept_is_bounded_and_whole(photos: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    images = load_images(photos)
    size = len(_Thumbnails(images, kept).get(0, "thumb")[0])
    thumbnails = _Thumbnails(images, kept, max_bytes=3 * size + size // 2)
    for i in range(6):
        thumbnails.get(i, "thumb")
    files = list(kept.iterdir())
    assert sum(file.stat().st_size for file in files) <= 3 * size + size // 2
    assert files
    for file in files:
        file.write_bytes(b"\xff\xd8 cut off")
    assert opened(_Thumbnails(images, kept).get(5, "thumb")[0]).size == (320, 160)


def test_small_images_are_exact(digit_images: object, tmp_path: Path) -> None:
    thumbnails = _Thumbnails(load_images("digits"), tmp_path / "kept")
    data, media_type = thumbnails.get(0, "full")
    assert media_type == "image/png"
    assert (np.asarray(opened(data)) == load_images("digits").read([0])[0, :, :, 0]).all()
    assert not (tmp_path / "kept").exists()
