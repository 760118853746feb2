"""Manifests, ``.npz`` and idx files as image sets."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path, PurePosixPath

import numpy as np

from fewlabel.data.arrays import image_set_from_array
from fewlabel.data.folder import _link_problem, _open_files
from fewlabel.data.idx import _labels_file_of, _read_idx
from fewlabel.data.imageset import ImageSet, Skipped, _object_array
from fewlabel.data.parallel import Progress
from fewlabel.data.tables import _read_table
from fewlabel.errors import DataError

IDX_PREFIX = {"train": "train", "test": "t10k"}
"""How the official names of idx files begin, by split."""

# Any of these is what zipfile and numpy raise for a damaged file.
_DAMAGE = (OSError, EOFError, ValueError, MemoryError, RuntimeError, zlib.error, zipfile.BadZipFile)


def _from_manifest(
    path: str | Path, *, progress: Progress | None = None, white_level: int | None = None
) -> ImageSet:
    """Read the images that a CSV table lists."""
    path = Path(path)
    columns, rows = _read_table(path, required=["path"], what="manifest", error=DataError)
    labels: dict[str, str] = {}
    lines: dict[str, int] = {}
    for row in rows:
        name = _manifest_name(row.cells["path"], f"{path}, line {row.line}")
        label = row.cells.get("label", "").strip()
        if labels.setdefault(name, label) != label:
            raise DataError(
                f"{path}, line {row.line}: {name} is labeled {label!r}, but {labels[name]!r} "
                f"on line {lines[name]}: keep one of them."
            )
        lines.setdefault(name, row.line)
    files, skipped = {}, []
    for name in labels:
        file = path.parent / name
        reason = _link_problem(file, path.parent.resolve())
        if reason is None and not file.is_file():
            reason = f"the file does not exist ({path.name}, line {lines[name]})"
        if reason:
            skipped.append(Skipped(name, reason))
        else:
            files[name] = file
    images = _open_files(files, skipped, str(path), progress=progress, white_level=white_level)
    if "label" in columns:
        images.truth = _object_array([labels[name] for name in images.names])
    return images


def _from_npz(path: str | Path, *, white_level: int | None = None) -> ImageSet:
    """Read a ``.npz`` file with an array ``X`` and optionally ``y`` and ``classes``.

    A ``y`` of shape (n, K) holds several labels an image: 1, 0 and -1 for not known; ``classes``
    names its columns.
    """
    path = Path(path)
    if not zipfile.is_zipfile(path):
        raise DataError(
            f"{path} is not a .npz file, or is damaged: write it with numpy.savez(path, X=X, y=y)."
        )
    try:
        with np.load(path, allow_pickle=False) as arrays:
            _check_npz_sizes(path)
            if "X" not in arrays:
                raise DataError(
                    f"{path} has no array X; it holds {', '.join(arrays.files) or 'nothing'}. "
                    "Write it with numpy.savez(path, X=X, y=y)."
                )
            X = arrays["X"]
            y, classes = arrays.get("y"), arrays.get("classes")
    except _DAMAGE as error:
        if isinstance(error, DataError):
            raise
        if "allow_pickle" in str(error):
            raise DataError(
                f"{path} holds Python objects, which are not loaded since they can run code: "
                "save numbers or strings instead (for example y.astype(str))."
            ) from error
        raise DataError(f"{path} cannot be read as a .npz file: {error}.") from error
    names = None if classes is None or np.ndim(y) != 2 else classes.ravel().tolist()
    return image_set_from_array(X, y, classes=names, source=str(path), white=white_level)


def _from_idx(path: str | Path, *, white_level: int | None = None) -> ImageSet:
    """Read an idx file of images, and the labels of the official name beside it."""
    path = Path(path)
    X = _read_idx(path)
    if X.ndim < 3:
        raise DataError(
            f"{path} has shape {X.shape}, which is not that of images: "
            "give the file of images (its labels are found beside it)."
        )
    labels = _labels_file_of(path)
    y = None if labels is None else _read_idx(labels)
    if y is not None and y.shape != (len(X),):
        raise DataError(f"{labels} has shape {y.shape}, but {path.name} holds {len(X):,} images.")
    return image_set_from_array(X, y, source=str(path), white=white_level)


def _is_idx_folder(folder: Path) -> bool:
    """Return whether a folder holds idx files under the official names."""
    return any(_idx_file(folder, split, "images") for split in IDX_PREFIX)


def _from_idx_folder(
    folder: Path,
    split: str | None,
    *,
    source: str,
    class_names: tuple[str, ...] = (),
) -> ImageSet:
    """Read idx files with the official names (``train-images-idx3-ubyte.gz``, …)."""
    if split not in (None, *IDX_PREFIX):
        raise DataError(f"{folder} has the splits train and test. Got {split!r} instead.")
    wanted = [s for s in IDX_PREFIX if split in (None, s)]
    present = [s for s in wanted if _idx_file(folder, s, "images")]
    if not present:
        raise DataError(f"{folder} has no file {IDX_PREFIX[wanted[0]]}-images-idx3-ubyte.gz.")
    pairs = [_read_pair(folder, s) for s in present]
    X = np.concatenate([images for images, _ in pairs]) if len(pairs) > 1 else pairs[0][0]
    labels = [y for _, y in pairs if y is not None]
    y = np.concatenate(labels).astype(np.int64) if len(labels) == len(pairs) else None
    if y is None or not class_names:
        return image_set_from_array(X, y, source=source)
    if y.min() < 0 or y.max() >= len(class_names):
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


def _check_npz_sizes(path: Path) -> None:
    """Compare what each array's header promises with what the archive holds for it."""
    # numpy takes the memory that a header promises before it finds that the data are missing.
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.filename not in ("X.npy", "y.npy", "classes.npy"):
                continue
            with archive.open(member) as stream:
                shape, _, dtype = readers[np.lib.format.read_magic(stream)](stream)
            promised = math.prod(shape) * dtype.itemsize
            if not dtype.hasobject and promised > member.file_size:
                raise DataError(
                    f"{path} is damaged: {member.filename} promises {promised:,} bytes and has "
                    f"{member.file_size:,}."
                )


def _read_pair(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray | None]:
    images_file, labels_file = (_idx_file(folder, split, kind) for kind in ("images", "labels"))
    assert images_file is not None  # the caller has looked
    X = _read_idx(images_file)
    y = None if labels_file is None else _read_idx(labels_file)
    if X.ndim < 3 or (y is not None and y.shape != (len(X),)):
        raise DataError(
            f"{images_file} has shape {X.shape}"
            + (f" and its labels {y.shape}" if y is not None else "")
            + "; expected (n, height, width) and (n,): fetch them again."
        )
    return X, y
