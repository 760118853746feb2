"""Occlusion: cover the image by a window, place by place, and see how the prediction falls."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fewlabel.explain.perturb import _Perturber

_WINDOWS_A_SIDE = 4.5


def _occlusion_map(perturber: _Perturber, target: int) -> NDArray[np.float64]:
    """Return what each pixel (H, W) adds to a probability (Zeiler and Fergus 2014)."""
    height, width = perturber.image.shape[:2]
    window = max(1, round(min(height, width) / _WINDOWS_A_SIDE))
    keep = np.array(
        [
            _without(height, width, top, left, window)
            for top in _starts(height, window)
            for left in _starts(width, window)
        ]
    )
    whole = perturber(np.ones((1, height, width), bool))[0, target]
    drop = whole - perturber.in_batches(keep)[:, target]
    covered = ~keep
    # Windows overlap: a pixel gets the mean of those that cover it.
    return np.tensordot(drop, covered, axes=1) / covered.sum(axis=0)


def _segment_means(values: NDArray[np.float64], segments: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean of a map (H, W) over each of its segments (H, W)."""
    return np.bincount(segments.ravel(), values.ravel()) / np.bincount(segments.ravel())


def _starts(side: int, window: int) -> list[int]:
    """Places of a window that moves by half its side and ends flush with the image."""
    last = side - window
    steps = max(1, -(-last // max(1, window // 2)))
    return sorted({round(last * i / steps) for i in range(steps + 1)})


def _without(height: int, width: int, top: int, left: int, window: int) -> NDArray[np.bool_]:
    keep = np.ones((height, width), bool)
    keep[top : top + window, left : left + window] = False
    return keep
