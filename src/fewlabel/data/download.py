"""Fetch files from mirrors by pooch: retried, bounded, checked, and whole or absent."""

import errno
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fewlabel.data.parallel import Progress
from fewlabel.errors import DownloadError, StorageError

_CHUNK = 1 << 16
_TIMEOUT = 30.0
_RETRIES = 2
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class _RemoteFile(NamedTuple):
    """A file to fetch."""

    name: str
    max_bytes: int
    # None where the file has no stable checksum.
    sha256: str | None = None


class _TooLargeError(Exception):
    """A mirror offers more than was expected."""


class _Meter:
    """What pooch takes for a progress bar: tells how far it is, and refuses what is too large."""

    def __init__(self, max_bytes: int, progress: Progress | None) -> None:
        self._max_bytes, self._progress = max_bytes, progress
        self._done = self._total = 0

    @property
    def total(self) -> int:
        """Bytes that the mirror announces, 0 if it does not."""
        return self._total

    @total.setter
    def total(self, n_bytes: int) -> None:
        if n_bytes > self._max_bytes:
            offer = f"it offers {n_bytes:,} bytes, more than the {self._max_bytes:,} expected"
            raise _TooLargeError(offer)
        self._done, self._total = 0, n_bytes

    def update(self, n_bytes: int) -> None:
        """Count what has arrived; pooch counts the last chunk as a whole one."""
        self._done += n_bytes
        if self._done >= self._max_bytes + _CHUNK:
            raise _TooLargeError(f"it sends more than the {self._max_bytes:,} expected")
        if self._progress is not None:
            self._progress(min(self._done, self._total or self._done), self._total)

    def reset(self) -> None:
        """Begin again, as pooch does at the end to show the whole."""
        self._done = 0

    def close(self) -> None:
        """Do nothing: there is no bar to take away."""


def _fetch(
    file: _RemoteFile,
    addresses: Sequence[str],
    folder: str | Path,
    *,
    progress: Progress | None = None,
) -> Path:
    """Fetch a file from the first mirror that gives it whole."""
    # Imported late: only who downloads waits for it.
    import pooch
    import requests

    # Its messages would stand between those of the command line.
    pooch.get_logger().setLevel(logging.ERROR)
    target = Path(folder) / file.name
    failures = []
    for address in addresses:
        mirror = pooch.create(
            path=folder,
            base_url="",
            registry={file.name: file.sha256 and f"sha256:{file.sha256}"},
            urls={file.name: address},
            retry_if_failed=_RETRIES,
        )
        downloader = pooch.HTTPDownloader(
            progressbar=_Meter(file.max_bytes, progress),
            chunk_size=_CHUNK,
            timeout=_TIMEOUT,
            # Compressed in between, a file would have another size than is expected.
            headers={"User-Agent": "fewlabel", "Accept-Encoding": "identity"},
        )
        try:
            if file.sha256 is None:
                # Nothing tells whether an old one is whole.
                target.unlink(missing_ok=True)
            return Path(mirror.fetch(file.name, downloader=downloader))
        except requests.HTTPError as error:
            code = getattr(error.response, "status_code", "")
            failures.append(f"{address}: HTTP {code} {getattr(error.response, 'reason', '')}")
        except requests.RequestException as error:
            # The cause stands last, behind urllib3's account of its own objects.
            cause = re.sub(r"[)\"'>]+$", "", str(error)).rpartition(": ")[2]
            failures.append(f"{address}: {cause or type(error).__name__}")
        except _TooLargeError as error:
            failures.append(f"{address}: {error}")
        except ValueError:
            failures.append(f"{address}: the checksum is wrong")
        except OSError as error:
            full = error.errno in _DISK_FULL
            reason = "no room is left on the disk" if full else error.strerror or str(error)
            step = "free some space, or set" if full else "set"
            raise StorageError(
                f"{target} cannot be written ({reason}): {step} FEWLABEL_CACHE to another folder."
            ) from error
    raise DownloadError(f"{file.name} could not be fetched ({'; '.join(failures)}).")
