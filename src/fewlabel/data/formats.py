"""Manifests and idx files as image sets."""

import gzip
import math
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

import numpy as np

from fewlabel.data.arrays import _with_channels, image_set_from_array
from fewlabel.data.folder import _link_problem, _open_files, _walk
from fewlabel.data.imageset import ImageSet, Skipped, _object_array
from fewlabel.data.names import _ImageFinder, _is_file
from fewlabel.data.parallel import Progress
from fewlabel.data.scale import PixelScale
from fewlabel.data.tables import _note_group, _read_table
from fewlabel.errors import DataError
from fewlabel.reading import _check_bytes, _most_unpacked, _open_regular, _read_into

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
# Images of several channels.
_MAX_AXES = 4

IDX_PREFIX = {"train": "train", "test": "t10k"}
"""How the official names of idx files begin, by split."""


def _from_manifest(
    path: str | Path, *, progress: Progress | None = None, scale: PixelScale | None = None
) -> ImageSet:
    """Read the images that a table lists, by the names that a label table may give them."""
    path = Path(path)
    columns, rows = _read_table(
        path,
        required=["path"],
        what="manifest",
        error=DataError,
        is_name=lambda cell: _is_file(path.parent / cell),
    )
    finder: _ImageFinder | None = None
    labels: dict[str, str] = {}
    places: dict[str, str] = {}
    groups: dict[str, tuple[str, str]] = {}
    for row in rows:
        name = row.cells["path"]
        if not _is_literal(name, path.parent):
            # Only now, since there may be a million files.
            finder = finder or _ImageFinder(_walk(path.parent, path.parent).files, path, DataError)
            name = finder.find(name, row.where) or _manifest_name(name, row.where)
        label = row.cells.get("label", "").strip()
        if labels.setdefault(name, label) != label:
            raise DataError(
                f"{path}, {row.place}: {name} is labeled {label!r}, but {labels[name]!r} "
                f"on {places[name]}: keep one of them."
            )
        places.setdefault(name, row.place)
        _note_group(row, name, name, groups, DataError)
    files, skipped = {}, []
    for name in labels:
        file = path.parent / name
        reason = _link_problem(file, path.parent.resolve())
        if reason is None and not _is_file(file):
            reason = f"the file does not exist ({path.name}, {places[name]})"
        if reason:
            skipped.append(Skipped(name, reason))
        else:
            files[name] = file
    images = _open_files(files, skipped, str(path), progress=progress, scale=scale)
    if "label" in columns:
        images.truth = _object_array([labels[name] for name in images.names])
    if groups:
        images.given_groups = tuple(groups.get(name, ("",))[0] for name in images.names)
    return images


def _from_idx(path: str | Path, *, scale: PixelScale | None = None) -> ImageSet:
    """Read an idx file of images, and the labels of the official name beside it."""
    path = Path(path)
    X, y = _read_pair(path, _labels_file_of(path))
    return image_set_from_array(X, y, source=str(path), scale=scale)


def _is_idx_folder(folder: Path) -> bool:
    """Return whether a folder holds idx files under the official names."""
    return any(_idx_file(folder, split, "images") for split in IDX_PREFIX)


def _from_idx_folder(
    folder: Path, split: str | None, *, source: str, class_names: tuple[str, ...] = ()
) -> ImageSet:
    """Read idx files with the official names (``train-images-idx3-ubyte.gz``, …)."""
    if split not in (None, *IDX_PREFIX):
        raise DataError(f"{folder} has the splits train and test. Got {split!r} instead.")
    wanted = [s for s in IDX_PREFIX if split in (None, s)]
    present = [s for s in wanted if _idx_file(folder, s, "images")]
    if not present:
        raise DataError(f"{folder} has no file {IDX_PREFIX[wanted[0]]}-images-idx3-ubyte.gz.")
    files = [(_idx_file(folder, s, "images"), _idx_file(folder, s, "labels")) for s in present]
    pairs = [_read_pair(images, labels) for images, labels in files if images is not None]
    _check_alike(folder, present, [images for images, _ in pairs])
    X = np.concatenate([images for images, _ in pairs]) if len(pairs) > 1 else pairs[0][0]
    labels = [y for _, y in pairs if y is not None]
    y = np.concatenate(labels) if len(labels) == len(pairs) else None
    if y is None or not class_names:
        return image_set_from_array(X, y, source=source)
    if y.dtype.kind not in "ui" or y.min() < 0 or y.max() >= len(class_names):
        raise DataError(
            f"{folder} has labels from {y.min()} to {y.max()}; {source} has "
            f"{len(class_names)} classes: fetch it again."
        )
    return image_set_from_array(X, np.array(class_names)[y], source=source)


def _idx_file(folder: Path, split: str, kind: str) -> Path | None:
    """Find one of the official idx files."""
    axes = 3 if kind == "images" else 1
    name = f"{IDX_PREFIX[split]}-{kind}-idx{axes}-ubyte"
    return next((f for f in (folder / f"{name}.gz", folder / name) if f.is_file()), None)


def _is_literal(name: str, folder: Path) -> bool:
    pure = PurePosixPath(name)
    inside = pure.as_posix() == name and not pure.is_absolute() and ".." not in pure.parts
    return inside and _is_file(folder / name)


def _manifest_name(text: str, where: str) -> str:
    name = text.strip()
    if "://" in name:
        raise DataError(f"{where}: {name} is an address: fetch the images first.")
    if not name:
        raise DataError(f"{where}: the path is blank.")
    # As Windows writes paths.
    name = name.replace("\\", "/")
    parts = PurePosixPath(name).parts
    if name.startswith("/") or name[1:2] == ":":
        raise DataError(
            f"{where}: {name} is an absolute path: write it relative to the manifest's folder."
        )
    if ".." in parts:
        raise DataError(
            f"{where}: {name} leads out of the manifest's folder: "
            "put the manifest into a folder above all its images."
        )
    return PurePosixPath(name).as_posix()


def _read_pair(images: Path, labels: Path | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Read images and their labels, where there are any; shapes are looked at before the rest."""

    def check_images(shape: tuple[int, ...]) -> None:
        if len(shape) < 3:
            raise DataError(
                f"{images} has shape {shape}, which is not that of images: "
                "give the file of images (its labels are found beside it)."
            )
        _with_channels(np.broadcast_to(np.uint8(0), shape), str(images))

    def check_labels(shape: tuple[int, ...]) -> None:
        if shape != (len(X),):
            raise DataError(
                f"{labels} has shape {shape}, but {images.name} holds {len(X):,} images."
            )

    X = _read_idx(images, check_images)
    return X, None if labels is None else _read_idx(labels, check_labels)


def _check_alike(folder: Path, splits: list[str], parts: list[np.ndarray]) -> None:
    """Raise if the splits hold images of different sizes, or numbers of different kinds."""
    for split, part in zip(splits, parts, strict=True):
        if (part.shape[1:], part.dtype) != (parts[0].shape[1:], parts[0].dtype):
            files = [_idx_file(folder, name, "images") for name in (splits[0], split)]
            raise DataError(
                f"{files[0]} holds {_described(parts[0])} and {files[1]} {_described(part)}: they "
                f"are not of one data set; name one of them ({splits[0]} or {split}) as the split."
            )


def _described(images: np.ndarray) -> str:
    return f"images of shape {images.shape[1:]} ({images.dtype})"


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
