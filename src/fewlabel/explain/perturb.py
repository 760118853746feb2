"""Take parts of an image away, and see what the model says then."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fewlabel.errors import UsageError

PredictProba = Callable[[NDArray[np.uint8]], NDArray[np.floating]]
"""From images of shape (b, H, W, C), uint8, to class probabilities of shape (b, K)."""

FILLS = ("auto", "background", "mean", "blur", "grey")

_BATCH_BYTES = 16_000_000
# On a CPU, larger batches no longer fit the cache between the layers of a network.
_BATCH_SIZES = (16, 128)
_PLAIN_SHARE = 0.75
_PLAIN_LEVELS = 8


class Perturber:
    """An image of which parts can be replaced by a fill, and the model that looks at it.

    Parameters
    ----------
    predict_proba : callable
        From images of shape (b, H, W, C), uint8, to class probabilities of shape (b, K). It is
        called once a batch.
    image : ndarray of shape (H, W, C), dtype uint8
        The image.
    filled : ndarray of shape (H, W, C), dtype uint8
        What stands where a part is taken away; see `fill_image`.
    batch_size : int, optional
        Images a call of ``predict_proba``; by default up to 128, fewer where they are large.

    Examples
    --------
    >>> brightness = lambda images: images.mean(axis=(1, 2, 3))[:, None] / 255
    >>> white = np.full((2, 2, 1), 255, np.uint8)
    >>> perturber = Perturber(brightness, white, 0 * white)
    >>> perturber(np.array([[[True, True], [True, False]]]))
    array([[0.75]])
    """

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
        """Predict the image with only some of its pixels, in one call of the model.

        Parameters
        ----------
        keep : ndarray of shape (b, H, W), dtype bool
            Which pixels are kept; the others are filled.

        Returns
        -------
        ndarray of shape (b, K), dtype float64
            Class probabilities.

        Raises
        ------
        UsageError
            If ``predict_proba`` does not give a finite row for each image.
        """
        images = np.where(keep[..., None], self.image, self.filled)
        proba = np.asarray(self.predict_proba(images), dtype=np.float64)
        if proba.ndim != 2 or len(proba) != len(images) or not np.isfinite(proba).all():
            raise UsageError(
                f"The function predict_proba must give {len(images)} rows of finite probabilities "
                f"for {len(images)} images. Got shape {proba.shape} instead."
            )
        return proba

    def in_batches(self, keep: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Predict any number of perturbed images, a batch at a time.

        Parameters
        ----------
        keep : ndarray of shape (n, H, W), dtype bool
            Which pixels are kept.

        Returns
        -------
        ndarray of shape (n, K), dtype float64
            Class probabilities.
        """
        parts = range(0, len(keep), self.batch_size)
        return np.concatenate([self(keep[i : i + self.batch_size]) for i in parts])


def fill_image(
    image: NDArray[np.uint8], segments: NDArray[np.int64], fill: str = "auto"
) -> tuple[NDArray[np.uint8], str]:
    """Make the image that shows through where a part is taken away.

    Parameters
    ----------
    image : ndarray of shape (H, W, C), dtype uint8
        The image.
    segments : ndarray of shape (H, W), dtype int64
        Its segments.
    fill : {"auto", "background", "mean", "blur", "grey"}
        ``"background"``: the median colour of the border, so that a part vanishes.
        ``"mean"``: the mean colour of each segment, as LIME does it. ``"blur"``: the image,
        blurred by an eighth of its side. ``"grey"``: middle grey. ``"auto"``: the background
        where three quarters of the border have one colour, else the mean.

    Returns
    -------
    filled : ndarray of shape (H, W, C), dtype uint8
        The fill.
    fill : str
        Which one it is.

    Raises
    ------
    UsageError
        If the fill is unknown.

    Examples
    --------
    >>> image = np.array([[[0], [0]], [[0], [200]]], np.uint8)
    >>> filled, fill = fill_image(image, np.array([[0, 0], [1, 1]]))
    >>> fill, filled.ravel().tolist()
    ('background', [0, 0, 0, 0])
    """
    if fill not in FILLS:
        raise UsageError(f"The fill must be one of {', '.join(FILLS)}. Got {fill!r}.")
    background, plain = _background(image)
    if fill == "auto":
        fill = "background" if plain else "mean"
    if fill == "background":
        filled = np.broadcast_to(background, image.shape)
    elif fill == "grey":
        filled = np.full(image.shape, 128)
    elif fill == "blur":
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
    """Median colour of the border, and whether the border is of one colour."""
    edges = (image[0], image[-1], image[:, 0], image[:, -1])
    border = np.concatenate(edges).astype(np.int64)
    median = np.median(border, axis=0)
    near = (np.abs(border - median) <= _PLAIN_LEVELS).all(axis=1)
    return median, bool(near.mean() >= _PLAIN_SHARE)
