import zipfile

import pytest

from fewlabel.data import grocery
from fewlabel.data.grocery import _extract_grocery
from fewlabel.errors import DownloadError

ROOT = "GroceryStoreDataset-master/dataset"
MEMBERS = {
    f"{ROOT}/train/Fruit/Apple/Golden-Delicious/Golden-Delicious_004.jpg": b"1",
    f"{ROOT}/train/Fruit/Banana/Banana_001.jpg": b"2",
    f"{ROOT}/val/Packages/Milk/Arla-Standard-Milk/Arla-Standard-Milk_001.jpg": b"3",
    f"{ROOT}/test/Vegetables/Leek/Leek_001.jpg": b"4",
    f"{ROOT}/iconic-images-and-descriptions/Fruit/Kiwi/Kiwi_Iconic.jpg": b"5",
    "GroceryStoreDataset-master/sample_images/natural/Lemon.jpg": b"6",
    "GroceryStoreDataset-master/README.md": b"7",
    f"{ROOT}/train/Fruit/../../../../../escape.jpg": b"8",
    "/etc/dataset/train/Fruit/Apple/x.jpg": b"9",
    f"{ROOT}/train/Fruit/..\\..\\up/x.jpg": b"10",
}


def archive(tmp_path, members):
    path = tmp_path / "grocery.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, data in members.items():
            bundle.writestr(name, data)
    return path


def test_photos_are_sorted_by_coarse_class(tmp_path, monkeypatch):
    monkeypatch.setattr(grocery, "COUNTS", {"train": 2, "val": 1, "test": 1})
    folder = tmp_path / "cache" / "grocery"
    _extract_grocery(archive(tmp_path, MEMBERS), folder)
    found = {p.relative_to(tmp_path).as_posix(): p.read_bytes() for p in tmp_path.rglob("*.jpg")}
    assert found == {
        "cache/grocery/train/Apple/Golden-Delicious_004.jpg": b"1",
        "cache/grocery/train/Banana/Banana_001.jpg": b"2",
        "cache/grocery/val/Milk/Arla-Standard-Milk_001.jpg": b"3",
        "cache/grocery/test/Leek/Leek_001.jpg": b"4",
    }


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (MEMBERS, "holds 1 test, 2 train, 1 val photos instead of 2,485"),
        (
            {f"{ROOT}/train/Fruit/Banana/Banana_001.jpg": bytes(10_000_000)},
            "unpacks to more than a photo can be",
        ),
        (
            {f"{ROOT}/train/Fruit/Pear/{kind}/x.jpg": b"1" for kind in ("Anjou", "Kaiser")},
            r"holds x\.jpg twice",
        ),
        (None, r"grocery.zip is damaged"),
    ],
    ids=["incomplete", "bomb", "twice", "damaged"],
)
def test_what_cannot_be_unpacked_is_named_and_leaves_nothing(
    tmp_path, monkeypatch, members, message
):
    monkeypatch.setattr(grocery, "_MAX_FILE", 1000)
    path = archive(tmp_path, members or {})
    if members is None:
        path.write_bytes(b"PK rubbish")
    with pytest.raises(DownloadError, match=message):
        _extract_grocery(path, tmp_path / "cache" / "grocery")
    assert not list(tmp_path.glob("cache/*"))


def test_a_folder_that_stands_is_not_touched(tmp_path):
    folder = tmp_path / "grocery"
    folder.mkdir()
    (folder / "mine.txt").touch()
    with pytest.raises(DownloadError, match="exists but is not complete: remove it"):
        _extract_grocery(archive(tmp_path, MEMBERS), folder)
    assert (folder / "mine.txt").exists()
