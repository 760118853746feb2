"""JSON comes back as it went in, and what cannot is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewlabel.persist.arrays import MAX_JSON_BYTES, _dump_json, _parse_json

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
