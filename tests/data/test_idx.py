import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from fewlabel.data.idx import _is_idx, _labels_file_of, _read_idx
from fewlabel.errors import DataError
from tests.data.conftest import at_most


def idx_bytes(array: np.ndarray) -> bytes:
    codes = {"|u1": 8, "|i1": 9, ">i2": 11, ">i4": 12, ">f4": 13, ">f8": 14}
    big = array.astype(array.dtype.newbyteorder(">"))
    header = bytes([0, 0, codes[big.dtype.str], array.ndim])
    return header + struct.pack(f">{array.ndim}I", *array.shape) + big.tobytes()


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("packed", [False, True])
def test_round_trip(tmp_path: Path, dtype: str, packed: bool) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    data = idx_bytes(array)
    path = tmp_path / "a-idx3-ubyte"
    path.write_bytes(gzip.compress(data) if packed else data)
    read = _read_idx(path)
    assert np.array_equal(read, array)
    assert read.dtype == array.dtype


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "begins with nothing"),
        (b"PNG and so on", "is not an idx file: it begins with 50 4e 47 20"),
        (bytes([0, 0, 8, 3, 0, 0]), "ends inside its header"),
        (idx_bytes(np.zeros((2, 3), np.uint8))[:-1], "promises 6 bytes and 5 are there"),
        (idx_bytes(np.zeros((2, 3), np.uint8)) + b"x", "goes on after the 6 bytes"),
        (bytes([0, 0, 8, 0]), "is not an idx file"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_damage_is_named(tmp_path: Path, data: bytes, message: str, packed: bool) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(DataError, match=message):
        _read_idx(path)


def test_cut_and_missing_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(idx_bytes(np.zeros((99, 9), np.uint8)))[:-9])
    with pytest.raises(DataError, match=r"a.gz is damaged \("):
        _read_idx(path)
    with pytest.raises(DataError, match=r"nothing.gz cannot be read: No such file"):
        _read_idx(tmp_path / "nothing.gz")


def test_a_lying_header_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes([0, 0, 8, 3]) + struct.pack(">3I", 60_000, 300, 300) + bytes(1000))
    promise = "promises 5,400,000,000 bytes and 1,000 are there"
    with at_most(10e6), pytest.raises(DataError, match=promise):
        _read_idx(path)
    path.write_bytes(bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**31, 2**31, 2**31))
    with pytest.raises(DataError, match="GB, more than the"):
        _read_idx(path)


def test_a_gzip_bomb_is_read_no_further_than_its_header(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    head = bytes([0, 0, 8, 3]) + struct.pack(">3I", 1, 10, 10)
    path.write_bytes(gzip.compress(head + bytes(50_000_000)))
    with at_most(5e6), pytest.raises(DataError, match="goes on after the 100 bytes"):
        _read_idx(path)


def test_names() -> None:
    assert _is_idx(Path("train-images.idx3-ubyte"))
    assert _is_idx(Path("x.gz"))
    assert not _is_idx(Path("x.npz"))


@pytest.mark.parametrize("there", ["t10k-labels-idx1-ubyte", "t10k-labels-idx1-ubyte.gz"])
def test_companion_labels(tmp_path: Path, there: str) -> None:
    (tmp_path / there).touch()
    assert _labels_file_of(tmp_path / "t10k-images-idx3-ubyte.gz") == tmp_path / there
    assert _labels_file_of(tmp_path / "t10k-images-idx3-ubyte") == tmp_path / there
    assert _labels_file_of(tmp_path / "pictures.gz") is None
