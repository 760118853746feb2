"""Images as Python code holds them: data frames, lists of paths, arrays."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fewlabel.data.arrays import image_set_from_array
from fewlabel.data.folder import _open_files, _printable
from fewlabel.data.imageset import ImageSet, _object_array
from fewlabel.data.names import _is_file
from fewlabel.data.parallel import Progress
from fewlabel.data.scale import PixelScale
from fewlabel.data.tables import _is_frame, _read_table
from fewlabel.errors import DataError

_TAKEN = (
    "Images are taken as a path (of a folder, a .npz, idx or .csv file), a list of paths, a data "
    "frame with a column `path`, an array of shape (n, H, W) or (n, H, W, C), or an ImageSet"
)
_NAMED = 5


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
        files[names[-1]] = Path(path).expanduser()
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
