from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fewlabel.data import folder, load_images, looks


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FEWLABEL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(looks, "_MIN_FILES", 8)
    for i in range(12):
        pixels = np.random.default_rng(i).integers(0, 255, (9, 8 + i, 4), np.uint8)
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(pixels[..., : 3 + i % 2]).save(tmp_path / "photos" / f"{i}.png")
    return tmp_path / "photos"


def test_files_are_looked_at_once(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_images(photos)
    looked, inspect = [], folder._inspect_file
    monkeypatch.setattr(
        folder, "_inspect_file", lambda path, n: looked.append(path.name) or inspect(path, n)
    )
    again = load_images(photos)
    assert looked == []
    assert again.digest() == first.digest()
    assert again.names == first.names
    assert (again._store._sizes == first._store._sizes).all()
    assert (again._is_flat() == first._is_flat()).all()
    # What has changed, is new or is gone, is found.
    Image.new("L", (30, 20)).save(photos / "3.png")
    Image.new("L", (30, 20)).save(photos / "new.png")
    (photos / "5.png").write_bytes(b"no image")
    (photos / "6.png").unlink()
    changed = load_images(photos)
    assert sorted(looked) == ["3.png", "5.png", "new.png"]
    assert len(changed) == 11
    assert [s.path for s in changed.skipped] == ["5.png"]
    assert changed.digest() != first.digest()


def test_a_damaged_memory_costs_nothing_but_time(photos: Path, tmp_path: Path) -> None:
    first = load_images(photos)
    (kept,) = (tmp_path / "cache" / "looks").iterdir()
    data = kept.read_bytes()
    # Where the directory of the archive says how it is compressed.
    place = data.rindex(b"PK\x01\x02") + 10
    unknown = data[:place] + b"\x63" + data[place + 1 :]
    for content in (b"", b"PK\x03\x04", data[:-200], unknown):
        kept.write_bytes(content)
        assert load_images(photos).digest() == first.digest()


def test_few_folders_are_remembered(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "_MAX_FOLDERS", 2)
    for name in "abc":
        photos = photos.rename(photos.with_name(name))
        load_images(photos)
    assert len(list((tmp_path / "cache" / "looks").iterdir())) == 2
