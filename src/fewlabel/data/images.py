"""``load_images``: every input form to one ``ImageSet``."""

import difflib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fewlabel.data import formats
from fewlabel.data.arrays import image_set_from_array
from fewlabel.data.benchmarks import load_benchmark
from fewlabel.data.catalog import NAMES
from fewlabel.data.decode import SUFFIXES
from fewlabel.data.folder import _from_files, _from_folder, _open_files, _printable
from fewlabel.data.formats import _is_idx
from fewlabel.data.imageset import ImageSet, Skipped, _object_array
from fewlabel.data.names import _is_file
from fewlabel.data.npz import _from_npy, _from_npz
from fewlabel.data.parallel import Progress
from fewlabel.data.remote import _from_url, _is_parquet
from fewlabel.data.scale import PixelScale
from fewlabel.data.tables import TABLE_SUFFIXES, _is_frame, _read_table
from fewlabel.errors import DataError, _path_errors
from fewlabel.reading import _from_home

_TAKEN = (
    "Images are taken as a path (of a folder, a .npz, .npy, idx or .csv file), a list of paths, a "
    "data frame with a column `path`, an array of shape (n, H, W) or (n, H, W, C), or an ImageSet"
)
_NAMED = 5

__all__ = ["ImageSet", "Skipped", "load_images"]


@_path_errors(DataError)
def load_images(
    source: Any,
    *,
    split: str | None = None,
    progress: Progress | None = None,
    scale: PixelScale | None = None,
) -> ImageSet:
    """Open images in any form that fewlabel takes.

    Parameters
    ----------
    source : str, Path, data frame, sequence or ImageSet
        A folder of any depth; a tree with one folder a class, or ``SPLIT/CLASS`` folders
        (the class is then ``truth``); the URL of such a folder in an object store, as in
        ``s3://bucket/photos``; a ``.parquet`` file, or a folder of them, with a column ``path``
        and the images in a column ``bytes``; a ``.npz`` file with ``X`` and optionally ``y``; a
        ``.npy`` file, which is mapped and not read whole (labels of ``images.npy`` stand in
        ``labels.npy``); an idx file; a CSV manifest with a ``path`` column; one image file; or the
        name of a
        benchmark, also as ``NAME:SPLIT``. A path that exists comes before a benchmark of
        the same name. From Python also a list of paths, a data frame with a column ``path``
        (a column ``label`` is then ``truth``), an array of shape (n, H, W) or (n, H, W, C), or
        an image set, which is returned as it is. Of lists and data frames every file must be
        readable, so that the images stay in line with the rows.
    split : str, optional
        ``"train"`` or ``"test"`` of a benchmark, or the first-level folder of a
        ``SPLIT/CLASS`` tree. By default all splits.
    progress : callable, optional
        Called as ``progress(done, total)`` while files are looked at: each is decoded once,
        at reduced size, so that what cannot be read is known before the work starts.
    scale : PixelScale, optional
        Which pixel values become 0 and 255. By default what suits all images of the source;
        pass the ``scale`` of the training images, or of the model, to read new ones alike.

    Returns
    -------
    ImageSet
        The images; files that cannot be read are in ``skipped``.

    Raises
    ------
    DataError
        If the source does not exist or is of no known form, or holds nothing readable.

    Examples
    --------
    >>> load_images("digits")
    <ImageSet of 1,797 images from digits>
    """
    if isinstance(source, ImageSet):
        return source
    if not isinstance(source, str | os.PathLike):
        return _images_given(source, progress, scale)
    if isinstance(source, str) and "://" in source:
        return _from_url(source, progress=progress, scale=scale)
    path = _from_home(source)
    try:
        exists = path.exists()
    except PermissionError:
        raise
    except (OSError, ValueError):
        # Too long for a path, or with a zero byte in it.
        exists = False
    if not exists:
        return _load_benchmark(str(source), split, progress)
    if path.is_dir():
        # Raises with its own name where it cannot be listed.
        os.scandir(path).close()
    if _is_parquet(path):
        return _from_url(path.absolute().as_uri(), progress=progress, scale=scale)
    if path.is_dir() and not formats._is_idx_folder(path):
        return _from_folder(path, split=split, progress=progress, scale=scale)
    if path.is_dir():
        return formats._from_idx_folder(path, split, source=str(source))
    if split is not None:
        raise DataError(f"{source} is one file and has no split {split!r}: leave the split out.")
    return _load_file(path, progress, scale)


def _load_benchmark(source: str, split: str | None, progress: Progress | None) -> ImageSet:
    name, _, suffix = source.partition(":")
    if name in NAMES and not (suffix and split):
        return load_benchmark(name, suffix or split, progress=progress)
    close = difflib.get_close_matches(source.lower(), NAMES, n=1)
    hint = f"did you mean {close[0]!r}?" if close else "check the path."
    raise DataError(f"{source} does not exist, and the benchmarks are {', '.join(NAMES)}: {hint}")


def _load_file(path: Path, progress: Progress | None, scale: PixelScale | None) -> ImageSet:
    suffix = path.suffix.lower()
    if suffix in TABLE_SUFFIXES:
        return formats._from_manifest(path, progress=progress, scale=scale)
    if suffix == ".npz":
        return _from_npz(path, scale=scale)
    if suffix == ".npy":
        return _from_npy(path, scale=scale)
    if suffix in SUFFIXES:
        return _from_files([path], progress=progress, scale=scale)
    if _is_idx(path):
        return formats._from_idx(path, scale=scale)
    raise DataError(
        f"{path} is of no known form: give a folder, a .npz, .npy, idx or .csv file, an image, or "
        f"one of the benchmarks {', '.join(NAMES)}."
    )


def _images_given(X: Any, progress: Progress | None, scale: PixelScale | None) -> ImageSet:
    """Return the images of a data frame, a list of paths or an array, one a row."""
    if _is_frame(X):
        columns, table = _read_table(X, required=["path"], what="data frame", error=DataError)
        rows = list(table)
        images = _from_paths([row.cells["path"] for row in rows], progress, scale)
        if "label" in columns:
            images.truth = _object_array([row.cells["label"].strip() for row in rows])
        if "group" in columns:
            images.given_groups = tuple(row.cells["group"].strip() for row in rows)
        return images
    is_listed = hasattr(X, "__iter__") and not isinstance(X, Mapping)
    if is_listed and len(getattr(X, "shape", (0,))) == 1:
        X = list(X)
        if any(isinstance(item, str | os.PathLike) for item in X):
            return _from_paths(X, progress, scale)
    try:
        pixels = np.asarray(X)
    except (ValueError, TypeError):
        pixels = np.empty(0, object)
    if pixels.dtype.kind not in "buif" or not pixels.ndim or not len(pixels):
        of = f" of {len(X)} {type(X[0]).__name__}" if isinstance(X, list) and X else ""
        raise DataError(f"{_TAKEN}. Got {type(X).__name__}{of} instead.")
    return image_set_from_array(pixels, scale=scale)


def _from_paths(
    paths: Sequence[Any], progress: Progress | None, scale: PixelScale | None
) -> ImageSet:
    """Return the image of each path, in their order; a path may stand there twice."""
    names, files = [], dict[str, Path]()
    for row, path in enumerate(paths):
        if not isinstance(path, str | os.PathLike) or not os.fspath(path):
            raise DataError(f"The path in row {row} is {path!r}: give every image a path.")
        names.append(_printable(os.fspath(path)))
        files[names[-1]] = _from_home(path)
    missing = [name for name, file in files.items() if not _is_file(file)]
    if missing:
        raise DataError(
            f"{len(missing):,} of {len(files):,} paths name no file, such as {missing[0]!r}: a "
            f"relative path begins in the folder that Python runs in, {Path.cwd()}."
        )
    images = _open_files(files, [], "the paths", progress=progress, scale=scale)
    if images.skipped:
        # A row without an image would shift the labels and predictions of all others.
        listed = ", ".join(repr(skipped.path) for skipped in images.skipped[:_NAMED])
        raise DataError(
            f"{len(images.skipped):,} of {len(files):,} images cannot be read, {listed} "
            f"({images.skipped[0].reason}): leave their rows out."
        )
    row_of = {name: row for row, name in enumerate(images.names)}
    rows = np.array([row_of[name] for name in names], dtype=np.int64)
    return ImageSet(images._store, names=names, source="the paths", by_index=False, rows=rows)
