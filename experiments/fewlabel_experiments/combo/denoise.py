"""From noisy gray images to ink: specks, blur, background, threshold and opening, in batches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float32]
Masks = NDArray[np.bool_]

# Exchanges that leave the median of nine in the middle (Smith 1996, the fewest there are).
_PAIRS = "12457801346712457803584736142547426442"
_EXCHANGES = [(int(_PAIRS[i]), int(_PAIRS[i + 1])) for i in range(0, len(_PAIRS), 2)]


def remove_specks(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Replace black and white pixels by the median of the nine around them: salt and pepper go.

    Other pixels stay: a median of all would break strokes of two pixels.
    """
    height, width = images.shape[1:]
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)), mode="edge")
    around = [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    for low, high in _EXCHANGES:
        smaller = np.minimum(around[low], around[high])
        around[high] = np.maximum(around[low], around[high])
        around[low] = smaller
    return np.where((images == 0) | (images == 255), around[4], images)


def blur(images: np.ndarray, sigma: float) -> Floats:
    """Blur with a Gaussian."""
    gray = images.astype(np.float32)
    if not sigma:
        return gray
    return np.asarray(ndimage.gaussian_filter(gray, (0, sigma, sigma), mode="nearest"))


def flatten(images: Floats) -> Floats:
    """Take the background away: a plane through the darker half of each image."""
    n, height, width = images.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    plane = np.stack([np.ones(x.size, np.float32), x.ravel() / width, y.ravel() / height])
    products = (plane[:, None] * plane).reshape(9, -1)
    rest = images.reshape(n, -1)
    for _ in range(3):
        # What lies above the middle of the rest may be ink and does not count.
        keep = (rest <= np.median(rest, axis=1, keepdims=True)).astype(np.float32)
        gram = (keep @ products.T).astype(np.float64).reshape(n, 3, 3) + 1e-3 * np.eye(3)
        fit = np.linalg.solve(gram, ((keep * rest) @ plane.T)[:, :, None])[:, :, 0]
        rest = rest - fit.astype(np.float32) @ plane
    # The mean of the darker half lies below the background: its middle is put to 0.
    rest -= np.median(rest, axis=1, keepdims=True)
    return np.asarray(rest.reshape(images.shape))


def threshold(images: Floats) -> tuple[Masks, Floats]:
    """Part ink from background at Otsu's threshold of each image.

    N. Otsu, A threshold selection method from gray-level histograms, 1979: the variance between
    the two parts is the largest.
    """
    n, bins = len(images), 128
    low, high = images.min(axis=(1, 2)), images.max(axis=(1, 2))
    step = np.maximum(high - low, 1e-6) / bins
    codes = ((images - low[:, None, None]) / step[:, None, None]).astype(np.int64)
    codes = np.minimum(codes, bins - 1) + bins * np.arange(n)[:, None, None]
    counts = np.bincount(codes.ravel(), minlength=n * bins).reshape(n, bins).astype(np.float64)
    below = counts.cumsum(axis=1)
    total = below[:, -1:]
    weighted = (counts * np.arange(bins)).cumsum(axis=1)
    above = np.maximum(total - below, 1e-9)
    gap = weighted / np.maximum(below, 1e-9) - (weighted[:, -1:] - weighted) / above
    best = (below * (total - below) * gap**2).argmax(axis=1)
    levels = (low + (best + 1) * step).astype(np.float32)
    return (images >= levels[:, None, None]) & (high > low)[:, None, None], levels


def open_masks(masks: Masks, size: int) -> Masks:
    """Erode, then dilate: what is thinner than a square goes."""
    if size <= 1:
        return masks
    return np.asarray(ndimage.binary_opening(masks, np.ones((1, size, size))))
