"""Named numpy arrays in one safetensors file, checked before they are built."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from fewlabel.errors import ModelFormatError, UsageError

ARRAYS_FILE = "arrays.safetensors"
"""Name of the file that holds the arrays of a model."""

_SAFETENSORS_NAMES: dict[str, str] = {
    "float16": "F16",
    "float32": "F32",
    "float64": "F64",
    "int8": "I8",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
    "uint8": "U8",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
    "bool": "BOOL",
}


def encode_arrays(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Turn arrays into the bytes of a safetensors file.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Float16/32/64, integer and bool arrays of any shape. Arrays that are not contiguous
        or not in this machine's byte order are copied first.

    Returns
    -------
    bytes
        Contents of the file; the same for the same arrays.

    Raises
    ------
    UsageError
        If a name or a dtype cannot be stored; text belongs in the ``meta`` of the bundle.

    Examples
    --------
    >>> len(encode_arrays({"weights": np.zeros((2, 3), dtype=np.float32)})) > 24
    True
    """
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


def describe_arrays(arrays: Mapping[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Say the dtype and shape of each array, as the manifest declares them.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        The arrays.

    Returns
    -------
    dict of str to dict
        ``{"dtype": str, "shape": list of int}`` for each name.

    Examples
    --------
    >>> describe_arrays({"w": np.zeros((2, 3))})
    {'w': {'dtype': 'float64', 'shape': [2, 3]}}
    """
    return {
        name: {"dtype": array.dtype.name, "shape": [int(side) for side in array.shape]}
        for name, array in arrays.items()
    }


def decode_arrays(path: Path, declared: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Read a safetensors file whose arrays are the declared ones and nothing else.

    Parameters
    ----------
    path : Path
        The file.
    declared : mapping of str to dict
        ``{"dtype": str, "shape": list of int}`` for each name, as ``describe_arrays`` gives.

    Returns
    -------
    dict of str to ndarray
        The arrays, in the order of ``declared``.

    Raises
    ------
    ModelFormatError
        If the file is not safetensors, or its arrays are not the declared ones. This is found
        from its header, before any array is built.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            found = set(file.keys())
            for name in [*declared, *found]:
                if name not in found or name not in declared:
                    side = "declares" if name in declared else "does not declare"
                    raise ModelFormatError(
                        f"{path}: the manifest {side} the array {name[:80]!r} and the file "
                        "says otherwise: the model is damaged; save it again or copy it anew."
                    )
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
        raise ModelFormatError(
            f"{path}: the manifest declares the dtype {dtype!r} for the array {name[:80]!r}, "
            f"which is none of {', '.join(_SAFETENSORS_NAMES)}: the model is damaged."
        )
    if found.get_dtype() != _SAFETENSORS_NAMES[dtype] or found.get_shape() != shape:
        raise ModelFormatError(
            f"{path}: the array {name[:80]!r} must be {dtype} of shape {shape}, and the file "
            f"holds {found.get_dtype()} of shape {found.get_shape()}: the model is damaged; "
            "save it again or copy it anew."
        )
