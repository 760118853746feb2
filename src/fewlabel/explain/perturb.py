"""Take parts of an image away, and see what the model says then."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fewlabel.errors import UsageError

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
