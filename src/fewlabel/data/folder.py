"""Folders of images, of any depth, and single files."""

import os
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fewlabel.data.class_folders import NOT_IMAGES, _folder_classes
from fewlabel.data.decode import (
    FOREIGN_SUFFIXES,
    SUFFIXES,
    _FileInfo,
    _inspect_file,
    _quiet_pillow,
    _Source,
)
from fewlabel.data.imageset import ImageSet, Skipped, _object_array
from fewlabel.data.looks import _keep_looks, _known_looks
from fewlabel.data.modes import UnreadableImageError
from fewlabel.data.parallel import Progress, _parallel_map
from fewlabel.data.scale import MAX_SAMPLE, PixelScale
from fewlabel.data.stores import _FileStore, _UnseenStore
from fewlabel.engine import current_engine
from fewlabel.errors import DataError

# Tables and what systems add: nobody takes those for images.
_BESIDE = frozenset({".csv", ".tsv", ".jsonl", ".xlsx", ".ods", ".ini", ".db", ".md", ".toml"})
_ABOUT = frozenset({"license", "licence", "copying", "notice", "readme", "citation", "changelog"})
_NAMED = 5

LOST = "the worker that read it died each time"
"""Why an image is set aside that no worker lived to look at."""


def _from_folder(
    root: str | Path,
    *,
    split: str | None = None,
    progress: Progress | None = None,
    scale: PixelScale | None = None,
) -> ImageSet:
    """Read a folder of any depth; the folders that images lie in are their classes."""
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
    found = _walk(root, start)
    passed = _passed_over(found.suffixes)
    if not found.files and not found.skipped:
        raise DataError(
            f"{root} holds no images: files with a suffix such as .jpg, .png or .tif are looked "
            f"for{passed and f'; there are {passed}'}."
        )
    if passed:
        n = found.suffixes.total()
        warnings.warn(
            f"{n:,} file(s) in {root} were passed over, since their suffix is not that of an "
            f"image: {passed}.",
            UserWarning,
            stacklevel=4,
        )
    images = _open_files(found.files, found.skipped, str(root), progress=progress, scale=scale)
    classes = _folder_classes(images.names, found.folders, split=split)
    images.truth = None if classes.labels is None else _object_array(classes.labels)
    images.truth_notes = classes.notes
    return images


def _from_files(
    files: Sequence[Path], *, progress: Progress | None = None, scale: PixelScale | None = None
) -> ImageSet:
    """Read single image files, named by their file names."""
    named = {_printable(path.name): path for path in files}
    return _open_files(named, [], ", ".join(map(str, files[:3])), progress=progress, scale=scale)


def _open_files(
    files: Mapping[str, _Source],
    skipped: Sequence[Skipped],
    source: str,
    *,
    progress: Progress | None = None,
    scale: PixelScale | None = None,
) -> ImageSet:
    """Look at every file once, set aside what cannot be read, and keep the rest."""
    engine = current_engine()
    if engine is not None and engine.opens_blindly:
        unseen, names = _UnseenStore(list(files.values())), list(files)
        return ImageSet(unseen, names=names, source=source, by_index=False, skipped=skipped)
    local = {name: file for name, file in files.items() if isinstance(file, Path)}
    known = _known_looks(source, local)
    unknown = {name: file for name, file in files.items() if name not in known}
    found = _look_at(unknown, n_files=len(files), progress=progress)
    fresh = {n: f for n, f in zip(unknown, found, strict=True) if isinstance(f, _FileInfo)}
    infos = {n: known.get(n) or fresh[n] for n in files if n in known or n in fresh}
    if len(fresh) > len(known) // 10 and local:
        _keep_looks(source, infos)
    skipped = [*skipped, *(f for f in found if isinstance(f, Skipped))]
    skipped.sort(key=lambda s: s.path)
    if not infos:
        raise DataError(
            f"None of the {len(skipped):,} images of {source} can be read; the first is "
            f"{skipped[0].path}: {skipped[0].reason}."
        )
    names = list(infos)
    store = _FileStore([files[n] for n in names], list(infos.values()), names, scale)
    return ImageSet(store, names=names, source=source, by_index=False, skipped=skipped)


def _look_at(
    files: Mapping[str, _Source], *, n_files: int, progress: Progress | None = None
) -> list[_FileInfo | Skipped]:
    """Find out what each file holds, or why it cannot be read."""
    # Together they take some megabytes, however many files there are.
    n_sampled = max(16, min(MAX_SAMPLE, (1 << 20) // max(1, n_files)))

    def look(item: tuple[str, _Source]) -> _FileInfo | Skipped:
        try:
            return _inspect_file(item[1], n_sampled)
        except UnreadableImageError as error:
            return Skipped(item[0], str(error))

    def lost(item: tuple[str, _Source]) -> _FileInfo | Skipped:
        return Skipped(item[0], LOST)

    engine, items = current_engine(), list(files.items())
    if engine is not None:
        return engine.map(look, items, lost, progress)
    with _quiet_pillow():
        return _parallel_map(look, items, progress=progress)


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


@dataclass
class _Found:
    """What lies in a folder: images, what looks like one, and other files by suffix."""

    files: dict[str, Path] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    suffixes: Counter[str] = field(default_factory=Counter)
    folders: list[str] = field(default_factory=list)


def _walk(root: Path, start: Path) -> _Found:
    """Find the images under ``start``, and what looks like one but cannot be used."""
    found = _Found()
    real_root = root.resolve()
    # Names are put together as text: of 100,000 files, a path for each step takes seconds.
    folders = [(start, "" if start == root else f"{start.relative_to(root).as_posix()}/")]
    while folders:
        folder, above = folders.pop()
        try:
            # Nobody means the images of .git or .thumbnails.
            entries = [e for e in os.scandir(folder) if not e.name.startswith(".")]
        except OSError as error:
            if folder == start:
                raise
            name = _printable(above[:-1])
            found.skipped.append(Skipped(name, f"the folder cannot be opened: {error.strerror}"))
            continue
        for entry in entries:
            path = Path(entry.path)
            name = _printable(f"{above}{entry.name}")
            if entry.is_dir(follow_symlinks=False):
                if entry.name.casefold() not in NOT_IMAGES:
                    folders.append((path, f"{above}{entry.name}/"))
                    found.folders.append(name)
            else:
                _sort_in(entry, path, name, real_root, found)
    # Whatever the order on the disk: what a seed chooses depends on it.
    found.files = {name: found.files[name] for name in sorted(found.files)}
    return found


def _sort_in(
    entry: os.DirEntry[str], path: Path, name: str, real_root: Path, found: _Found
) -> None:
    """Say of one entry whether it is an image, and if not, why."""
    suffix = path.suffix.lower()
    reason = None
    if entry.is_symlink() and path.is_dir():
        reason = "a link to a folder; links are not followed"
    elif suffix in SUFFIXES:
        reason = _link_problem(path, real_root) if entry.is_symlink() else None
        reason = reason or _unusable_name(name, entry, found.files)
        if not reason:
            found.files[name] = path
    elif suffix in FOREIGN_SUFFIXES:
        reason = f"{suffix} images cannot be read: convert it to JPEG or PNG"
    elif suffix not in _BESIDE and path.stem.casefold() not in _ABOUT:
        found.suffixes[suffix or "none"] += 1
    if reason:
        found.skipped.append(Skipped(name, reason))


def _passed_over(suffixes: Counter[str]) -> str:
    """Return counts such as ``".txt 10, .json 2"``, the most frequent first."""
    most = suffixes.most_common(_NAMED)
    texts = [f"{suffix} {count:,}" for suffix, count in most]
    others = suffixes.total() - sum(count for _, count in most)
    return ", ".join(texts + ([f"others {others:,}"] if others else []))


def _unusable_name(name: str, entry: os.DirEntry[str], files: dict[str, Path]) -> str | None:
    if not entry.is_file():
        return "not a regular file"
    return f"its name reads like that of {files[name]!r}" if name in files else None


def _printable(name: str) -> str:
    r"""Write bytes that are not UTF-8 as ``\xNN``, since tables and JSON cannot hold them."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
