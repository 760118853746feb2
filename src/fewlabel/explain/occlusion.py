"""Occlusion: cover the image by a window, place by place, and see how the prediction falls."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fewlabel.explain.perturb import Perturber

_WINDOWS_A_SIDE = 4.5


def occlusion_map(perturber: Perturber, target: int) -> NDArray[np.float64]:
    """Measure what each place adds to the probability of a class [1]_.

    A square of about two ninths of the shorter side moves over the image by half its side. It
    knows nothing of the segments that LIME takes away, and so can check it.

    Parameters
    ----------
    perturber : Perturber
        The image and the model.
    target : int
        Column of the class.

    Returns
    -------
    ndarray of shape (H, W), dtype float64
        By how much the probability falls when a pixel is covered, mean over the windows that
        cover it; negative where covering it helps.

    References
    ----------
    .. [1] M. D. Zeiler and R. Fergus, "Visualizing and understanding convolutional networks",
       ECCV 2014.

    Examples
    --------
    >>> corner = lambda images: (images[:, :1, 0] > 0).reshape(-1, 1).astype(float)
    >>> white = np.full((9, 9, 1), 255, np.uint8)
    >>> drop = occlusion_map(Perturber(corner, white, 0 * white), 0)
    >>> float(drop[0, 0]), float(drop[8, 8])
    (1.0, 0.0)
    """
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
    return np.tensordot(drop, covered, axes=1) / covered.sum(axis=0)


def segment_means(values: NDArray[np.float64], segments: NDArray[np.int64]) -> NDArray[np.float64]:
    """Give the mean of a map over each segment.

    Parameters
    ----------
    values : ndarray of shape (H, W)
        The map.
    segments : ndarray of shape (H, W), dtype int64
        Segment of each pixel.

    Returns
    -------
    ndarray of shape (n_segments,), dtype float64
        Means.

    Examples
    --------
    >>> segment_means(np.array([[1.0, 3.0, 5.0]]), np.array([[0, 0, 1]]))
    array([2., 5.])
    """
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
