"""Divide an image into segments: a grid for small images, superpixels for photos."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
