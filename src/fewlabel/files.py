"""Outputs that are whole or absent, and named as what they hold."""

import contextlib
import errno
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fewlabel.errors import (
    OUT_OF_SPACE,
    RunFolderError,
    StorageError,
    UsageError,
    _path_errors,
    _reason_of,
)
from fewlabel.locks import _PREFIX, _guarded, _temporary_beside
from fewlabel.reading import _from_home, _read_regular
from fewlabel.threads import _lines_of

_FORMATS = {
    **dict.fromkeys((".csv",), "a CSV table"),
    **dict.fromkeys((".tsv", ".tab"), "a table with tabs"),
    **dict.fromkeys((".xls", ".xlsx", ".xlsm", ".ods", ".numbers"), "a spreadsheet"),
    **dict.fromkeys((".json", ".jsonl", ".ndjson", ".yaml", ".yml", ".xml"), "structured text"),
    **dict.fromkeys((".html", ".htm", ".mhtml"), "a web page"),
    **dict.fromkeys((".pdf", ".doc", ".docx", ".odt", ".rtf", ".tex"), "a document"),
    **dict.fromkeys((".md", ".rst"), "marked-up text"),
    **dict.fromkeys((".ppt", ".pptx", ".odp"), "slides"),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".jfif", ".gif", ".webp", ".bmp"), "a picture"),
    **dict.fromkeys((".tif", ".tiff", ".svg", ".eps", ".ps", ".heic", ".avif"), "a picture"),
    **dict.fromkeys((".parquet", ".feather", ".arrow", ".npz", ".npy", ".h5", ".hdf5"), "arrays"),
    **dict.fromkeys((".mat", ".pkl", ".pickle", ".joblib", ".rds"), "saved objects"),
    **dict.fromkeys((".pt", ".pth", ".onnx", ".safetensors", ".ckpt"), "a model in one file"),
    **dict.fromkeys((".zip", ".gz", ".bz2", ".xz", ".zst", ".tar", ".tgz", ".7z"), "an archive"),
    **dict.fromkeys((".db", ".sqlite", ".sqlite3"), "a database"),
}

_OF_WRITING = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO}
_IN_THE_WAY = {errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY}


@contextlib.contextmanager
def atomic_file(path: str | Path, *, durable: bool = True) -> Iterator[Path]:
    """Return a temporary path beside ``path``; rename it there when the block ends well.

    Parameters
    ----------
    path : str or Path
        File to write; its folder is made if missing.
    durable : bool
        Wait until it is on the disk, so that a power cut leaves the old file or the new one.

    Yields
    ------
    Path
        Temporary path to write to. It is removed if the block fails.

    Raises
    ------
    StorageError
        If the disk is full or the folder cannot be written to.
    """
    path = Path(path)
    with _storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Raises if the name is too long, which the temporary one is not.
        path.exists()
        with _temporary_beside(path, is_folder=False) as temporary:
            yield temporary
            if durable:
                _sync(temporary)
            # Temporary files are private; an output gets the user's ordinary mode.
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)


def cache_folder() -> Path:
    """Return the folder that downloads go to: ``FEWLABEL_CACHE``, or the user's cache folder.

    Returns
    -------
    Path
        The folder, which need not exist yet.
    """
    if chosen := os.environ.get("FEWLABEL_CACHE"):
        return _from_home(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "fewlabel"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/fewlabel"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fewlabel"


def _make_room(folder: Path, pattern: str, max_bytes: int) -> int:
    """Delete what was not used for the longest time until the rest fits; return its bytes."""
    entries = []
    for file in folder.glob(pattern):
        # Another run may delete at the same time.
        with contextlib.suppress(OSError):
            status = file.stat()
            entries.append((status.st_mtime_ns, status.st_size, file))
    total = sum(size for _, size, _ in entries)
    for _, size, file in sorted(entries):
        if total <= max_bytes:
            break
        file.unlink(missing_ok=True)
        total -= size
    return total


@contextlib.contextmanager
def atomic_folder(
    path: str | Path, *, force: bool = False, durable: bool = True, option: str = "--out"
) -> Iterator[Path]:
    """Return a temporary folder beside ``path``; rename it there when the block ends well.

    Parameters
    ----------
    path : str or Path
        Folder to make.
    force : bool
        Replace an existing folder. The old one stays until the new one is whole.
    durable : bool
        Wait until every file is on the disk.
    option : str
        What names the folder on the command line, for errors.

    Yields
    ------
    Path
        Temporary folder to fill. It is removed if the block fails.

    Raises
    ------
    RunFolderError
        If ``path`` exists and ``force`` is false.
    StorageError
        If the disk is full or the folder cannot be written to.
    """
    path = Path(path)
    _check_new_folder(path, force=force, option=option)
    with _storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _temporary_beside(path, is_folder=True) as temporary:
            yield temporary
            for file in temporary.rglob("*"):
                if durable and file.is_file():
                    _sync(file)
            temporary.chmod(0o777 & ~_umask())
            # Another process may have been faster.
            _check_new_folder(path, force=force, option=option)
            _swap_in(temporary, path)


@_path_errors(RunFolderError, "written")
def _check_new_folder(path: str | Path, *, force: bool = False, option: str = "--out") -> None:
    """Refuse a folder that exists, before any work; with ``force`` if fewlabel never wrote it."""
    path = Path(path)
    # A folder cannot be made within itself and then take its own place.
    if path.name in ("", ".."):
        raise RunFolderError(f"{path} is not the name of a new folder: give one with {option}.")
    if not path.exists() and not path.is_symlink():
        return
    if not path.is_dir() or path.is_symlink():
        raise RunFolderError(f"{path} exists and is not a folder: give another name with {option}.")
    if not any(path.iterdir()):
        return
    if not force:
        raise RunFolderError(
            f"{path} exists already: give another name with {option}, or --force to replace it."
        )
    if not _is_ours(path):
        raise RunFolderError(
            f"{path} exists and was not written by fewlabel, so --force does not replace it: "
            f"give another name with {option}."
        )


def _is_ours(path: Path) -> bool:
    """Return whether fewlabel wrote a folder; others may hold a file of that name."""
    run = _json_object(path / "metrics.json")
    model = _json_object(path / "manifest.json")
    page = _json_object(path / "model.json")
    is_model = model.get("format") == "fewlabel-model"
    return "fewlabel_version" in run or is_model or page.get("format") == "fewlabel-page"


def _json_object(file: Path) -> dict[str, Any]:
    # Whatever cannot be read is not ours, so nothing of it is deleted.
    try:
        content = json.loads(_read_regular(file))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _swap_in(temporary: Path, path: Path) -> None:
    """Rename ``temporary`` to ``path``, keeping the old folder until the new one stands."""
    if not path.exists():
        temporary.replace(path)
        return
    # A folder that is not empty cannot be renamed over: the old one steps aside.
    with _guarded(path), _temporary_beside(path, is_folder=True) as old:
        try:
            path.replace(old)
            temporary.replace(path)
        except BaseException:
            # Ctrl-C may come between the two renames: the old run must not stay hidden.
            if not path.exists():
                old.replace(path)
            raise


def _sync(file: Path) -> None:
    # Some file systems only say here that the disk is full.
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    # The call that reads it sets it: files that other threads make meanwhile would be open to all.
    found = [value for name, value in _lines_of("/proc/self/status") if name == "Umask"]
    if found:
        return int(found[0], 8)
    current = os.umask(0)
    os.umask(current)
    return current


@contextlib.contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        cause = error.__cause__ if isinstance(error, StorageError) else error
        # What another output says of itself stands, but for one in a temporary folder of this one.
        if cause is error or (isinstance(cause, OSError) and _PREFIX in str(error)):
            found = _storage_error(cause, path)
            if found is not None:
                raise found from cause
        raise


def _storage_error(error: OSError, path: Path) -> StorageError | None:
    """Return what to say of an output that cannot be written; None if it is not about that."""
    if error.errno in OUT_OF_SPACE:
        return StorageError(
            f"No room left on the disk to write {path}: nothing was written there. "
            "Free some space, or give another place with --out."
        )
    about = error.filename2 or error.filename
    # An error about another file, or about none at all, is not ours.
    if not (_is_of(about, path) if about else error.errno in _OF_WRITING):
        return None
    in_the_way = error.errno in _IN_THE_WAY and Path(about) in (path, *path.parents)
    reason = f"{about} is in the way" if in_the_way else _reason_of(error)
    return StorageError(f"{path} cannot be written ({reason}): give another place with --out.")


def _is_of(about: str, path: Path) -> bool:
    """Return whether a path is that of an output, of a folder above it, or temporary for it."""
    # tempfile takes `..` out of a path, and so must this; resolving could fail.
    found, path = (Path(os.path.abspath(p)) for p in (os.fsdecode(about), path))  # noqa: PTH100
    if path.parent not in found.parents:
        return found == path or found in path.parents
    name = found.relative_to(path.parent).parts[0]
    return name == path.name or name.startswith(_PREFIX)


def _check_suffix(path: str | Path, what: str, *suffixes: str) -> None:
    """Raise if the suffix of an output promises another format; no ``suffixes`` mean a folder."""
    if "://" in str(path):
        raise UsageError(f"{path} is an address: give a place on this machine with --out.")
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in _FORMATS and suffix not in suffixes:
        better = path.stem + suffixes[0] if suffixes else path.stem
        raise UsageError(
            f"{path} would be {what}, and its suffix promises {_FORMATS[suffix]}: name it "
            f"{path.with_name(better)} instead."
        )
