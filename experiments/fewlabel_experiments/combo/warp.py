"""Resample many small images at once, each by an affine map of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def affine_about(
    matrix: NDArray[np.floating], source: NDArray[np.floating], target: tuple[float, float]
) -> Floats:
    """Make maps that bring a point of each source image to one point of the result."""
    maps = np.empty((len(matrix), 2, 3), dtype=np.float32)
    maps[:, :, :2] = matrix
    maps[:, :, 2] = source - matrix @ np.asarray(target, dtype=np.float64)
    return maps


def warp(images: np.ndarray, maps: Floats, shape: tuple[int, int], *, edge: bool = False) -> Floats:
    """Resample images bilinearly."""
    n, height, width = images.shape
    border = ((0, 0), (1, 2), (1, 2))
    padded = np.pad(
        images.astype(np.float32, copy=False), border, mode="edge" if edge else "constant"
    )
    columns = np.arange(shape[1], dtype=np.float32)
    rows = np.arange(shape[0], dtype=np.float32)[:, None]
    m = maps[:, :, :, None, None]
    x = m[:, 0, 0] * columns + (m[:, 0, 1] * rows + m[:, 0, 2])
    y = m[:, 1, 0] * columns + (m[:, 1, 1] * rows + m[:, 1, 2])
    # Places far outside read the border; one more column and row keeps the right neighbor inside.
    x = np.clip(x, -1, width) + np.float32(1)
    y = np.clip(y, -1, height) + np.float32(1)
    left, top = x.astype(np.int32), y.astype(np.int32)
    x -= left
    y -= top
    stride = width + 3
    first = np.arange(n, dtype=np.int32)[:, None, None] * np.int32(stride * (height + 3))
    at = top * np.int32(stride) + left + first
    flat = padded.ravel()
    upper = flat.take(at)
    upper += x * (flat.take(at + 1) - upper)
    lower = flat.take(at + stride)
    lower += x * (flat.take(at + (stride + 1)) - lower)
    return upper + y * (lower - upper)
