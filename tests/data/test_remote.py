from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image

from fewlabel.data import load_images
from fewlabel.errors import DataError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Six photos of two classes, and a file that is no image."""
    rng, root = np.random.default_rng(0), tmp_path / "some photos"
    for row in range(6):
        file = root / ("cat" if row % 2 else "dog") / f"{row}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (9, 8, 3), np.uint8)).save(file)
    (root / "dog" / "raw.heic").write_bytes(b"?")
    return root


def _table(path: Path, photos: Path, **more: Any) -> None:
    files = sorted(photos.rglob("*.png"))
    columns = {"path": [f.name for f in files], "bytes": [f.read_bytes() for f in files]}
    pyarrow.parquet.write_table(pa.table(columns | more), path, row_group_size=4)


def test_a_url_is_read_as_the_folder_it_names(photos: Path) -> None:
    local, remote = load_images(photos), load_images(photos.as_uri())
    assert remote.names == local.names
    assert remote.skipped == local.skipped
    assert remote.truth.tolist() == local.truth.tolist()
    assert remote.digest() == local.digest()
    np.testing.assert_array_equal(remote.read([5, 0]), local.read([5, 0]))
    assert remote.path(0) is None


def test_a_file_that_changes_at_a_url_is_no_longer_read(photos: Path) -> None:
    remote = load_images(photos.as_uri())
    Image.new("RGB", (8, 9)).save(photos / "cat" / "1.png")
    with pytest.raises(DataError, match=r"cat/1\.png has changed since the work began"):
        remote.read(slice(None))
    (photos / "cat" / "1.png").unlink()
    with pytest.raises(DataError, match=r"cat/1\.png could be read when the work began"):
        remote.read(slice(None))


def test_images_are_read_from_the_rows_of_tables(photos: Path, tmp_path: Path) -> None:
    _table(tmp_path / "photos.parquet", photos, label=["a", None, "b", "a", "b", "a"])
    images, local = load_images(tmp_path / "photos.parquet"), load_images(photos)
    assert images.names == ("1.png", "3.png", "5.png", "0.png", "2.png", "4.png")
    np.testing.assert_array_equal(images.read(slice(None)), local.read(slice(None)))
    assert images.truth.tolist() == ["a", "", "b", "a", "b", "a"]
    assert load_images((tmp_path / "photos.parquet").as_uri()).digest() == images.digest()


def test_a_row_without_bytes_is_set_aside(photos: Path, tmp_path: Path) -> None:
    content = next(photos.rglob("*.png")).read_bytes()
    rows = [("a", None), ("b", b"no image"), ("c", content)]
    table = pa.table({"image": [{"path": name, "bytes": data} for name, data in rows]})
    pyarrow.parquet.write_table(table, tmp_path / "some.parquet")
    images = load_images(tmp_path / "some.parquet")
    assert images.names == ("c",)
    assert [s.reason for s in images.skipped] == [
        "the file is empty (0 bytes)",
        "the content is not an image of a known format",
    ]


def test_what_cannot_be_read_is_one_clear_line(photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.parquet"
    with pytest.raises(DataError, match="is no URL that can be read"):
        load_images("nowhere://photos")
    with pytest.raises(DataError, match="does not exist: check the address"):
        load_images((tmp_path / "absent").as_uri())
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no images and no Parquet files"):
        load_images((tmp_path / "empty").as_uri())
    pyarrow.parquet.write_table(pa.table({"path": ["a"]}), table)
    with pytest.raises(DataError, match="must have a column `path` and the bytes of image files"):
        load_images(table)
    table.write_bytes(b"PAR1")
    with pytest.raises(DataError, match="is not a Parquet file, or is damaged"):
        load_images(table)
    _table(table, photos)
    twice = pa.concat_tables([pyarrow.parquet.read_table(table)] * 2)
    pyarrow.parquet.write_table(twice, table)
    with pytest.raises(DataError, match=r"the name '1\.png' stands there twice"):
        load_images(table)
    pyarrow.parquet.write_table(pa.table({"path": [None, "b"], "bytes": [b"", b""]}), table)
    with pytest.raises(DataError, match="row 0 of row group 0 has no name"):
        load_images(table)
