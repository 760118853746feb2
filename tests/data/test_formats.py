import gzip
import struct

import numpy as np
import pytest

from fewlabel.data import load_images
from fewlabel.data.formats import _read_idx
from fewlabel.errors import DataError
from tests.data.conftest import at_most
from tests.hostile import idx, idx_files, not_refused, not_regular

PIXELS = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3)


def idx_bytes(array):
    codes = {"|u1": 8, "|i1": 9, ">i2": 11, ">i4": 12, ">f4": 13, ">f8": 14}
    big = array.astype(array.dtype.newbyteorder(">"))
    header = bytes([0, 0, codes[big.dtype.str], array.ndim])
    return header + struct.pack(f">{array.ndim}I", *array.shape) + big.tobytes()


def manifest(tmp_path, text):
    path = tmp_path / "list.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_manifest_with_labels(save_photo, tmp_path):
    for name in ("x/b.png", "a.png", "c.png"):
        save_photo(name)
    text = "label,path,note\ncat,x\\b.png,1\n,./a.png,2\ndog,c.png,3\ndog,c.png,4\n"
    images = load_images(manifest(tmp_path, text))
    assert images.names == ("x/b.png", "a.png", "c.png")
    assert images.truth.tolist() == ["cat", "", "dog"]


def test_manifest_sets_files_aside_that_are_missing_unreadable_or_outside(save_photo, tmp_path):
    root = tmp_path / "root"
    save_photo("outside/a.png")
    save_photo("root/a.png")
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "bad.png").touch()
    images = load_images(manifest(root, "path\na.png\nnone.png\nbad.png\nlink/a.png\n"))
    assert images.names == ("a.png",)
    assert images.truth is None
    assert [(s.path, s.reason) for s in images.skipped] == [
        ("bad.png", "the file is empty (0 bytes)"),
        ("link/a.png", "a link that leads out of the folder"),
        ("none.png", "the file does not exist (list.csv, line 3)"),
    ]


def test_a_manifest_finds_what_a_label_table_finds(save_photo, tmp_path):
    names = ("root/cafe\u0301.png", "root/ lead.png", "root/back\\slash.png", "root/x/b c.png")
    for name in names:
        save_photo(name)
    rows = ["caf\u00e9.png", '" lead.png"', "back\\slash.png", "/elsewhere/root/x/b%20c.png"]
    images = load_images(manifest(tmp_path / "root", "\n".join(["path", *rows])))
    assert [f"root/{name}" for name in images.names] == list(names)
    with pytest.raises(DataError, match=r"line 1: .* names an image, so the header is missing"):
        load_images(manifest(tmp_path / "root", " lead.png\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path\na.png\n../up.png\n", r"list.csv, line 3: \.\./up.png leads out"),
        ("path\nx\\..\\..\\up.png\n", "line 2: .* leads out"),
        ("path\n/etc/a.png\n", "line 2: /etc/a.png is an absolute path"),
        ("path\nC:\\a.png\n", "line 2: C:/a.png is an absolute path"),
        ("path\nhttps://x/a.png\n", "line 2: https://x/a.png is an address"),
        ('path,label\n"",cat\n', "line 2: the path is blank"),
        ("path,label\na.png,cat\nb.png,cat\n./a.png,dog\n", "line 4: a.png is labeled 'dog', but"),
        ("photo,label\na.png,cat\n", "line 1: the header has no column `path`"),
        ("path\nnone.png\n", "None of the 1 images of .* first is none.png: the file does not"),
    ],
)
def test_wrong_manifests_are_named(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        load_images(manifest(tmp_path, text))


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("labels_suffix", ["", ".gz"])
def test_idx_with_its_labels(tmp_path, suffix, labels_suffix):
    path = tmp_path / f"train-images.idx3-ubyte{suffix}"
    labels = tmp_path / f"train-labels.idx1-ubyte{labels_suffix}"

    def put(file, array):
        data = idx_bytes(array)
        file.write_bytes(gzip.compress(data) if file.suffix == ".gz" else data)

    put(path, PIXELS)
    assert load_images(path).truth is None
    put(labels, np.array([7, 1], np.uint8))
    images = load_images(path)
    assert images.native_shape == (4, 3, 1)
    assert images.truth.tolist() == ["7", "1"]
    put(labels, np.array([7], np.uint8))
    with pytest.raises(DataError, match=r"has shape \(1,\), but .* holds 2 images"):
        load_images(path)
    with pytest.raises(DataError, match="give the file of images"):
        load_images(labels)


def test_folder_of_idx_files(tmp_path):
    for split, pixels in (("train", PIXELS), ("t10k", PIXELS[:1] + 100)):
        (tmp_path / f"{split}-images-idx3-ubyte").write_bytes(idx_bytes(pixels))
        labels = np.arange(len(pixels), dtype=np.uint8)
        (tmp_path / f"{split}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    pooled = load_images(tmp_path)
    assert pooled.read(range(3))[:, 0, 0, 0].tolist() == [0, 12, 100]
    assert pooled.truth.tolist() == ["0", "1", "0"]
    assert len(load_images(tmp_path, split="test")) == 1
    with pytest.raises(DataError, match=r"has the splits train and test. Got 'val'"):
        load_images(tmp_path, split="val")
    (tmp_path / "t10k-images-idx3-ubyte").unlink()
    assert len(load_images(tmp_path)) == 2
    with pytest.raises(DataError, match=r"has no file t10k-images-idx3-ubyte.gz"):
        load_images(tmp_path, split="test")


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("packed", [False, True])
def test_round_trip(tmp_path, dtype, packed):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    data = idx_bytes(array)
    path = tmp_path / "a-idx3-ubyte"
    path.write_bytes(gzip.compress(data) if packed else data)
    read = _read_idx(path)
    assert np.array_equal(read, array)
    assert read.dtype == array.dtype


HEAD = bytes([0, 0, 8, 3])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "begins with nothing"),
        (b"PNG and so on", "is not an idx file: it begins with 50 4e 47 20"),
        (bytes([0, 0, 8, 3, 0, 0]), "ends inside its header"),
        (idx_bytes(np.zeros((2, 3), np.uint8))[:-1], "promises 6 bytes and 5 are there"),
        (idx_bytes(np.zeros((2, 3), np.uint8)) + b"x", "goes on after the 6 bytes"),
        (bytes([0, 0, 8, 0]), "is not an idx file"),
        (HEAD + struct.pack(">3I", 60_000, 300, 300) + bytes(9), "5,400,000,000 bytes and 9 are"),
        (HEAD + struct.pack(">3I", 2**31, 2**31, 2**31), "GB, more than the"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_damage_is_named_and_takes_no_memory(tmp_path, data, message, packed):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(data) if packed else data)
    with at_most(10e6), pytest.raises(DataError, match=message):
        _read_idx(path)


def test_a_bomb_is_read_no_further_than_its_header(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(HEAD + struct.pack(">3I", 1, 10, 10) + bytes(50_000_000)))
    with at_most(5e6), pytest.raises(DataError, match="goes on after the 100 bytes"):
        _read_idx(path)


def test_a_file_that_is_cut_or_missing(tmp_path):
    path = tmp_path / "a.gz"
    with pytest.raises(DataError, match=r"a.gz cannot be read: No such file"):
        _read_idx(path)
    path.write_bytes(gzip.compress(idx_bytes(np.zeros((99, 9), np.uint8)))[:-9])
    with pytest.raises(DataError, match=r"a.gz is damaged \("):
        _read_idx(path)


def test_no_hostile_file_gets_through(tmp_path):
    paths = [
        *idx_files(tmp_path),
        *(p for suffix in (".idx", ".png") for p in not_regular(tmp_path, suffix)),
    ]
    with at_most(10e6):
        assert not_refused(paths, load_images) == []


def test_a_bound_on_what_a_file_unpacks_to(tmp_path, monkeypatch):
    path = tmp_path / "images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(idx(3, 10, 1000, 1000, data=bytes(10**7))))
    assert path.stat().st_size < 20_000
    with at_most(1.5e7):
        assert len(load_images(path)) == 10
    monkeypatch.setenv("FEWLABEL_MAX_BYTES", "5m")
    with pytest.raises(DataError, match=r"more than the 5,242,880 bytes .* raise FEWLABEL_MAX_B"):
        load_images(path)


def test_splits_of_different_sizes_are_named(tmp_path):
    for split, side in (("train", 3), ("t10k", 4)):
        pixels = np.zeros((2, side, 3), np.uint8)
        (tmp_path / f"{split}-images-idx3-ubyte").write_bytes(idx_bytes(pixels))
    with pytest.raises(DataError, match=r"train-.* of shape \(3, 3\) .*t10k-.* \(4, 3\)"):
        load_images(tmp_path)
    assert len(load_images(tmp_path, split="test")) == 2
