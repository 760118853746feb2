"""Folders of images, of any depth, and single files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fewlabel.data.decode import (
    FOREIGN_SUFFIXES,
    SUFFIXES,
    _FileInfo,
    _inspect_file,
    _quiet_pillow,
)
from fewlabel.data.imageset import ImageSet, Skipped, _object_array
from fewlabel.data.modes import UnreadableImageError
from fewlabel.data.parallel import Progress, _parallel_map
from fewlabel.data.stores import _FileStore
from fewlabel.errors import DataError

SPLIT_NAMES = frozenset({"train", "training", "val", "valid", "validation", "dev", "test"})
"""Names of first-level folders that are taken for splits, not for classes."""


def _from_folder(
    root: str | Path,
    *,
    split: str | None = None,
    progress: Progress | None = None,
    white_level: int | None = None,
) -> ImageSet:
    """Read a folder of images, of any depth.

    Hidden files and folders are left out, and so is what has no image suffix. Links to
    folders are not followed, and links to files only inside the folder.

    If every image lies in a sub-folder, the first-level folder is its class (``truth``). In a
    ``SPLIT/CLASS`` tree, where all first-level folders are named like splits (``train``,
    ``test``, ``val``, …) or one is asked for, the second-level folder is.
    """
    root = Path(root)
    start = root if split is None else root / split
    if split is not None and (split in ("", ".", "..") or Path(split).name != split):
        raise DataError(f"The parameter split must be the name of a folder. Got {split!r}.")
    if not start.is_dir():
        folders = sorted(p.name for p in root.iterdir() if p.is_dir()) if root.is_dir() else []
        raise DataError(
            f"{start} is not a folder"
            + (f"; the splits there are {', '.join(folders[:10])}." if split and folders else ".")
        )
    files, skipped = _walk(root, start)
    images = _open_files(files, skipped, str(root), progress=progress, white_level=white_level)
    images.truth = _classes(images.names, is_split=split is not None)
    return images


def _from_files(
    files: Sequence[Path], *, progress: Progress | None = None, white_level: int | None = None
) -> ImageSet:
    """Read single image files, named by their file names."""
    named = {_printable(path.name): path for path in files}
    return _open_files(
        named, [], ", ".join(map(str, files[:3])), progress=progress, white_level=white_level
    )


def _open_files(
    files: dict[str, Path],
    skipped: list[Skipped],
    source: str,
    *,
    progress: Progress | None = None,
    white_level: int | None = None,
) -> ImageSet:
    """Look at every file once, set aside what cannot be read, and keep the rest."""

    def look(item: tuple[str, Path]) -> _FileInfo | Skipped:
        try:
            return _inspect_file(item[1])
        except UnreadableImageError as error:
            return Skipped(item[0], str(error))

    with _quiet_pillow():
        found = _parallel_map(look, list(files.items()), progress=progress)
    infos = {n: f for n, f in zip(files, found, strict=True) if isinstance(f, _FileInfo)}
    skipped = [*skipped, *(f for f in found if isinstance(f, Skipped))]
    skipped.sort(key=lambda s: s.path)
    if not infos:
        if not skipped:
            raise DataError(
                f"{source} holds no images: "
                "files with a suffix such as .jpg, .png or .tif are looked for."
            )
        raise DataError(
            f"None of the {len(skipped):,} images of {source} can be read; the first is "
            f"{skipped[0].path}: {skipped[0].reason}."
        )
    names = list(infos)
    store = _FileStore([files[n] for n in names], list(infos.values()), names, white_level)
    return ImageSet(store, names=names, source=source, by_index=False, skipped=skipped)


def _link_problem(path: Path, real_root: Path) -> str | None:
    """Return why a path may not be followed."""
    try:
        target = path.resolve(strict=True)
    except (FileNotFoundError, RuntimeError):
        return "a broken link" if path.is_symlink() else None
    except (OSError, ValueError) as error:
        # Too long, without permission, or with a zero byte in it.
        return f"the file cannot be opened: {getattr(error, 'strerror', None) or error}"
    # Elsewhere on the disk may be what must not appear in a report that is passed on.
    return None if target.is_relative_to(real_root) else "a link that leads out of the folder"


def _walk(root: Path, start: Path) -> tuple[dict[str, Path], list[Skipped]]:
    """Find the images under ``start``, and what looks like one but cannot be used."""
    files: dict[str, Path] = {}
    skipped: list[Skipped] = []
    real_root = root.resolve()
    folders = [start]
    while folders:
        folder = folders.pop()
        try:
            # Nobody means the images of .git or .thumbnails.
            entries = [e for e in os.scandir(folder) if not e.name.startswith(".")]
        except OSError as error:
            name = _printable(folder.relative_to(root).as_posix())
            skipped.append(Skipped(name, f"the folder cannot be opened: {error.strerror}"))
            continue
        for entry in entries:
            path = Path(entry.path)
            suffix = path.suffix.lower()
            name = _printable(path.relative_to(root).as_posix())
            if entry.is_dir(follow_symlinks=False):
                # What macOS adds to archives: something else under the name of each photo.
                if entry.name != "__MACOSX":
                    folders.append(path)
            elif entry.is_symlink() and path.is_dir():
                skipped.append(Skipped(name, "a link to a folder; links are not followed"))
            elif suffix in SUFFIXES:
                reason = _link_problem(path, real_root) if entry.is_symlink() else None
                reason = reason or _unusable_name(name, path, files)
                if reason:
                    skipped.append(Skipped(name, reason))
                else:
                    files[name] = path
            elif suffix in FOREIGN_SUFFIXES:
                skipped.append(
                    Skipped(name, f"{suffix} images cannot be read: convert it to JPEG or PNG")
                )
    # Whatever the order on the disk: what a seed chooses depends on it.
    return {name: files[name] for name in sorted(files)}, skipped


def _unusable_name(name: str, path: Path, files: dict[str, Path]) -> str | None:
    if not path.is_file():
        return "not a regular file"
    return f"its name reads like that of {files[name]!r}" if name in files else None


def _printable(name: str) -> str:
    r"""Write bytes that are not UTF-8 as ``\xNN``, since tables and JSON cannot hold them."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _classes(names: Sequence[str], *, is_split: bool) -> np.ndarray | None:
    """Class of each image by its folder; None if some image lies in no class folder."""
    parts = [name.split("/") for name in names]
    is_split = is_split or all(p[0].lower() in SPLIT_NAMES for p in parts)
    level = 1 if is_split else 0
    if any(len(p) < level + 2 for p in parts):
        return None
    return _object_array([p[level] for p in parts])
