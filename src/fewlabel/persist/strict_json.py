"""JSON that means the same to every reader: bounded, no NaN, no repeated key.

Python's ``json`` writes ``NaN``, turns tuples and numpy-like numbers into something else, and
keeps the last of two equal keys. A saved model must come back exactly as it went in, and a
file from elsewhere must not choose how much memory it takes, so both directions are checked.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

MAX_JSON_BYTES = 16 * 2**20
"""Largest JSON file written or read: 16 MiB."""

MAX_DEPTH = 64
"""Deepest nesting of lists and objects written or read."""

MAX_INT_BITS = 256
"""Widest whole number written or read; a seed of 128 bits fits."""


def dump_json(value: Any) -> bytes:
    """Write a value as JSON in ASCII, the same bytes for the same value.

    Parameters
    ----------
    value : Any
        Made of dict (text keys), list, tuple, str, int, float, bool and None. A tuple is
        written as a list.

    Returns
    -------
    bytes
        JSON text, indented, with the keys in the order of ``value``.

    Raises
    ------
    TypeError
        If a part is of another type; the message names where it is.
    ValueError
        If a number is NaN or infinite, the nesting too deep, or the text over 16 MiB.

    Examples
    --------
    >>> dump_json({"a": [1, None]}).split()
    [b'{', b'"a":', b'[', b'1,', b'null', b']', b'}']
    """
    check_json_value(value)
    data = (json.dumps(value, indent=1, allow_nan=False) + "\n").encode("ascii")
    if len(data) > MAX_JSON_BYTES:
        raise ValueError(
            f"the text takes {len(data):,} bytes, more than {MAX_JSON_BYTES:,}; "
            "store long lists of numbers as arrays"
        )
    return data


def parse_json(data: bytes) -> Any:
    """Read JSON text, refusing what another reader might read differently.

    Parameters
    ----------
    data : bytes
        JSON text in UTF-8.

    Returns
    -------
    Any
        The value, made of dict, list, str, int, float, bool and None.

    Raises
    ------
    ValueError
        If the text is over 16 MiB, is not UTF-8 or not JSON, repeats a key in one object,
        holds NaN or an infinite number, or nests too deeply.

    Examples
    --------
    >>> parse_json(b'{"a": 1.5}')
    {'a': 1.5}
    >>> parse_json(b'{"a": NaN}')
    Traceback (most recent call last):
    ValueError: NaN is not JSON
    """
    if len(data) > MAX_JSON_BYTES:
        raise ValueError(f"it takes {len(data):,} bytes, more than {MAX_JSON_BYTES:,}")
    try:
        value = json.loads(
            data.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_unique_keys
        )
    except RecursionError:
        raise ValueError(f"it nests deeper than {MAX_DEPTH} levels") from None
    try:
        check_json_value(value)
    except TypeError as error:
        raise ValueError(str(error)) from None
    return value


def check_json_value(value: Any) -> None:
    """Refuse what JSON cannot hold exactly.

    Parameters
    ----------
    value : Any
        What to check.

    Raises
    ------
    TypeError
        If a part is of a type that JSON has not; the message names where it is.
    ValueError
        If a number is NaN, infinite or very long, or the nesting too deep.

    Examples
    --------
    >>> check_json_value({"scale": float("nan")})
    Traceback (most recent call last):
    ValueError: ['scale'] is nan; a number must be finite
    """
    fault = _first_fault(value, 0)
    if fault is not None:
        where, error, message = fault
        raise error(f"{where or 'it'} {message}")


def _first_fault(value: Any, depth: int) -> tuple[str, type[Exception], str] | None:
    """Find the first part that JSON cannot hold: where it is, the error, and what is wrong.

    The place is put together on the way back, so that a sound value costs no text.
    """
    # Exact types: a subclass (numpy's float64 is one of float) would not come back as itself.
    kind = type(value)
    if value is None or kind is str or kind is bool:
        return None
    if kind is int:
        if value.bit_length() <= MAX_INT_BITS:
            return None
        return "", ValueError, f"is a whole number of over {MAX_INT_BITS} bits"
    if kind is float:
        return (
            None
            if math.isfinite(value)
            else ("", ValueError, f"is {value}; a number must be finite")
        )
    if kind is not dict and kind is not list and kind is not tuple:
        return (
            "",
            TypeError,
            (
                f"is a {kind.__name__}; JSON holds dict, list, str, int, float, bool and None "
                "(turn a numpy number into a plain one with .item())"
            ),
        )
    if depth == MAX_DEPTH:
        return "", ValueError, f"nests deeper than {MAX_DEPTH} levels"
    for key, item in value.items() if kind is dict else enumerate(value):
        if kind is dict and type(key) is not str:
            return "", TypeError, f"has the key {key!r}, which is not text"
        fault = _first_fault(item, depth + 1)
        if fault is not None:
            return _place(key) + fault[0], *fault[1:]
    return None


def _place(key: str | int) -> str:
    return f"[{key[:40]!r}]" if isinstance(key, str) else f"[{key}]"


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {twice[:40]!r} stands twice in one object")
    return result
