"""Divide an image, take parts of it away, and see what the model says then."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fewlabel.errors import DataError, UsageError
from fewlabel.extras import is_installed, require

METHODS = ("auto", "grid", "slic")

# Smaller images have too few pixels for superpixels.
_SLIC_SIDE = 64
_SLIC_SEGMENTS = 50
# SLIC finds so few on a plain surface alone.
_FEWEST_SEGMENTS = 16
_CELL = 4
_CELLS_A_SIDE = (4, 8)

PredictProba = Callable[[NDArray[np.uint8]], NDArray[np.floating]]
"""From images of shape (b, H, W, C), uint8, to class probabilities of shape (b, K)."""

FILLS = ("auto", "background", "mean", "blur", "gray")

_BATCH_BYTES = 16_000_000
# On a CPU, larger batches no longer fit the cache between the layers of a network.
_BATCH_SIZES = (16, 128)
# Of the border, which must be so near to its median to be a background.
_PLAIN_SHARE = 0.75
_PLAIN_LEVELS = 8


class _Perturber:
    """An image (H, W, C) whose parts give way to a fill, and the model that looks at it."""

    def __init__(
        self,
        predict_proba: PredictProba,
        image: NDArray[np.uint8],
        filled: NDArray[np.uint8],
        *,
        batch_size: int | None = None,
    ) -> None:
        self.predict_proba = predict_proba
        self.image = image
        self.filled = filled
        least, most = _BATCH_SIZES
        self.batch_size = batch_size or int(np.clip(_BATCH_BYTES // image.size, least, most))

    def __call__(self, keep: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Predict (b, K) the image with only some pixels kept, (b, H, W) bool, in one call."""
        images = np.where(keep[..., None], self.image, self.filled)
        proba = np.asarray(self.predict_proba(images), dtype=np.float64)
        if proba.ndim != 2 or len(proba) != len(images) or not np.isfinite(proba).all():
            raise UsageError(
                f"The function predict_proba must give {len(images)} rows of finite probabilities "
                f"for {len(images)} images. Got shape {proba.shape} instead."
            )
        return proba

    def in_batches(self, keep: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Predict any number of perturbed images, a batch at a time."""
        parts = range(0, len(keep), self.batch_size)
        return np.concatenate([self(keep[i : i + self.batch_size]) for i in parts])


def _fill_image(
    image: NDArray[np.uint8], segments: NDArray[np.int64], fill: str = "auto"
) -> tuple[NDArray[np.uint8], str]:
    """Return what shows where a part is taken away: the border's color, or means of segments."""
    if fill not in FILLS:
        raise UsageError(f"The fill must be one of {', '.join(FILLS)}. Got {fill!r}.")
    background, plain = _background(image)
    if fill == "auto":
        fill = "background" if plain else "mean"
    if fill == "background":
        filled = np.broadcast_to(background, image.shape)
    elif fill == "gray":
        filled = np.full(image.shape, 128)
    elif fill == "blur":
        # So wide that no part can be recognized.
        sigma = max(image.shape[:2]) / 8
        filled = ndimage.gaussian_filter(image.astype(np.float32), (sigma, sigma, 0))
    else:
        counts = np.bincount(segments.ravel())
        channels = [
            (np.bincount(segments.ravel(), image[..., c].ravel()) / counts)[segments]
            for c in range(image.shape[2])
        ]
        filled = np.stack(channels, axis=-1)
    return np.rint(filled).astype(np.uint8), fill


def _background(image: NDArray[np.uint8]) -> tuple[NDArray[np.floating], bool]:
    """Median color of the border, and whether the border is of one color."""
    edges = (image[0], image[-1], image[:, 0], image[:, -1])
    border = np.concatenate(edges).astype(np.int64)
    median = np.median(border, axis=0)
    near = (np.abs(border - median) <= _PLAIN_LEVELS).all(axis=1)
    return median, bool(near.mean() >= _PLAIN_SHARE)


@dataclass(frozen=True, eq=False)
class _Superpixels:
    """The segment of each pixel (H, W), how they were found, and why not as the size suggests."""

    segments: NDArray[np.int64]
    method: str
    note: str = ""


def _superpixels(
    image: NDArray[np.uint8], *, method: str = "auto", n_segments: int | None = None
) -> _Superpixels:
    """Divide an image into segments: cells of 4×4 pixels, or SLIC (Achanta et al., TPAMI 2012)."""
    height, width = image.shape[:2]
    if method not in METHODS:
        raise UsageError(f"The method must be one of {', '.join(METHODS)}. Got {method!r}.")
    if n_segments is not None and n_segments < 2:
        raise UsageError(f"The n_segments must be at least 2. Got {n_segments}.")
    if height * width < 2:
        raise DataError("An image of one pixel cannot be divided: there is nothing to explain.")
    small = min(height, width) < _SLIC_SIDE
    if method == "grid" or (method == "auto" and small):
        return _Superpixels(_grid(height, width, n_segments), "grid")
    if method == "auto" and not is_installed("skimage"):
        note = (
            "A grid instead of superpixels, since scikit-image is not installed: "
            "run `pip install 'fewlabel[explain]'`."
        )
        return _Superpixels(_grid(height, width, n_segments), "grid", note)
    segments = _slic(image, n_segments or _SLIC_SEGMENTS)
    found = int(segments.max()) + 1
    if found >= min(_FEWEST_SEGMENTS, n_segments or _FEWEST_SEGMENTS):
        return _Superpixels(segments, "slic")
    note = f"A grid instead of superpixels, of which there are only {found} in this image."
    return _Superpixels(_grid(height, width, n_segments), "grid", note)


def _grid(height: int, width: int, n_segments: int | None = None) -> NDArray[np.int64]:
    """Divide a rectangle into cells of nearly equal size; (H, W) int64, row by row from 0."""
    if n_segments is None:
        rows, columns = _cells(height), _cells(width)
    else:
        side = math.sqrt(height * width / n_segments)
        rows = int(np.clip(round(height / side), 1, height))
        columns = int(np.clip(round(n_segments / rows), 1, width))
        if rows * columns < 2:
            rows, columns = (2, 1) if height > width else (1, 2)
    row = np.arange(height) * rows // height
    column = np.arange(width) * columns // width
    return row[:, None] * columns + column[None, :]


def _cells(side: int) -> int:
    fewest, most = _CELLS_A_SIDE
    return min(side, int(np.clip(round(side / _CELL), fewest, most)))


def _slic(image: NDArray[np.uint8], n_segments: int) -> NDArray[np.int64]:
    require("skimage", "Dividing a photo into superpixels")
    from skimage.segmentation import slic

    gray = image.ndim == 2 or image.shape[2] == 1
    found = slic(
        image.reshape(image.shape[:2]) if gray else image,
        n_segments=n_segments,
        # At the usual 10, half of the superpixels of a busy photo are merged away; gray values
        # go from 0 to 1.
        compactness=0.2 if gray else 20.0,
        sigma=1,
        start_label=0,
        channel_axis=None if gray else -1,
    )
    return np.unique(found, return_inverse=True)[1].reshape(found.shape).astype(np.int64)
