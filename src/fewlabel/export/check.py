"""Whether a file predicts what its model does, and how fast: on real images of several sizes."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

import numpy as np
from PIL import Image

from fewlabel.compute import _full_precision
from fewlabel.data import ImageSet
from fewlabel.data.modes import _resize_cover
from fewlabel.data.stores import _ArrayStore
from fewlabel.data.uploads import _image_set
from fewlabel.extras import require
from fewlabel.features.base import Progress
from fewlabel.graph.inductive import _Inductive
from fewlabel.model import Model

MIN_IMAGES = 64
"""Images that a file is checked on, at least."""

_MAX_SIDE = 1_024
# Of the sides of an image: as it is, smaller and larger, the last two with another crop.
_SIZES = ((1.0, 1.0), (0.6, 0.75), (1.25, 1.5))
_TIMED = 20


class _PillowStore(_ArrayStore):
    """Pixels in memory, resized as those of files are."""

    def read(self, rows: np.ndarray, size: tuple[int, int], channels: int) -> np.ndarray:
        mode = "L" if channels == 1 else "RGB"
        out = np.empty((len(rows), *size, channels), np.uint8)
        for place, pixels in zip(out, self.pixels[rows], strict=True):
            image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
            place[:] = np.asarray(_resize_cover(image, size).convert(mode)).reshape(place.shape)
        return out


def _sample(images: ImageSet) -> list[np.ndarray]:
    """Return pixels of at least `MIN_IMAGES` images, (b, H, W, C) of each size that there is."""
    rows = np.linspace(0, len(images) - 1, MIN_IMAGES)
    found = defaultdict(list)
    for number, row in enumerate(rows.astype(int).tolist()):
        pixels = _native(images, row, *_SIZES[number % len(_SIZES)])
        if number % 2 and pixels.shape[2] == 1:
            # Gray images that were saved as color ones.
            pixels = np.repeat(pixels, 3, axis=2)
        found[pixels.shape].append(pixels)
    return [np.stack(group) for group in found.values()]


def _native(images: ImageSet, row: int, down: float = 1.0, across: float = 1.0) -> np.ndarray:
    """Return the pixels of an image, (H, W, C), at its own size or at parts of it."""
    one = images.subset([row])
    assert one.native_shape is not None
    height, width, _ = one.native_shape
    shrink = min(1.0, _MAX_SIDE / max(height, width))
    size = max(1, round(down * shrink * height)), max(1, round(across * shrink * width))
    pixels: np.ndarray = one.read([0], size=size)[0]
    return pixels


def _probabilities(session: Any, pictures: list[np.ndarray]) -> np.ndarray:
    """Return what a file gives for pictures, each of them (b, H, W, C)."""
    found = [session.run(["probabilities"], {"images": pixels})[0] for pixels in pictures]
    return np.concatenate(found)


def _compare(
    session: Any,
    model: Model,
    instead: _Inductive | None,
    sample: list[np.ndarray],
    progress: Progress,
) -> tuple[float, float]:
    """Return the largest difference in probability from the model in float32, and as it is here."""
    off = np.zeros(2)
    for number, pixels in enumerate(sample, start=1):
        found = _probabilities(session, [pixels])
        here = _predict(model, instead, pixels)
        with _full_precision():
            exact = _predict(model, instead, pixels)
        # NaN stays NaN, and is refused.
        off = np.maximum(off, [np.abs(found - proba).max() for proba in (exact, here)])
        progress("check", number, len(sample))
    return float(off[0]), float(off[1])


def _predict(model: Model, instead: _Inductive | None, pixels: np.ndarray) -> np.ndarray:
    images = _image_set(_PillowStore(pixels))
    if instead is None:
        return model.predict(images).proba
    return model.widen(instead.predict_proba(model.extractor, images))


def _milliseconds(session: Any, sample: list[np.ndarray]) -> float:
    """Return the median time of one image of the first size, as ONNX Runtime takes them singly."""
    one, seconds = sample[0][:1], []
    for _ in range(_TIMED + 3):
        start = time.perf_counter()
        session.run(None, {"images": one})
        seconds.append(time.perf_counter() - start)
    return 1e3 * float(np.median(seconds[3:]))


def _session(content: bytes) -> Any:
    """Return a file as ONNX Runtime runs it, on one thread."""
    runtime = require("onnxruntime", "`fewlabel export`")
    options = runtime.SessionOptions()
    # It warns of constants that it cannot fold.
    options.log_severity_level = 3
    # As many would wait for others on a busy machine, and say little of another one.
    options.intra_op_num_threads = 1
    return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
