from __future__ import annotations

import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from fewlabel.errors import DataError
from fewlabel_experiments.combo.array_pickle import read_array_pickle

ARRAYS = [
    np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    np.linspace(0, 1, 6).reshape(2, 3),
    np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
    np.array([True, False]),
    np.zeros((0, 56, 56), np.float32),
]


@pytest.fixture
def save(tmp_path: Path):
    def save(data: bytes) -> Path:
        file = tmp_path / "images_l.pkl"
        file.write_bytes(data)
        return file

    return save


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}")
def test_reads_arrays_of_every_protocol(save, array, protocol):
    found = read_array_pickle(save(pickle.dumps(array, protocol=protocol)))
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype.newbyteorder("=")
    assert not found.flags.writeable


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_reads_arrays_of_the_other_numpy(save, protocol):
    data = pickle.dumps(ARRAYS[0], protocol=protocol)
    old, new = b"numpy.core.multiarray", b"numpy._core.multiarray"
    data = data.replace(new, old) if protocol < 4 else _rename(data, new, old)
    np.testing.assert_array_equal(read_array_pickle(save(data)), ARRAYS[0])


def _rename(data: bytes, old: bytes, new: bytes) -> bytes:
    """Rename a short text of protocol 4, with the lengths of it and of the frame."""
    short = b"\x8c" + bytes([len(old)]) + old
    data = data.replace(short, b"\x8c" + bytes([len(new)]) + new)
    frame = struct.unpack("<Q", data[3:11])[0] + len(new) - len(old)
    return data[:3] + struct.pack("<Q", frame) + data[11:]


def test_reads_an_array_of_python_2(save):
    # As numpy 1 under Python 2 wrote np.array([1, 2], "u1"), protocol 2.
    data = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b"
        b"\x87Rq\x03(K\x01K\x02\x85cnumpy\ndtype\nq\x04U\x02u1K\x00K\x01\x87Rq\x05(K\x03U\x01|NNNJ"
        b"\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x02\x01\x02tb."
    )
    assert read_array_pickle(save(data)).tolist() == [1, 2]


class _Runs:
    """Makes a file when it is unpickled in the ordinary way."""

    def __init__(self, function, *arguments) -> None:
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize(
    ("function", "arguments", "name"),
    [
        (os.system, ("touch run",), r"(posix|nt)\.system"),
        (os.mkdir, ("run",), r"(posix|nt)\.mkdir"),
        (eval, ("open('run', 'w')",), r"(builtins|__builtin__)\.eval"),
        (getattr, (np, "load"), "getattr"),
        (np.load, ("run.npy",), r"numpy\.load"),
        (np.ones, ((1 << 40,),), r"numpy.*\.ones"),
    ],
)
def test_refuses_other_names_and_runs_nothing(
    save, function, arguments, name, protocol, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    arguments = tuple("numpy" if a is np else a for a in arguments)
    attack = save(pickle.dumps(_Runs(function, *arguments), protocol=protocol))
    with pytest.raises(DataError, match=rf"asks for \S*{name}.*refused, nothing was run"):
        read_array_pickle(attack)
    assert [file.name for file in tmp_path.iterdir()] == ["images_l.pkl"]


def _call(name: str, arguments: bytes) -> bytes:
    """A pickle that calls one of numpy's names."""
    module, _, attribute = name.rpartition(".")
    return b"\x80\x02c" + module.encode() + b"\n" + attribute.encode() + b"\n" + arguments + b"R."


HUGE = b"\x8a\x06" + (1 << 40).to_bytes(6, "little")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_call("numpy.ndarray", HUGE + b"\x85"), "no pickle of an array.*not callable"),
        (_call("numpy.core.multiarray._reconstruct", HUGE + b"\x85"), "an array without content"),
        (_call("numpy.dtype", b"X\x01\x00\x00\x00O\x85"), "an array of the type 'O'"),
        (_call("numpy.dtype", b"X\x04\x00\x00\x00u1,O\x85"), "an array of the type 'u1,O'"),
        (_call("numpy.dtype", b"X\x02\x00\x00\x00U9\x85"), "an array of the type 'U9'"),
        (_call("numpy.dtype", b"]\x85"), "the instruction EMPTY_LIST"),
        (
            _call("_codecs.encode", b"X\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86"),
            "not written as latin1",
        ),
        # A function is given another code: as the state of a name.
        (b"\x80\x02cnumpy\ndtype\nN}b.", "the instruction EMPTY_DICT"),
        (b"\x80\x02cnumpy\ndtype\nNb.", "a function is filled with a state"),
        (b"\x80\x02cnumpy\ndtype\n.", "It holds the name of a function"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", r"asks for os\.system"),
        (b"\x80\x04\x8c\x05numpy\x8c\x0edtype.__init__\x93.", r"numpy\.dtype\.__init__"),
        (b"(ios\nsystem\n.", r"asks for os\.system"),
        (b"\x80\x02\x82\x01.", "the instruction EXT1"),
        (b"\x80\x02Pid\n.", "the instruction PERSID"),
        (b"\x80\x02cnumpy\nndarray\n)\x81.", "the instruction NEWOBJ"),
        # Promises of what is not there: no memory is taken for them.
        (b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little") + b"a.", "no pickle of an array"),
        (b"\x80\x04Nr\xff\xff\xff\xff.", "place 4294967295 of its memo"),
        (b"\x80\x02" + b"N0" * 1000 + b"N.", "the instruction POP"),
        (b"\x80\x02" + b"N" * 1000 + b".", "more than one array"),
        (pickle.dumps([1, 2]), "the instruction EMPTY_LIST"),
        (pickle.dumps(5), "It holds a int instead"),
        (pickle.dumps(ARRAYS[0])[:-20], "no pickle of an array, or is damaged"),
        (b"", "no pickle of an array"),
        (b"PK\x03\x04 a zip", "no pickle of an array"),
    ],
)
def test_refuses_every_attack_and_damage(save, data, message):
    with pytest.raises(DataError, match=message):
        read_array_pickle(save(data))


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_refuses_a_shape_that_is_not_there(save, protocol):
    data = pickle.dumps(np.arange(7, dtype=np.uint8), protocol=protocol)
    assert data.count(b"K\x07\x85") == 1
    with pytest.raises(DataError, match=r"shape \(9,\) and type uint8 is 9 bytes, and 7 are there"):
        read_array_pickle(save(data.replace(b"K\x07\x85", b"K\x09\x85")))


def test_refuses_objects_and_texts(save):
    for array in (np.array([None]), np.array(["a"]), np.array([(1,)], dtype=[("a", int)])):
        with pytest.raises(DataError, match="nothing was run"):
            read_array_pickle(save(pickle.dumps(array)))


def test_refuses_large_files_before_reading_them(save):
    with pytest.raises(DataError, match="and at most 100 are read"):
        read_array_pickle(save(bytes(101)), max_bytes=100)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.pkl cannot be read: No such file"):
        read_array_pickle(tmp_path / "gone.pkl")
