"""Features kept on disk, so that a second run on the same images starts at once.

An entry belongs to one set of images and one way of computing: its name is a hash of the contents
of the images, the extractor's settings, its weights, and the code and the packages that compute.
So nothing has to be thrown away by hand, and a changed image is never answered with old features.
Of many images the rows stand in a file of their own, see `fewlabel.features.streamed`.
"""

import contextlib
import functools
import hashlib
import inspect
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

import fewlabel
from fewlabel.compute import _pick_device, matmul_dtype
from fewlabel.data import ImageSet, cache_folder
from fewlabel.errors import StorageError
from fewlabel.extras import _installed_version
from fewlabel.features.base import FeatureExtractor, Progress
from fewlabel.features.streamed import STREAMED_FROM, _stream_rows
from fewlabel.files import _make_room, atomic_file
from fewlabel.locks import _remove_leftovers

MAX_BYTES = 4_000_000_000
"""Size of the cache on disk, at most; what was not used for the longest time goes first."""

LEAST_SECONDS = 1.0
"""Features that are computed faster than this are not worth a place."""

_MOST_SPEEDS = 500
_VERSION = "2"
_KEY = "fewlabel-features"
_PACKAGES = ("numpy", "torch", "timm", "Pillow")


def _cached_transform(
    extractor: FeatureExtractor,
    images: ImageSet,
    *,
    progress: Progress | None = None,
    folder: Path | None = None,
) -> tuple[FeatureExtractor, np.ndarray]:
    """Return a fitted extractor and the rows (n, d) of the images, or those of an earlier run."""
    folder = cache_folder() / "features" if folder is None else folder
    key = _cache_key(extractor, images)
    file = folder / f"{key}.safetensors"
    found, is_large = _read(file, key, extractor, images), len(images) >= STREAMED_FROM
    if found is not None and not is_large:
        if progress is not None:
            progress("features of an earlier run", len(images), len(images))
        return found
    start = time.perf_counter()
    if is_large:
        # Kept as soon as it is fitted: the parts of a run that goes on are all of one extractor.
        extractor = found[0] if found else extractor.fit(images, progress=progress)
        if found is None:
            _write(file, key, extractor, np.empty((0, extractor.width), np.float32))
        _make_room(folder, "*.rows", MAX_BYTES)
        return extractor, _stream_rows(extractor, images, folder / f"{key}.rows", progress)
    rows = extractor._fit_transform(images, progress)
    if time.perf_counter() - start >= LEAST_SECONDS:
        _write(file, key, extractor, rows)
    return extractor, rows


def _is_cached(extractor: FeatureExtractor, images: ImageSet) -> bool:
    """Return whether an earlier run has kept these features."""
    folder = cache_folder() / "features"
    return (folder / f"{_cache_key(extractor, images)}.safetensors").is_file()


def _measured_once(extractor: Any, images: ImageSet) -> float:
    """Return how many seconds the features take here, measured once and kept for later runs."""
    file = cache_folder() / "features" / "seconds.json"
    kept: dict[str, float] = {}
    with contextlib.suppress(OSError, ValueError):
        kept = json.loads(file.read_text(encoding="utf-8"))
    key = _cache_key(extractor, images)
    seconds = kept.get(key) if isinstance(kept, dict) else None
    if isinstance(seconds, int | float):
        return float(seconds)
    seconds = float(extractor._seconds_for(images))
    # Of few images nothing is measured, and what cannot be kept is measured again.
    if seconds and isinstance(kept, dict):
        with contextlib.suppress(StorageError, OSError), atomic_file(file) as temporary:
            latest = dict([*kept.items(), (key, seconds)][-_MOST_SPEEDS:])
            temporary.write_text(json.dumps(latest), encoding="utf-8")
    return seconds


def _cache_key(extractor: FeatureExtractor, images: ImageSet) -> str:
    """Name what features depend on, in hexadecimal digits."""
    about = [
        _VERSION,
        images.digest(),
        _settings(extractor),
        {package: _installed_version(package) or "absent" for package in _PACKAGES},
        _source_digest(),
    ]
    text = json.dumps(about, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _settings(extractor: Any) -> dict[str, Any]:
    """Return what an extractor was made with; of weights their content, not their place."""
    settings: dict[str, Any] = {"class": type(extractor).__qualname__}
    for name in inspect.signature(type(extractor).__init__).parameters:
        value: Any = getattr(extractor, name, None)
        if name == "device":
            device = _pick_device(value).type
            value = [device, str(matmul_dtype(device))]
        elif hasattr(value, "fit_transform"):
            value = _settings(value)
        elif isinstance(value, list | tuple):
            value = [_settings(v) if hasattr(v, "fit_transform") else v for v in value]
        settings[name] = value
    # One network has one entry, whether a file, a package or the hub gave its weights.
    identity = getattr(extractor, "_identity", dict)
    return settings | identity()


@functools.cache
def _source_digest() -> str:
    """Fingerprint of the code that reads images and computes features."""
    state = hashlib.blake2b(digest_size=16)
    home = Path(fewlabel.__file__).parent
    # Whole packages rather than a version number, which nobody remembers to raise.
    for part in ("compute.py", "data", "features", "nets"):
        place = home / part
        for file in sorted(place.glob("*.py")) if place.is_dir() else [place]:
            state.update(file.read_bytes())
    return state.hexdigest()


def _read(
    file: Path, key: str, extractor: FeatureExtractor, images: ImageSet
) -> tuple[FeatureExtractor, np.ndarray] | None:
    try:
        if not file.is_file():
            return None
        arrays, header = _load(file)
        rows = arrays.pop("rows")
        n_rows = 0 if len(images) >= STREAMED_FROM else len(images)
        if header["key"] != key or rows.shape[:1] != (n_rows,) or rows.dtype != np.float32:
            raise ValueError("another entry")
        # The time of the last use: what has not been used longest goes first.
        with contextlib.suppress(OSError):
            os.utime(file)
        # Frozen features need nothing but their weights, which are not kept a second time.
        if not extractor.is_frozen:
            device = getattr(extractor, "device", "auto")
            extractor = type(extractor).from_state(arrays, header["state"], device=device)
    except (safetensors.SafetensorError, OSError, ValueError, KeyError, TypeError):
        with contextlib.suppress(OSError):
            file.unlink()
        return None
    if extractor.is_frozen and not hasattr(extractor, "network_"):
        # Loads the network, and looks at no image.
        extractor.fit(images)
    return extractor, rows


def _load(file: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    with safetensors.safe_open(str(file), framework="numpy") as opened:
        header = json.loads((opened.metadata() or {})[_KEY])
        arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    if header["digest"] != _digest(arrays, header["state"]):
        raise ValueError("the content does not match its checksum")
    return arrays, header


def _digest(arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> str:
    state = hashlib.blake2b(json.dumps(meta, sort_keys=True).encode(), digest_size=16)
    for name in sorted(arrays):
        state.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        state.update(arrays[name].tobytes() if not arrays[name].ndim else arrays[name].data)
    return state.hexdigest()


def _write(file: Path, key: str, extractor: FeatureExtractor, rows: np.ndarray) -> None:
    arrays, meta = ({}, {}) if extractor.is_frozen else extractor.to_state()
    held = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    held["rows"] = np.asarray(rows, order="C")
    needed = sum(array.nbytes for array in held.values())
    # One entry must not throw out all the others.
    if needed > MAX_BYTES / 2:
        return
    header = json.dumps({"key": key, "state": meta, "digest": _digest(held, meta)})
    # On a full disk safetensors raises an error of its own.
    with contextlib.suppress(StorageError, OSError, safetensors.SafetensorError):
        _remove_leftovers(file.parent)
        _make_room(file.parent, "*.safetensors", MAX_BYTES - needed)
        with atomic_file(file) as temporary:
            safetensors.numpy.save_file(held, temporary, metadata={_KEY: header})
