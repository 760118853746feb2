"""``load_images``: every input form to one ``ImageSet``."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any

from fewlabel.data import formats
from fewlabel.data.benchmarks import load_benchmark
from fewlabel.data.catalog import NAMES
from fewlabel.data.decode import SUFFIXES
from fewlabel.data.folder import _from_files, _from_folder
from fewlabel.data.given import _images_given
from fewlabel.data.idx import _is_idx
from fewlabel.data.imageset import ImageSet, Skipped
from fewlabel.data.npz import _from_npz
from fewlabel.data.parallel import Progress
from fewlabel.data.scale import PixelScale
from fewlabel.data.tables import TABLE_SUFFIXES
from fewlabel.errors import DataError
from fewlabel.os_errors import _path_errors

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
        (the class is then ``truth``); a ``.npz`` file with ``X`` and optionally ``y``; an
        idx file; a CSV manifest with a ``path`` column; one image file; or the name of a
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
    path = Path(source).expanduser()
    try:
        exists = path.exists()
    except PermissionError:
        raise
    except (OSError, ValueError):
        # Too long for a path, or with a zero byte in it.
        exists = False
    if not exists:
        return _load_benchmark(str(source), split)
    if path.is_dir():
        # Raises with its own name where it cannot be listed.
        os.scandir(path).close()
    if path.is_dir() and not formats._is_idx_folder(path):
        return _from_folder(path, split=split, progress=progress, scale=scale)
    if path.is_dir():
        return formats._from_idx_folder(path, split, source=str(source))
    if split is not None:
        raise DataError(f"{source} is one file and has no split {split!r}: leave the split out.")
    return _load_file(path, progress, scale)


def _load_benchmark(source: str, split: str | None) -> ImageSet:
    name, _, suffix = source.partition(":")
    if name in NAMES and not (suffix and split):
        return load_benchmark(name, suffix or split)
    close = difflib.get_close_matches(source.lower(), NAMES, n=1)
    hint = f"did you mean {close[0]!r}?" if close else "check the path."
    raise DataError(f"{source} does not exist, and the benchmarks are {', '.join(NAMES)}: {hint}")


def _load_file(path: Path, progress: Progress | None, scale: PixelScale | None) -> ImageSet:
    suffix = path.suffix.lower()
    if suffix in TABLE_SUFFIXES:
        return formats._from_manifest(path, progress=progress, scale=scale)
    if suffix == ".npz":
        return _from_npz(path, scale=scale)
    if suffix in SUFFIXES:
        return _from_files([path], progress=progress, scale=scale)
    if _is_idx(path):
        return formats._from_idx(path, scale=scale)
    raise DataError(
        f"{path} is of no known form: give a folder, a .npz, idx or .csv file, an image, or one "
        f"of the benchmarks {', '.join(NAMES)}."
    )
