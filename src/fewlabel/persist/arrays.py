"""Named arrays in one safetensors file, checked before they are built, and JSON in bounds."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from fewlabel.errors import ModelFormatError, UsageError, _damaged

MAX_JSON_BYTES = 16 * 2**20
"""Largest JSON file written or read: 16 MiB."""

ARRAYS_FILE = "arrays.safetensors"
"""Name of the file that holds the arrays of a model."""

_SAFETENSORS_NAMES = {
    **{f"float{n}": f"F{n}" for n in (16, 32, 64)},
    **{f"int{n}": f"I{n}" for n in (8, 16, 32, 64)},
    **{f"uint{n}": f"U{n}" for n in (8, 16, 32, 64)},
    "bool": "BOOL",
}


def _encode_arrays(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Turn arrays into the bytes of a safetensors file, the same for the same arrays."""
    dense: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        if not isinstance(name, str) or not name or name == "__metadata__":
            raise UsageError(
                f"The name of an array must be text, not empty and not '__metadata__'. "
                f"Got {name!r} instead."
            )
        if not isinstance(array, np.ndarray) or array.dtype.name not in _SAFETENSORS_NAMES:
            found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise UsageError(
                f"The array {name!r} must be a numpy array of {', '.join(_SAFETENSORS_NAMES)}. "
                f"Got {found} instead: convert it, or put text and settings into meta."
            )
        # asarray and not ascontiguousarray, which would give a number one dimension.
        dense[name] = np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
    return safetensors.numpy.save(dense)


def _describe_arrays(arrays: Mapping[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Return the dtype and shape of each array, as the manifest declares them."""
    return {
        name: {"dtype": array.dtype.name, "shape": [int(side) for side in array.shape]}
        for name, array in arrays.items()
    }


def _decode_arrays(path: Path, declared: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Read a safetensors file whose arrays are the declared ones, which its header shows."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            found = set(file.keys())
            for name in [*declared, *found]:
                if name not in found or name not in declared:
                    side = "declares" if name in declared else "does not declare"
                    raise _damaged(
                        f"{path}: the manifest {side} the array {name[:80]!r} and the file says "
                        "otherwise"
                    )
            # The header of every array before the first is built: a file decides on no memory.
            for name in declared:
                _check_header(path, name, declared[name], file.get_slice(name))
            return {name: file.get_tensor(name) for name in declared}
    except safetensors.SafetensorError as error:
        raise ModelFormatError(
            f"{path} is not a safetensors file ({error}): fewlabel loads no other format "
            "(a pickle could run code); save the model again or copy it anew."
        ) from error


def _check_header(path: Path, name: str, declared: Any, found: Any) -> None:
    dtype = declared.get("dtype") if isinstance(declared, dict) else None
    shape = declared.get("shape") if isinstance(declared, dict) else None
    if not isinstance(dtype, str) or dtype not in _SAFETENSORS_NAMES:
        raise _damaged(
            f"{path}: the manifest declares the dtype {repr(dtype)[:80]} for the array "
            f"{name[:80]!r}, which is none of {', '.join(_SAFETENSORS_NAMES)}"
        )
    if found.get_dtype() != _SAFETENSORS_NAMES[dtype] or found.get_shape() != shape:
        raise _damaged(
            f"{path}: the array {name[:80]!r} must be {dtype} of shape {str(shape)[:80]}, and the "
            f"file holds {found.get_dtype()} of shape {found.get_shape()}"
        )


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
