"""Fetch files from mirrors: retried, resumed, bounded, checked, and whole or absent."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

from fewlabel.data.parallel import Progress
from fewlabel.errors import DownloadError, StorageError

_CHUNK = 1 << 16
_TIMEOUT = 30.0
_ATTEMPTS = 4
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
# Answers that another attempt may change.
_PASSING = {408, 425, 429, 500, 502, 503, 504}


class RemoteFile(NamedTuple):
    """A file to fetch.

    Attributes
    ----------
    name : str
        Its name.
    max_bytes : int
        Its size in bytes at most.
    sha256 : str or None
        Its checksum, if it has a stable one.
    """

    name: str
    max_bytes: int
    sha256: str | None = None


class _MirrorFailedError(Exception):
    """A mirror that will not give the file; the text says why."""


def fetch(
    file: RemoteFile,
    addresses: Sequence[str],
    folder: str | Path,
    *,
    progress: Progress | None = None,
    pause: float = 1.0,
) -> Path:
    """Fetch a file from the first mirror that gives it whole.

    A broken connection is taken up again where it broke, also by a later call, if the
    mirror can do so and there is a checksum to prove the result.

    Parameters
    ----------
    file : RemoteFile
        What to fetch.
    addresses : sequence of str
        Full addresses of the file, in the order to try.
    folder : str or Path
        Where to put it; made if missing.
    progress : callable, optional
        Called as ``progress(bytes_done, bytes_in_all)``, the latter 0 if unknown.
    pause : float
        Seconds before the second attempt at a mirror; doubled before each further one.

    Returns
    -------
    Path
        The file, under its name.

    Raises
    ------
    DownloadError
        If no mirror gives the file with the right checksum.
    StorageError
        If the disk is full.
    """
    folder = Path(folder)
    target = folder / file.name
    part = folder / f"{file.name}.part"
    failures = []
    with _disk_errors(target):
        folder.mkdir(parents=True, exist_ok=True)
        if file.sha256 is None:
            part.unlink(missing_ok=True)
        for address in addresses:
            try:
                _fetch_from(address, file, part, progress, pause)
            except _MirrorFailedError as failure:
                failures.append(f"{address}: {failure}")
            else:
                part.replace(target)
                return target
    raise DownloadError(f"{file.name} could not be fetched ({'; '.join(failures)}).")


@contextlib.contextmanager
def _disk_errors(target: Path) -> Iterator[None]:
    """Turn what the disk refuses into a StorageError; errors of the network end further in."""
    try:
        yield
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        reason = "no room is left on the disk" if error.errno in _DISK_FULL else error.strerror
        raise StorageError(
            f"{target} cannot be written ({reason}): free some space, or set FEWLABEL_CACHE to "
            "another folder."
        ) from error


def _fetch_from(
    address: str, file: RemoteFile, part: Path, progress: Progress | None, pause: float
) -> None:
    """Bring ``part`` to the whole file, or say why this mirror cannot."""
    reason = ""
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            resumed = _attempt(address, file, part, progress)
        except urllib.error.HTTPError as error:
            error.close()
            reason = f"HTTP {error.code} {error.reason}"
            if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                # The part is longer than the file: begin again.
                part.unlink(missing_ok=True)
            elif error.code not in _PASSING:
                break
            continue
        except StorageError:
            raise
        except (OSError, http.client.HTTPException, _BrokenError) as error:
            # urllib, sockets and TLS raise kinds of OSError.
            reason = str(getattr(error, "reason", "") or error) or type(error).__name__
            continue
        if file.sha256 is None or _sha256(part) == file.sha256:
            return
        part.unlink()
        reason = "the checksum is wrong"
        # What was resumed may have been begun at another mirror; a whole file is just wrong.
        if not resumed:
            break
    if file.sha256 is None:
        part.unlink(missing_ok=True)
    raise _MirrorFailedError(reason)


class _BrokenError(Exception):
    """The connection ended before the file did."""


def _attempt(address: str, file: RemoteFile, part: Path, progress: Progress | None) -> bool:
    """Read what is missing of the file; tell whether it was resumed."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "fewlabel", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(address, headers=headers)
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
        resumed = response.status == 206 and _starts_at(response) == have
        if response.status == 206 and not resumed:
            part.unlink(missing_ok=True)
            raise _BrokenError("the mirror sent another part than was asked for")
        have = have if resumed else 0
        length = response.headers.get("Content-Length", "")
        total = have + int(length) if length.isdigit() else 0
        if total > file.max_bytes:
            raise _MirrorFailedError(
                f"it offers {total:,} bytes, more than the {file.max_bytes:,} expected"
            )
        with _disk_errors(part), part.open("ab" if resumed else "wb") as out:
            for chunk in _chunks(response):
                have += len(chunk)
                if have > file.max_bytes:
                    raise _MirrorFailedError(f"it sends more than the {file.max_bytes:,} expected")
                out.write(chunk)
                if progress is not None:
                    progress(have, total)
    if total and have < total:
        raise _BrokenError(f"the connection broke after {have:,} of {total:,} bytes")
    return resumed


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Read an answer; errors of the network are told apart from those of the disk."""
    while True:
        try:
            chunk = response.read(_CHUNK)
        except OSError as error:
            raise _BrokenError(str(error) or type(error).__name__) from error
        if not chunk:
            return
        yield chunk


def _starts_at(response: http.client.HTTPResponse) -> int:
    """First byte of a partial answer, from ``Content-Range: bytes 5-9/10``."""
    text = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(text) if text.isdigit() else -1


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
