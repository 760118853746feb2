"""The idx format of the MNIST family, read trusting nothing that its header promises."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from fewlabel.errors import DataError
from fewlabel.reading import _check_bytes, _most_unpacked, _open_regular, _read_into

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
# Images of several channels.
_MAX_AXES = 4


def _read_idx(
    path: str | Path, check: Callable[[tuple[int, ...]], None] = lambda shape: None
) -> np.ndarray:
    """Read an idx file, gzipped or not; no more memory is taken than its header and size allow."""
    path = Path(path)
    try:
        with _open_regular(path) as raw:
            # By content: browsers unpack a download and leave it its name.
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if packed else raw
            dtype, shape = _read_header(stream, path)
            n_bytes, held = math.prod(shape) * dtype.itemsize, os.fstat(raw.fileno()).st_size
            _check_bytes(n_bytes)
            check(shape)
            # What cannot be there needs no place, and the rest is counted.
            data = np.empty(min(n_bytes, _most_unpacked(held) if packed else held), np.uint8)
            done = _read_into(stream, data.data)
            if done < n_bytes:
                raise DataError(
                    f"{path} is truncated: its header promises {n_bytes:,} bytes and "
                    f"{done:,} are there. Fetch it again."
                )
            if stream.read(1):
                raise DataError(
                    f"{path} is damaged: it goes on after the {n_bytes:,} bytes it promises."
                )
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is damaged ({error}): fetch it again.") from error
    except (OSError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DataError(f"{path} cannot be read: {reason}.") from error
    array = data.view(dtype).reshape(shape)
    # In place, where bytes must be turned around: there may not be room for two.
    native = dtype.newbyteorder("=")
    return array if dtype == native else array.byteswap(inplace=True).view(native)


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
    if n_axes > _MAX_AXES:
        raise DataError(
            f"{path} has {n_axes} axes, which no images have: the file is of something else, "
            "or damaged."
        )
    axes = stream.read(4 * n_axes)
    if len(axes) < 4 * n_axes:
        raise DataError(f"{path} ends inside its header: fetch it again.")
    shape = struct.unpack(f">{n_axes}I", axes)
    if 0 in shape:
        raise DataError(f"{path} holds nothing: its shape is {shape}.")
    return dtype, shape
