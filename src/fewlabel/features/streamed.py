"""Rows of many images, streamed to the disk in half precision; a killed run goes on where it was.

In float32 and in memory a million rows of 128 features take 512 MB, and twice that while something
is done to them. As a mapped file of half precision they take what is being looked at.
"""

import contextlib
import os
import tempfile
from pathlib import Path

import numpy as np

from fewlabel.data import ImageSet
from fewlabel.engine import current_engine
from fewlabel.features.base import FeatureExtractor, Progress
from fewlabel.files import _storage_errors
from fewlabel.locks import _open_locked, _release

STREAMED_FROM = 200_000
"""Of so many images or more, features are streamed; of fewer, they stay in memory as float32."""

# Images a part: what a killed run loses is less than that.
_PART, _PARTS_OF_ENGINE = 16_384, 16
_HALF = np.dtype("<f2")
_LARGEST = float(np.finfo(_HALF).max)


def _stream_rows(
    extractor: FeatureExtractor, images: ImageSet, file: Path, progress: Progress | None
) -> np.ndarray:
    """Return rows (n, d) float16, mapped from a file that holds all of them when this ends."""
    with _storage_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = file.with_suffix(".lock")
        handle = _open_locked(lock)
        if handle is None:
            # Another process is at work on the same images: both must not append to one file.
            return _stream_apart(extractor, images, file.parent, progress)
        try:
            _append(extractor, images, file, progress)
        finally:
            # Windows removes no file that is open: there it stays, empty.
            with contextlib.suppress(OSError):
                lock.unlink()
            _release(handle)
        return _map_rows(file, len(images), extractor.width)


def _stream_apart(
    extractor: FeatureExtractor, images: ImageSet, folder: Path, progress: Progress | None
) -> np.ndarray:
    """Return rows as `_stream_rows` does, from a file that goes with the last use of them."""
    folder.mkdir(parents=True, exist_ok=True)
    # Where an open file cannot be removed, it is left for the next cleaning of the folder.
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as temporary:
        return _stream_rows(extractor, images, Path(temporary) / "a.rows", progress)


def _append(
    extractor: FeatureExtractor, images: ImageSet, file: Path, progress: Progress | None
) -> None:
    """Append the parts that a file lacks, each of them whole or not at all."""
    n, row_bytes = len(images), extractor.width * _HALF.itemsize

    def note(stage: str, done: int, total: int) -> None:
        if progress is not None:
            progress(stage, start + done, n)

    with file.open("ab") as out:
        held = min(out.tell() // row_bytes, n)
        held = n if held == n else held // _PART * _PART
        out.truncate(held * row_bytes)
        # To start the workers of an engine takes as long as many parts.
        size = _PART if current_engine() is None else _PARTS_OF_ENGINE * _PART
        for start in range(held, n, size):
            part = images.subset(np.arange(start, min(start + size, n)))
            rows = extractor._transform_anywhere(part, note)
            out.write(np.clip(rows, -_LARGEST, _LARGEST).astype(_HALF).data)
            out.flush()
            # A length that is on the disk before the rows are would pass for finished parts.
            os.fsync(out.fileno())


def _map_rows(file: Path, n: int, width: int) -> np.ndarray:
    return np.memmap(file, _HALF, "r", shape=(n, width))
