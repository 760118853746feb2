"""The idx format of the MNIST family, read trusting nothing that its header promises."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from fewlabel.errors import DataError

MAX_IDX_BYTES = 8 << 30
"""Files that hold more than this (8 GiB) are refused."""

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CHUNK = 1 << 20


def _read_idx(path: str | Path) -> np.ndarray:
    """Read an idx file, gzipped or not.

    The header is checked against what the file holds: no more is read than it promises, and
    no memory is taken for what is not there.
    """
    path = Path(path)
    try:
        with path.open("rb") as raw:
            # By content: browsers unpack a download and leave it its name.
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if packed else raw
            dtype, shape = _read_header(stream, path)
            data = _read_exactly(stream, math.prod(shape) * dtype.itemsize, path)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is damaged ({error}): fetch it again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    array = np.frombuffer(data, dtype=dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def _is_idx(path: Path) -> bool:
    """Return whether a file's name is that of an idx file."""
    name = path.name.lower()
    return name.endswith((".gz", ".idx", "-ubyte")) or "-idx" in name


def _labels_file_of(path: Path) -> Path | None:
    """Find the labels that belong to a file of images."""
    if "images" not in path.name:
        return None
    name = path.name.replace("images", "labels").replace("idx3", "idx1").removesuffix(".gz")
    companions = (path.with_name(name + ".gz"), path.with_name(name))
    return next((file for file in companions if file.is_file()), None)


def _read_header(stream: BinaryIO, path: Path) -> tuple[np.dtype, tuple[int, ...]]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES or not magic[3]:
        raise DataError(
            f"{path} is not an idx file: it begins with {magic.hex(' ') or 'nothing'} where "
            "00 00 08 03 is usual for images."
        )
    dtype, n_axes = np.dtype(_DTYPES[magic[2]]), magic[3]
    axes = stream.read(4 * n_axes)
    if len(axes) < 4 * n_axes:
        raise DataError(f"{path} ends inside its header: fetch it again.")
    shape = struct.unpack(f">{n_axes}I", axes)
    if math.prod(shape) * dtype.itemsize > MAX_IDX_BYTES:
        raise DataError(
            f"{path} promises {math.prod(shape) * dtype.itemsize / 1e9:,.1f} GB, "
            f"more than the {MAX_IDX_BYTES / 1e9:.1f} GB that are read."
        )
    return dtype, shape


def _read_exactly(stream: BinaryIO, n_bytes: int, path: Path) -> bytearray:
    # Grown as data arrive: a header that lies costs no memory.
    data = bytearray()
    while len(data) < n_bytes:
        chunk = stream.read(min(_CHUNK, n_bytes - len(data)))
        if not chunk:
            raise DataError(
                f"{path} is truncated: its header promises {n_bytes:,} bytes and "
                f"{len(data):,} are there. Fetch it again."
            )
        data += chunk
    if stream.read(1):
        raise DataError(f"{path} is damaged: it goes on after the {n_bytes:,} bytes it promises.")
    return data
