import gzip
import struct

import numpy as np
import pytest

from fewlabel.data import load_images
from fewlabel.data.formats import _read_idx
from fewlabel.errors import DataError
from tests.data.conftest import at_most
from tests.hostile import idx, idx_files, not_refused, not_regular


def idx_bytes(array):
    codes = {"|u1": 8, "|i1": 9, ">i2": 11, ">i4": 12, ">f4": 13, ">f8": 14}
    big = array.astype(array.dtype.newbyteorder(">"))
    header = bytes([0, 0, codes[big.dtype.str], array.ndim])
    return header + struct.pack(f">{array.ndim}I", *array.shape) + big.tobytes()


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
