"""JSON comes back exactly, and what cannot is refused with its place."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewlabel.persist.strict_json import MAX_DEPTH, MAX_JSON_BYTES, dump_json, parse_json

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
    back = parse_json(dump_json(value))
    assert back == value
    assert repr(back) == repr(value)  # 1, 1.0 and True are equal, and differ here


def test_a_tuple_comes_back_as_a_list():
    assert parse_json(dump_json({"classes": ("a", "b")})) == {"classes": ["a", "b"]}


def test_a_name_that_is_not_utf8_survives():
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    assert parse_json(dump_json([name])) == [name]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [0.5, math.nan]}, r"^\['a'\]\[1\] is nan; a number must be finite"),
        ({"a": math.inf}, r"^\['a'\] is inf"),
        ({"seed": 2**300}, r"^\['seed'\] is a whole number of over 256 bits"),
    ],
)
def test_numbers_that_json_has_not_are_refused_when_writing(value, text):
    with pytest.raises(ValueError, match=text):
        dump_json(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"n": np.int64(3)}, r"^\['n'\] is a int64; .*\.item\(\)"),
        ({"x": [np.float64(3)]}, r"^\['x'\]\[0\] is a float64"),
        ({"s": {1, 2}}, r"^\['s'\] is a set"),
        ({"s": {1: "a"}}, r"^\['s'\] has the key 1, which is not text"),
        (b"bytes", r"^it is a bytes"),
    ],
)
def test_types_that_json_has_not_are_refused_when_writing(value, text):
    with pytest.raises(TypeError, match=text):
        dump_json(value)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'{"a": NaN}', "NaN is not JSON"),
        (b"[-Infinity]", "-Infinity is not JSON"),
        (b"[1e999]", r"\[0\] is inf"),
        (b'{"a": 1, "b": 2, "a": 3}', "the key 'a' stands twice"),
        (b"\xff\xfe", "codec can't decode"),
        (b"", "Expecting value"),
        (b"{} {}", "Extra data"),
        (b"[" * 100_000, "nests deeper"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "nests deeper"),
        (b"9" * 5000, "digits"),
        (b"9" * 200, "over 256 bits"),
    ],
)
def test_text_that_readers_may_differ_on_is_refused(data, text):
    with pytest.raises(ValueError, match=text):
        parse_json(data)


def test_the_deepest_allowed_nesting_round_trips():
    value: list = []
    for _ in range(MAX_DEPTH - 1):
        value = [value]
    assert parse_json(dump_json(value)) == value
    with pytest.raises(ValueError, match="nests deeper"):
        dump_json([value])


def test_too_long_text_is_refused_both_ways():
    long = "x" * MAX_JSON_BYTES
    with pytest.raises(ValueError, match="store long lists of numbers as arrays"):
        dump_json([long])
    with pytest.raises(ValueError, match="more than 16,777,216"):
        parse_json(b'"' + long.encode() + b'"')
