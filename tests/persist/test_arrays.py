"""Arrays come back bit for bit, and a file that is not what was declared is refused."""

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.persist.arrays import (
    MAX_JSON_BYTES,
    _decode_arrays,
    _describe_arrays,
    _dump_json,
    _encode_arrays,
    _parse_json,
)

DTYPES = [
    "f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", ">f4", ">i8",
]  # fmt: skip

any_array = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0))
)


def there_and_back(folder, arrays):
    path = folder / "a.safetensors"
    path.write_bytes(_encode_arrays(arrays))
    return _decode_arrays(path, _describe_arrays(arrays))


@given(st.dictionaries(st.text(min_size=1).filter("__metadata__".__ne__), any_array, max_size=4))
@settings(derandomize=True, deadline=None, max_examples=60)
def test_round_trip_is_bit_for_bit(tmp_path_factory, arrays):
    back = there_and_back(tmp_path_factory.mktemp("arrays"), arrays)
    assert list(back) == list(arrays)
    for name, array in arrays.items():
        assert back[name].shape == array.shape
        assert back[name].dtype == array.dtype.newbyteorder("=")
        assert back[name].tobytes() == array.astype(array.dtype.newbyteorder("=")).tobytes()


def test_arrays_that_are_not_contiguous_keep_their_order(tmp_path):
    array = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
    arrays = {"t": array.T, "strided": array[:, ::2], "fortran": np.asfortranarray(array)}
    for name, back in there_and_back(tmp_path, arrays).items():
        np.testing.assert_array_equal(back, arrays[name])


@pytest.mark.parametrize(
    ("name", "array", "text"),
    [
        ("x", np.array(["a", "b"]), "'x' must be a numpy array .* Got <U1 instead"),
        ("x", np.array([{}], dtype=object), "Got object instead"),
        ("x", np.array([1j]), "Got complex128 instead"),
        ("x", np.array(["2020"], dtype="datetime64[Y]"), r"Got datetime64\[Y\] instead"),
        ("x", [1, 2], "Got list instead"),
        *[(name, np.zeros(1), "The name of an array must be") for name in ("", "__metadata__", 3)],
    ],
)
def test_what_cannot_be_stored_is_refused(name, array, text):
    with pytest.raises(UsageError, match=text):
        _encode_arrays({name: array})


FILE = _encode_arrays({"w": np.zeros((2, 3), np.float32)})
# A header that promises 8 TB and a file that does not hold them.
PROMISE = b'{"w":{"dtype":"F64","shape":[1000000000000],"data_offsets":[0,8000000000000]}}'


@pytest.mark.parametrize(
    ("data", "declared", "text"),
    [
        (FILE, {}, "does not declare the array 'w'"),
        (FILE, {"w": None, "b": None}, "declares the array 'b' and the file says otherwise"),
        (FILE, {"w": {"dtype": "float64", "shape": [2, 3]}}, "must be float64 .* holds F32"),
        (FILE, {"w": {"dtype": "float32", "shape": [3, 2]}}, r"shape \[3, 2\], and the file"),
        (FILE, {"w": {"dtype": "object", "shape": [2, 3]}}, "dtype 'object' for the array 'w'"),
        (FILE, {"w": {"dtype": ["float32"], "shape": [2, 3]}}, "is none of float16"),
        (FILE, {"w": "float32"}, "dtype None"),
        (FILE, {"w": {"dtype": "float32"}}, "of shape None"),
        (
            len(PROMISE).to_bytes(8, "little") + PROMISE,
            {"w": {"dtype": "float64", "shape": [10**12]}},
            "is not a safetensors file",
        ),
        (
            safetensors.numpy.save({"w": np.zeros(2, np.complex64)}),
            {"w": {"dtype": "float32", "shape": [2]}},
            "holds C64",
        ),
    ],
)
def test_a_file_that_is_not_as_declared_is_refused(tmp_path, data, declared, text):
    path = tmp_path / "a.safetensors"
    path.write_bytes(data)
    with pytest.raises(ModelFormatError, match=text):
        _decode_arrays(path, declared)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
@settings(derandomize=True, deadline=None)
def test_round_trip_is_exact(value):
    back = _parse_json(_dump_json(value))
    assert back == value
    assert repr(back) == repr(value)  # 1, 1.0 and True are equal, and differ here


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'{"a": NaN}', "NaN is not a finite number"),
        (b"[-Infinity]", "-Infinity is not a finite number"),
        (b"[1e999]", "1e999 is not a finite number"),
        (b"\xff\xfe", "codec can't decode"),
        (b"", "Expecting value"),
        (b"{} {}", "Extra data"),
        (b"[" * 100_000, "nests too deeply"),
        (b"9" * 5000, "digits"),
        (b'"' + b"x" * MAX_JSON_BYTES + b'"', "more than 16,777,216"),
    ],
)
def test_what_is_not_json_is_refused_when_reading(data, text):
    with pytest.raises(ValueError, match=text):
        _parse_json(data)
