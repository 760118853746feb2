"""Read one array of numbers from a file, and run nothing that the file asks for."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np

from fewlabel.errors import DataError

MAX_BYTES = 4 << 30
"""Files that are larger (4 GiB) are refused before they are read."""


def read_array(path: Path, *, max_bytes: int = MAX_BYTES) -> np.ndarray:
    """Read a ``.npy`` file, or a pickle that holds one array of booleans, integers or floats."""
    size = path.stat().st_size
    if size > max_bytes:
        raise DataError(
            f"{path} has {size:,} bytes, and at most {max_bytes:,} are read: save fewer images."
        )
    try:
        with path.open("rb") as file:
            if path.suffix == ".npy":
                array = np.lib.format.read_array(file, allow_pickle=False)
            else:
                array = _ArrayUnpickler(file, path).load()
    except DataError:
        raise
    # A damaged pickle can end in nearly any exception.
    except Exception as error:
        raise DataError(
            f"{path} holds no array of numbers, or is damaged ({error}): fetch it again, or save "
            "the array with numpy.save as .npy."
        ) from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "buif":
        raise DataError(
            f"{path} must hold one array of numbers. Got {_described(array)} instead: save the "
            "array alone, with numpy.save as .npy."
        )
    return array


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickler that can build arrays of numbers and knows no other name."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        # Text of Python 2 may be pixels: latin1 keeps its bytes, and numpy takes them back.
        super().__init__(file, encoding="latin1")
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for one of numpy's array constructors; refuse any other name."""
        found = _CONSTRUCTORS.get((module.replace("numpy._core", "numpy.core"), name))
        if found is None:
            self._refuse(f"{module}.{name}")
        return found

    def persistent_load(self, pid: Any) -> NoReturn:
        """Refuse what is not in the file."""
        self._refuse("an object outside of the file")

    def _refuse(self, name: str) -> NoReturn:
        raise DataError(
            f"{self._path} asks for {name}, and only numpy's arrays are read from a pickle: "
            "nothing was run. If you trust who made it, save the array with numpy.save as .npy."
        )


def _dtype(name: str, *_flags: Any) -> np.dtype:
    """Return a type of numbers: no objects, and no fields that could hold some."""
    if not re.fullmatch(r"[buif]\d{1,2}", name):
        raise ValueError(f"an array of the type {name!r}")
    # The file fills in the byte order, which must not change numpy's own object.
    return np.dtype(name, copy=True)


# Stand-ins for numpy's own: no shape that a file asks for is made before its bytes are there.
_CONSTRUCTORS: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): _dtype,
    ("numpy.core.multiarray", "_reconstruct"): lambda *_: np.empty(0, np.uint8),
    ("numpy.core.numeric", "_frombuffer"): lambda data, kind, shape, order, *_: np.frombuffer(
        data, kind
    ).reshape(shape, order=order),
    # Protocols below 3 write bytes as text.
    ("_codecs", "encode"): lambda text, *_: text.encode("latin1"),
}


def _described(found: Any) -> str:
    if isinstance(found, np.ndarray):
        return f"an array of the type {found.dtype}"
    return f"a {type(found).__name__}"
