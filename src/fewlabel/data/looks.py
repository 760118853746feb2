"""What the first look at many files found, kept on disk: the next command starts at once.

Each file is decoded once to know that it can be read, which takes minutes for 100,000 photos. What
was found is kept by folder, and counts as long as a file has the same place, size and times.
"""

import contextlib
import hashlib
import os
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from fewlabel.data.decode import _FileInfo, _stamp_of
from fewlabel.files import atomic_file, cache_folder

# Of fewer files, a look takes seconds.
_MIN_FILES = 5_000
# Folders that are remembered, some ten megabytes for 100,000 files.
_MAX_FOLDERS = 20
_CODE = ("decode.py", "modes.py", "samples.py", "scale.py", "tiff.py")


def _known_looks(source: str, files: Mapping[str, Path]) -> dict[str, _FileInfo]:
    """Return what was found at an earlier look, of the files that have not changed since."""
    if len(files) < _MIN_FILES:
        return {}
    try:
        # Opened here: of a damaged file, numpy leaves its own open.
        with _place(source).open("rb") as stream, np.load(stream, allow_pickle=False) as kept:
            names = kept["names"].tobytes().decode().split("\0")
            table = kept["digests"]
            digests, length = table.tobytes(), table.shape[1]
            rows = zip(
                kept["sizes"].tolist(),
                kept["is_gray"].tolist(),
                [digests[i : i + length] for i in range(0, len(digests), length)],
                kept["stamps"].tolist(),
                kept["spans"].tolist(),
                kept["n_spans"].tolist(),
                strict=True,
            )
            found = {
                name: _FileInfo(height, width, gray, digest, stamp, None, tuple(spans[:n]))
                for name, ((height, width), gray, digest, stamp, spans, n) in zip(
                    names, rows, strict=True
                )
            }
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile):
        return {}
    return {n: i for n, i in found.items() if n in files and _is_same(files[n], i.stamp)}


def _keep_looks(source: str, infos: Mapping[str, _FileInfo]) -> None:
    """Keep what was found; a disk that is full costs nothing but the time of the next look."""
    # What deep images hold depends on how many there are.
    plain = {name: info for name, info in infos.items() if info.measured is None}
    if len(plain) < _MIN_FILES:
        return
    spans = np.zeros((len(plain), max(len(i.spans) for i in plain.values())), np.int64)
    for row, info in enumerate(plain.values()):
        spans[row, : len(info.spans)] = info.spans
    digests = np.frombuffer(b"".join(i.digest for i in plain.values()), np.uint8)
    arrays: dict[str, Any] = {
        "names": np.frombuffer("\0".join(plain).encode(), np.uint8),
        "sizes": np.array([(i.height, i.width) for i in plain.values()], np.int32),
        "is_gray": np.array([i.is_gray for i in plain.values()]),
        "digests": digests.reshape(len(plain), -1),
        "stamps": np.array([i.stamp for i in plain.values()], np.int64),
        "spans": spans,
        "n_spans": np.array([len(i.spans) for i in plain.values()], np.int8),
    }
    place = _place(source)
    with contextlib.suppress(OSError):
        with atomic_file(place) as temporary, temporary.open("wb") as out:
            np.savez(out, **arrays)
        oldest = sorted(place.parent.glob("*.npz"), key=lambda file: file.stat().st_mtime)
        for file in oldest[:-_MAX_FOLDERS]:
            file.unlink(missing_ok=True)


def _place(source: str) -> Path:
    about = f"{Path(source).absolute()}\0{_code_digest()}"
    name = hashlib.blake2b(about.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    return cache_folder() / "looks" / f"{name}.npz"


@cache
def _code_digest() -> str:
    """Fingerprint of the code that looks: a later version may find something else."""
    state = hashlib.blake2b(digest_size=8)
    for name in _CODE:
        state.update(Path(__file__).with_name(name).read_bytes())
    return state.hexdigest()


def _is_same(path: Path, stamp: int) -> bool:
    try:
        return _stamp_of(os.stat(path)) == stamp  # noqa: PTH116 - of 100,000 files, this counts
    except OSError:
        return False
