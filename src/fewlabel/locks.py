"""Who is at work on an output, by locks that end with their process however it ends."""

import contextlib
import errno
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fewlabel.errors import RunFolderError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_PREFIX = ".fewlabel-tmp-"
# Long enough that no other program uses it: the file is removed in the end.
_LOCK = "fewlabel-lock"
_TEMPORARY = re.compile(re.escape(_PREFIX) + r"[a-z0-9_]{8}(\..*)?")
_HELD = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK}
# Bytes that a name may have, and those of it that are kept where it is longer.
_MAX_NAME, _KEPT = 255, 100
_MAX_SUFFIX = 20


def _hidden_beside(path: Path, what: str) -> Path:
    """Return the hidden place beside an output, its name never too long, such as for its lock."""
    name, encoded = path.name, os.fsencode(path.name)
    if len(encoded) + len(what) + 2 > _MAX_NAME:
        # Imported late, as names are seldom that long, and every command waits for it.
        import hashlib

        digest = hashlib.blake2b(encoded, digest_size=8).hexdigest()
        name = f"{encoded[:_KEPT].decode('utf-8', 'ignore')}-{digest}"
    return path.with_name(f".{name}.{what}")


@contextlib.contextmanager
def _lock_output(path: Path) -> Iterator[None]:
    """Keep other processes from writing an output; what killed ones have left is removed."""
    made = [folder for folder in path.absolute().parents if not folder.exists()]
    path.absolute().parent.mkdir(parents=True, exist_ok=True)
    file = _hidden_beside(path, _LOCK)
    handle = _open_locked(file)
    if handle is None:
        raise RunFolderError(
            f"{path} is being written by another fewlabel{_owner(file)}: wait until it is done, "
            "or give another name with --out."
        )
    try:
        _remove_leftovers(file.parent)
        yield
    finally:
        # Windows removes no file that is open; elsewhere nobody may lock what is about to go.
        if sys.platform == "win32":
            os.close(handle)
        with contextlib.suppress(OSError):
            file.unlink()
        if sys.platform != "win32":
            os.close(handle)
        for folder in made:
            # Only while nothing was written there.
            with contextlib.suppress(OSError):
                folder.rmdir()


@contextlib.contextmanager
def _temporary_beside(path: Path, *, is_folder: bool) -> Iterator[Path]:
    """Make a temporary file or folder beside an output, locked, and remove it after the block."""
    temporary: Path | None = None
    handle: int | None = None
    try:
        temporary = _make(path, is_folder)
        handle = _guard(temporary)
        while not temporary.exists():
            # Another process has taken it for a leftover, before it was locked.
            _release(handle)
            temporary = _make(path, is_folder)
            handle = _guard(temporary)
        yield temporary
    finally:
        if temporary is not None and is_folder:
            shutil.rmtree(temporary, ignore_errors=True)
        elif temporary is not None:
            temporary.unlink(missing_ok=True)
        _release(handle)


@contextlib.contextmanager
def _guarded(folder: Path) -> Iterator[None]:
    """Keep `_remove_leftovers` of other processes from a folder, under whatever name."""
    handle = _guard(folder)
    try:
        yield
    finally:
        _release(handle)


def _remove_leftovers(folder: Path) -> None:
    """Remove from a folder of outputs the temporary ones of processes that were killed."""
    # A folder cannot be locked on Windows, so nobody knows who is at work there.
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        found = [Path(entry.path) for entry in entries if _TEMPORARY.fullmatch(entry.name)]
        for place in found:
            with contextlib.suppress(OSError):
                _remove_if_dead(place)


def _make(path: Path, is_folder: bool) -> Path:
    if is_folder:
        return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=path.parent))
    # What writes a file may go by its suffix, but not by one of a hundred letters.
    suffix = path.suffix if len(path.suffix) <= _MAX_SUFFIX else ""
    handle, name = tempfile.mkstemp(prefix=_PREFIX, suffix=suffix, dir=path.parent)
    os.close(handle)
    return Path(name)


def _remove_if_dead(place: Path) -> None:
    handle = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if _try_lock(handle):
            shutil.rmtree(place) if place.is_dir() else place.unlink()
    finally:
        os.close(handle)


def _guard(place: Path) -> int | None:
    """Lock a file or folder until `_release`; None where that cannot be done or need not."""
    if sys.platform == "win32":
        return None
    with contextlib.suppress(OSError):
        handle = os.open(place, os.O_RDONLY)
        with contextlib.suppress(OSError):
            # Who holds it for a moment is about to remove it: wait for that.
            fcntl.flock(handle, fcntl.LOCK_EX)
        return handle
    return None


def _release(handle: int | None) -> None:
    if handle is not None:
        os.close(handle)


def _open_locked(file: Path) -> int | None:
    """Open and lock a file; None if another process has locked it."""
    while True:
        # Not through a link, which could lead to a file that must not be written to.
        handle = os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        try:
            if not _try_lock(handle):
                os.close(handle)
                return None
        except OSError:
            # A file system without locks: nobody can be kept out.
            return handle
        with contextlib.suppress(FileNotFoundError):
            # The file may have been removed by the process that held it.
            if os.path.samestat(os.fstat(handle), file.stat()):
                # The number is for the message alone.
                with contextlib.suppress(OSError):
                    os.truncate(handle, 0)
                    os.write(handle, str(os.getpid()).encode())
                return handle
        os.close(handle)


def _try_lock(handle: int) -> bool:
    """Lock an open file until it is closed; return whether no other process holds it."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        raise
    return True


def _owner(file: Path) -> str:
    try:
        number = file.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""
    return f" (process {number})" if number.isdigit() else ""
