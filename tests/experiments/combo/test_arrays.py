import os
import pickle

import numpy as np
import pytest

from fewlabel.errors import DataError
from fewlabel_experiments.combo.arrays import read_array

ARRAYS = [
    np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
    np.array([True, False]),
    np.linspace(0, 1, 6),
]


class _Runs:
    """Calls a function when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.fixture
def file(tmp_path):
    return tmp_path / "images_l.pkl"


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}")
def test_reads_arrays_of_every_protocol(file, array, protocol):
    file.write_bytes(pickle.dumps(array, protocol=protocol))
    found = read_array(file)
    np.testing.assert_array_equal(found, array)
    assert found.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")


def test_reads_an_array_of_python_2_and_the_old_numpy(file):
    # As numpy 1 under Python 2 wrote np.array([1, 255], "u1"), protocol 2.
    file.write_bytes(
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b"
        b"\x87Rq\x03(K\x01K\x02\x85cnumpy\ndtype\nq\x04U\x02u1K\x00K\x01\x87Rq\x05(K\x03U\x01|NNNJ"
        b"\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x02\x01\xfftb."
    )
    assert read_array(file).tolist() == [1, 255]


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize(
    ("function", "argument"), [(os.system, "mkdir {}"), (os.mkdir, "{}"), (eval, "open('{}', 'w')")]
)
def test_what_would_run_is_refused_and_not_run(file, tmp_path, function, argument, protocol):
    attack = _Runs(function, argument.format(tmp_path / "run"))
    file.write_bytes(pickle.dumps([ARRAYS[0], attack], protocol=protocol))
    with pytest.raises(DataError, match=rf"pkl asks for \w+\.{function.__name__}, .* as \.npy"):
        read_array(file)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.array([1, "a"], object), "holds no array of numbers, or is damaged .*type 'O8'"),
        (np.zeros(2, [("a", "u1")]), "type 'V1'"),
        (np.array(["text"]), "type 'U4'"),
        ([1, 2], r"must hold one array of numbers\. Got a list instead"),
        (np.ndarray, "Got a str instead"),
        (_Runs(np.ndarray, (1 << 50,)), "'str' object is not callable"),
        (_Runs(np.array, [1]), r"asks for numpy\.array"),
    ],
)
def test_anything_but_an_array_of_numbers_is_refused(file, content, message):
    file.write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match=message):
        read_array(file)


@pytest.mark.parametrize("length", [0, 1, 20, 100, -1])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_truncated_file_is_damaged(file, protocol, length):
    file.write_bytes(pickle.dumps(ARRAYS[0], protocol=protocol)[:length])
    with pytest.raises(DataError, match=r"images_l\.pkl holds no array of numbers, or is damaged"):
        read_array(file)


def test_npy_is_read_without_objects_and_large_files_not_at_all(tmp_path):
    file = tmp_path / "a.npy"
    np.save(file, ARRAYS[0])
    np.testing.assert_array_equal(read_array(file), ARRAYS[0])
    with pytest.raises(DataError, match=r"has 152 bytes, and at most 100 are read"):
        read_array(file, max_bytes=100)
    np.save(file, np.array([1, "a"], object), allow_pickle=True)
    with pytest.raises(DataError, match=r"a\.npy holds no array of numbers.*allow_pickle=False"):
        read_array(file)
