"""JSON without NaN, and of a bounded size: a file must not choose how much memory it takes."""

from __future__ import annotations

import json
import math
from typing import Any

MAX_JSON_BYTES = 16 * 2**20
"""Largest JSON file written or read: 16 MiB."""


def _dump_json(value: Any) -> bytes:
    """Return a value as JSON in ASCII; raise if it is no such value, or the text over 16 MiB."""
    data = (json.dumps(value, indent=1, allow_nan=False) + "\n").encode("ascii")
    if len(data) > MAX_JSON_BYTES:
        raise ValueError(
            f"the text takes {len(data):,} bytes, more than {MAX_JSON_BYTES:,}; "
            "store long lists of numbers as arrays"
        )
    return data


def _parse_json(data: bytes) -> Any:
    """Return the value of JSON text; raise ValueError if it is none, not finite, or too large."""
    if len(data) > MAX_JSON_BYTES:
        raise ValueError(f"it takes {len(data):,} bytes, more than {MAX_JSON_BYTES:,}")
    try:
        # The grammar lets 1e999 through, which is infinite, and Python's reader NaN besides.
        return json.loads(data.decode("utf-8"), parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        raise ValueError("it nests too deeply") from None


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value
