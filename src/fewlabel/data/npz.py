"""``.npz`` archives and ``.npy`` files as image sets, trusting nothing that headers promise."""

import io
import math
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import numpy as np

from fewlabel.data.arrays import _with_channels, image_set_from_array
from fewlabel.data.imageset import ImageSet
from fewlabel.data.scale import PixelScale
from fewlabel.errors import DataError
from fewlabel.reading import _open_regular, _open_zip, _read_into

_MEMBERS = {f"{name}.npy": name for name in ("X", "y", "classes")}
_DAMAGE = (OSError, EOFError, MemoryError, RuntimeError, ValueError, zlib.error)
_MAGIC = b"\x93NUMPY"
# As numpy's own bound: a longer header could take the parser down.
_MAX_HEADER = 10_000
_MOST_ITEMS = 1 << 48
_NAMED = 10


class _Header(NamedTuple):
    """What an array in the archive is said to be."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype
    # Where its numbers begin in the member.
    start: int

    @property
    def n_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def blank(self) -> np.ndarray:
        """Return an array of this shape and dtype that takes no memory."""
        return np.broadcast_to(np.zeros((), self.dtype), self.shape)


def _from_npz(path: str | Path, *, scale: PixelScale | None = None) -> ImageSet:
    """Read a ``.npz`` file with an array ``X``, perhaps with ``y`` and names of its ``classes``."""
    path = Path(path)
    try:
        with _open_zip(path, _MEMBERS) as archive:
            X, y, classes = _read_arrays(archive, path)
    except DataError:
        raise
    except zipfile.BadZipFile as error:
        raise DataError(
            f"{path} is not a .npz file, or is damaged ({error}): "
            "write it with numpy.savez(path, X=X, y=y)."
        ) from error
    except _DAMAGE as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DataError(f"{path} cannot be read as a .npz file: {reason}.") from error
    names = None if classes is None or y is None or y.ndim != 2 else classes.ravel().tolist()
    return image_set_from_array(X, y, classes=names, source=str(path), scale=scale)


def _from_npy(path: str | Path, *, scale: PixelScale | None = None) -> ImageSet:
    """Map a ``.npy`` file of images, which is never read whole; labels are in ``labels.npy``."""
    path = Path(path)
    labels = path.with_name(path.name.replace("images", "labels"))
    y = _map_npy(labels) if labels != path and labels.is_file() else None
    X = _with_channels(_map_npy(path), str(path))
    if y is not None and y.shape[:1] != X.shape[:1]:
        raise DataError(f"{labels} has shape {y.shape}, but {path.name} holds {len(X):,} images.")
    return image_set_from_array(X, y, source=str(path), scale=scale)


def _map_npy(path: Path) -> np.ndarray:
    try:
        with _open_regular(path):
            pass
        # Raises for Python objects, and where the file is shorter than its header says.
        return np.asarray(np.lib.format.open_memmap(path, mode="r"))
    except (OSError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)[:200] or type(error).__name__
        raise DataError(
            f"{path} cannot be read as a .npy file ({reason}): write it with numpy.save(path, X)."
        ) from error


def _read_arrays(
    archive: zipfile.ZipFile, path: Path
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Check every header against the others and against the archive, and only then unpack."""
    found = {_MEMBERS[m.filename]: m for m in archive.infolist() if m.filename in _MEMBERS}
    if "X" not in found:
        names = [m.filename.removesuffix(".npy")[:80] for m in archive.infolist()]
        held = ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
        raise DataError(
            f"{path} has no array X; it holds {held or 'nothing'}. "
            "Write it with numpy.savez(path, X=X, y=y)."
        )
    headers = {name: _read_header(archive, found[name], path) for name in found}
    shape = _with_channels(headers["X"].blank(), str(path)).shape
    if "y" in found and headers["y"].shape[:1] != shape[:1]:
        raise DataError(
            f"{path}: y has shape {headers['y'].shape}, but X holds {shape[0]:,} images."
        )
    arrays = {name: _read_array(archive, found[name], headers[name], path) for name in found}
    return arrays["X"], arrays.get("y"), arrays.get("classes")


def _read_header(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> _Header:
    where = f"{path}: {member.filename}"
    with archive.open(member) as stream:
        start = stream.read(len(_MAGIC) + 2)
        if start[:-2] != _MAGIC or start[-2:] not in (b"\1\0", b"\2\0", b"\3\0"):
            raise DataError(
                f"{where} is no array in a version of numpy's format from 1 to 3 (it begins with "
                f"{start.hex(' ') or 'nothing'}): write it with numpy.savez(path, X=X, y=y)."
            )
        version = start[-2]
        size = stream.read(2 if version == 1 else 4)
        n_text = int.from_bytes(size, "little")
        text = stream.read(min(n_text, _MAX_HEADER + 1))
    numpys = np.lib.format.read_array_header_1_0
    if version > 1:
        # Version 3 is version 2 in UTF-8, for names of fields, which are refused.
        numpys = np.lib.format.read_array_header_2_0
    try:
        shape, fortran, dtype = numpys(io.BytesIO(size + text))
        if any(type(side) is not int or side < 0 for side in shape):
            raise ValueError(f"the shape {shape} is not one of whole numbers")
        if math.prod(side or 1 for side in shape) > _MOST_ITEMS:
            raise ValueError(f"no memory holds the shape {shape}")
    except Exception as error:
        # Of a forged header, numpy and the parser of Python raise nearly anything.
        raise DataError(f"{where} has a damaged header ({str(error)[:200]}).") from error
    if dtype.hasobject:
        raise DataError(
            f"{where} holds Python objects, which are not loaded since they can run code: "
            "save numbers, with -1 where unlabeled, or texts, blank where unlabeled, such as "
            "numpy.where(pandas.isna(y), '', y).astype(str)."
        )
    header = _Header(shape, fortran, dtype, len(start) + len(size) + len(text))
    if dtype.kind not in "buifUS" or not dtype.itemsize:
        raise DataError(f"{where} must hold numbers or text. Got dtype {dtype}.")
    if header.n_bytes > member.file_size - header.start:
        raise DataError(
            f"{path} is damaged: {member.filename} promises {header.n_bytes:,} bytes and has "
            f"{member.file_size - header.start:,}."
        )
    return header


def _read_array(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, header: _Header, path: Path
) -> np.ndarray:
    """Unpack an array into its place, so that the memory it takes is its own size."""
    data = np.empty(header.n_bytes, np.uint8)
    with archive.open(member) as stream:
        stream.read(header.start)
        done = _read_into(cast(BinaryIO, stream), data.data)
        # At its end zipfile compares the checksum.
        stream.read(1)
    if done < header.n_bytes:
        raise DataError(
            f"{path} is damaged: {member.filename} promises {header.n_bytes:,} bytes and has "
            f"{done:,}."
        )
    if header.dtype.kind == "U":
        # Python's texts hold no other characters, and no file takes halves of one.
        codes = data.view(np.dtype("u4").newbyteorder(header.dtype.byteorder))
        if ((codes > 0x10FFFF) | (codes >> 11 == 0xD800 >> 11)).any():
            raise DataError(f"{path} is damaged: {member.filename} holds text that is no Unicode.")
    array = data.view(header.dtype)
    if header.fortran:
        return array.reshape(header.shape[::-1]).T
    return array.reshape(header.shape)
