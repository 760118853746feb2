"""Read one numpy array from a pickle without running anything that the pickle asks for.

A pickle is a program: loading one can start any function. Here the program is looked through
first (only instructions that arrays need, few of them), and what it may call are stand-ins of
this module, under the names that numpy uses: they note what is asked for, and build the array
from the file's own bytes once type, shape and size agree. numpy itself is never called by the
pickle, and any other name is refused before anything is done.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from fewlabel.errors import DataError

MAX_PICKLE_BYTES = 4 << 30
"""Files that are larger (4 GiB) are refused before they are read."""

_MAX_STEPS = 500
_ALLOWED_STEPS = frozenset(
    [
        "PROTO",
        "FRAME",
        "GLOBAL",
        "STACK_GLOBAL",
        "MARK",
        "STOP",
        "REDUCE",
        "BUILD",
        "MEMOIZE",
        "PUT",
        "BINPUT",
        "LONG_BINPUT",
        "GET",
        "BINGET",
        "LONG_BINGET",
        "TUPLE",
        "TUPLE1",
        "TUPLE2",
        "TUPLE3",
        "EMPTY_TUPLE",
        "NONE",
        "NEWTRUE",
        "NEWFALSE",
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "BINBYTES",
        "SHORT_BINBYTES",
        "BINBYTES8",
        "BYTEARRAY8",
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "UNICODE",
        "BINUNICODE",
        "SHORT_BINUNICODE",
    ]
)
_KINDS = "buif"


def read_array_pickle(path: str | Path, *, max_bytes: int = MAX_PICKLE_BYTES) -> np.ndarray:
    """Read a pickle that holds one array of numbers, and nothing else.

    Every protocol of Python 2 and 3 and both homes of numpy's functions (before and since
    numpy 2) are understood.

    Parameters
    ----------
    path : str or Path
        File.
    max_bytes : int
        Larger files are refused before they are read.

    Returns
    -------
    ndarray
        Booleans, integers or floats, in native byte order; it cannot be written to.

    Raises
    ------
    DataError
        If the file cannot be read, is no pickle, or asks for anything but such an array; the
        message names what it asks for. Nothing was run then.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "a.pkl"
    >>> _ = file.write_bytes(pickle.dumps(np.arange(3)))
    >>> read_array_pickle(file)
    array([0, 1, 2])
    """
    path = Path(path)
    data = _read(path, max_bytes)
    try:
        _look_through(data, path)
        # Text of Python 2 stays bytes: pixels were text there.
        found = _ArrayUnpickler(io.BytesIO(data), path).load()
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"{path} is no pickle of an array, or is damaged ({type(error).__name__}: {error}): "
            "nothing was run. Fetch it again, or save the array with numpy.save."
        ) from None
    array = found.array if isinstance(found, _Array) else None
    if array is None:
        raise DataError(
            f"{path} must hold one numpy array. It holds {_described(found)} instead: nothing was "
            "run. Save the array alone."
        )
    return array


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickler that knows the stand-ins, and no other name."""

    def __init__(self, stream: io.BytesIO, path: Path) -> None:
        super().__init__(stream, encoding="bytes", fix_imports=False)
        self._path = path
        self._names = {
            ("numpy", "dtype"): _NewType(path),
            ("numpy", "ndarray"): _Marker(),
            ("_codecs", "encode"): _Encode(),
            ("__builtin__", "bytes"): _NoBytes(),
        }
        for core in ("numpy.core", "numpy._core"):
            self._names[f"{core}.multiarray", "_reconstruct"] = _NewArray(path)
            self._names[f"{core}.numeric", "_frombuffer"] = _FromBuffer(path)

    def find_class(self, module: str, name: str) -> Any:
        """Give the stand-in of a name; refuse any other."""
        found = self._names.get((module, name))
        if found is None:
            raise _refusal(self._path, f"{module}.{name}")
        return found

    def persistent_load(self, pid: Any) -> NoReturn:
        """Refuse references to what is not in the file."""
        raise _refusal(self._path, "an object outside of the file")


class _Marker:
    """What the name of a class stands for: it cannot be called, changed or filled."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> NoReturn:
        raise ValueError("a function is filled with a state")


class _NewType(_Marker):
    """Stand-in of ``numpy.dtype``."""

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, name: Any, *_flags: Any) -> _Type:
        text = _text(name)
        # Two characters such as u1 or f8: no structured types, no objects, no texts.
        if text[:1] not in _KINDS or not text[1:].isdigit() or len(text) > 3:
            raise _refusal(self._path, f"an array of the type {text[:20]!r}")
        return _Type(np.dtype(text))


class _Type:
    """A type of numbers, filled with its byte order."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype

    def __setstate__(self, state: Any) -> None:
        order = _text(state[1])
        if order not in ("<", ">", "|", "="):
            raise ValueError(f"byte order {order!r}")
        self.dtype = np.dtype(order + self.dtype.str[1:])


class _Array:
    """An array to be, filled with version, shape, type, order and bytes."""

    __slots__ = ("_path", "array")

    def __init__(self, path: Path) -> None:
        self._path = path
        self.array: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        shape, kind, fortran, data = state[-4:]
        self.fill(data, kind, shape, "F" if fortran else "C")

    def fill(self, data: Any, kind: Any, shape: Any, order: str) -> None:
        """Make the array a view of the bytes, which must be as many as the shape says."""
        if not isinstance(kind, _Type) or not isinstance(data, bytes | bytearray):
            raise ValueError("an array without a type or bytes")
        shape = tuple(shape) if isinstance(shape, tuple) else (shape,)
        if len(shape) > 8 or not all(type(side) is int and side >= 0 for side in shape):
            raise ValueError("a shape that is none")
        promised = math.prod(shape) * kind.dtype.itemsize
        if promised != len(data):
            raise DataError(
                f"{self._path} is damaged: an array of shape {shape} and type {kind.dtype} is "
                f"{promised:,} bytes, and {len(data):,} are there. Nothing was run; fetch it again."
            )
        array = np.frombuffer(data, dtype=kind.dtype).reshape(shape, order=order)  # type: ignore[call-overload]
        array = array.astype(kind.dtype.newbyteorder("="), copy=False)
        array.flags.writeable = False
        self.array = array


class _NewArray(_NewType):
    """Stand-in of ``_reconstruct``: an empty array, whatever size is asked for."""

    __slots__ = ()

    def __call__(self, *_wanted: Any) -> _Array:  # type: ignore[override]
        return _Array(self._path)


class _FromBuffer(_NewType):
    """Stand-in of ``_frombuffer``, which protocol 5 uses."""

    __slots__ = ()

    def __call__(self, data: Any, kind: Any, shape: Any, order: Any, *_axes: Any) -> _Array:  # type: ignore[override]
        array = _Array(self._path)
        array.fill(data, kind, shape, "F" if _text(order) == "F" else "C")
        return array


class _Encode(_Marker):
    """Stand-in of ``_codecs.encode``, by which protocols 0 to 2 write bytes."""

    __slots__ = ()

    def __call__(self, text: Any, encoding: Any = "latin1") -> bytes:
        if not isinstance(text, str) or _text(encoding) not in ("latin1", "latin-1"):
            raise ValueError("bytes that are not written as latin1")
        return text.encode("latin1")


class _NoBytes(_Marker):
    """Stand-in of ``bytes``, by which protocols 0 to 2 write that there are none."""

    __slots__ = ()

    def __call__(self) -> bytes:
        return b""


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise DataError(
                f"{path} has {size:,} bytes, and at most {max_bytes:,} are read: save the array "
                "in parts with numpy.save."
            )
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def _look_through(data: bytes, path: Path) -> None:
    """Refuse programs with other instructions, too many of them, or places far beyond them."""
    for number, (step, argument, _) in enumerate(pickletools.genops(io.BytesIO(data))):
        if number >= _MAX_STEPS:
            raise _refusal(path, "more than one array")
        if step.name in ("GLOBAL", "INST"):
            _check_name(str(argument), path)
        if step.name not in _ALLOWED_STEPS:
            raise _refusal(path, f"the instruction {step.name}")
        # A memo of a few places cannot be asked to grow to billions.
        if step.name.endswith("PUT") and not 0 <= int(argument or 0) < 10 * _MAX_STEPS:
            raise _refusal(path, f"place {argument} of its memo")


def _check_name(name: str, path: Path) -> None:
    module, _, attribute = name.partition(" ")
    # Said here already, so that the name stands in the message whatever comes before it.
    _ArrayUnpickler(io.BytesIO(), path).find_class(module, attribute)


def _refusal(path: Path, wanted: str) -> DataError:
    return DataError(
        f"{path} asks for {wanted}, and only one plain numpy array of numbers is read from a "
        "pickle: refused, nothing was run. Do not open it with anything else unless you trust "
        "who made it."
    )


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin1")
    if not isinstance(value, str):
        raise ValueError(f"{type(value).__name__} where a text is expected")
    return value


def _described(found: Any) -> str:
    if isinstance(found, _Array):
        return "an array without content"
    if isinstance(found, _Marker | _Type):
        return "the name of a function or type"
    return f"a {type(found).__name__}"
