"""Files opened for reading: regular ones only, and no more of them than there is room for."""

import errno
import mmap
import os
import re
import stat
import struct
import zipfile
from collections.abc import Container, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from fewlabel.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

BYTES_SETTING = "FEWLABEL_MAX_BYTES"
"""Environment variable that sets how many bytes a file may unpack to, such as ``16G``."""

DEFAULT_MAX_BYTES = 8 << 30
"""What it is by default: 8 GiB."""

# Rows and cells of a table take about this many times its size on disk.
_TABLE_GROWTH = 128
_CHUNK = 1 << 20
# No stream of deflate unpacks to more than 1,032 times its length.
_MOST_DEFLATED = 1032
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def _from_home(path: str | os.PathLike[str]) -> Path:
    """Return a path with ~ replaced by the folder that it stands for, where there is one."""
    # Not Path.expanduser, which fails for the home of a user that there is not: a file's name.
    return Path(os.path.expanduser(path))  # noqa: PTH111


def _max_bytes() -> int:
    """Return how many bytes a file may unpack to; raise `UsageError` if the setting is none."""
    text = os.environ.get(BYTES_SETTING, "").strip()
    if not text:
        return DEFAULT_MAX_BYTES
    found = re.fullmatch(r"([1-9][0-9]{0,17})([kmgt]?)(i?b)?", text.lower())
    if found is None:
        raise UsageError(
            f"The environment variable {BYTES_SETTING} must be a number of bytes, such as 16G. "
            f"Got {text!r} instead."
        )
    return int(found[1]) << 10 * " kmgt".index(found[2] or " ")


def _check_bytes(n_bytes: int, limit: int | None = None) -> None:
    """Raise an OSError that names the bound if a file holds, or promises, more than that."""
    limit = _max_bytes() if limit is None else limit
    if n_bytes > limit:
        reason = f"it holds {_size(n_bytes)}, more than the {_size(limit)} that are read"
        raise OSError(errno.EFBIG, f"{reason}: raise {BYTES_SETTING}, such as to 64G")


def _open_regular(path: str | Path) -> BufferedReader:
    """Open a regular file, or a link to one; an OSError says what anything else is."""
    # Looked at first, since opening a device can do something; and again, once it is open, since
    # it may have been replaced in between.
    _check_regular(Path(path).stat().st_mode, path)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags)
    try:
        _check_regular(os.fstat(handle).st_mode, path)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def _read_regular(path: str | Path, limit: int | None = None) -> bytes:
    """Return the whole of a regular file, by default of no more bytes than a table may have."""
    limit = _max_bytes() // _TABLE_GROWTH if limit is None else limit
    with _open_regular(path) as file:
        _check_bytes(os.fstat(file.fileno()).st_size, limit)
        # One byte more tells a file that grows, or whose length is not known.
        data = file.read(limit + 1)
    _check_bytes(len(data), limit)
    return data


@contextmanager
def _open_zip(path: str | Path, members: Container[str] | None = None) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive that is safe to unpack; only ``members`` count towards the bound."""
    with _open_regular(path) as file, _zip_file(file) as archive:
        length = os.fstat(file.fileno()).st_size
        seen: set[str] = set()
        for member in archive.infolist():
            name = member.filename[:80]
            if member.filename in seen:
                raise zipfile.BadZipFile(f"it holds {name!r} twice")
            seen.add(member.filename)
            if member.flag_bits & 1:
                raise zipfile.BadZipFile(f"{name!r} is encrypted")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                # zipfile unpacks those without any bound.
                raise zipfile.BadZipFile(f"{name!r} is compressed with other than deflate")
            packed = member.compress_size
            if packed > length or member.file_size > _most_unpacked(packed):
                raise zipfile.BadZipFile(
                    f"{name!r} promises {member.file_size:,} bytes, more than it can hold"
                )
        _check_bytes(
            sum(
                member.file_size
                for member in archive.infolist()
                if members is None or member.filename in members
            )
        )
        yield archive


def _zip_file(file: BinaryIO) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except (ValueError, NotImplementedError, OverflowError, struct.error) as error:
        raise zipfile.BadZipFile(str(error)) from error


def _most_unpacked(n_bytes: int) -> int:
    """Return the length of the longest text that deflate can have packed into so few bytes."""
    return n_bytes * _MOST_DEFLATED + 1


def _read_into(stream: BinaryIO, out: memoryview) -> int:
    """Fill a buffer from a stream, block by block; return how much of it was filled."""
    done = 0
    while done < len(out):
        part = stream.read(min(_CHUNK, len(out) - done))
        if not part:
            break
        out[done : done + len(part)] = part
        done += len(part)
    return done


def _check_regular(mode: int, path: str | Path) -> None:
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise OSError(errno.EINVAL, f"it is {kind}, not a regular file", str(path))


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:,.1f} GB" if n_bytes >= 1e8 else f"{n_bytes:,} bytes"


def _release_mapped(array: "np.ndarray") -> None:
    """Give back to the system what was read of a mapped file: it is read again where needed."""
    base: Any = array
    while base is not None and getattr(base, "_mmap", None) is None:
        base = getattr(base, "base", None)
    # Of a private copy ("c"), what was written would be lost.
    if base is not None and base.mode != "c" and hasattr(mmap, "MADV_DONTNEED"):
        base._mmap.madvise(mmap.MADV_DONTNEED)
