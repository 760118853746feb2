"""Features of an image set, in one call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fewlabel.data import ImageSet
from fewlabel.features.base import FeatureExtractor, Progress
from fewlabel.features.choose import _choose_extractor


@dataclass(frozen=True, eq=False)
class Features:
    """Features of an image set, and what made them.

    Attributes
    ----------
    extractor : FeatureExtractor
        What turns images into features, fitted.
    rows : ndarray of shape (n, d), dtype float32
        One row an image.
    reason : str
        Which features, and why.
    """

    extractor: FeatureExtractor
    rows: np.ndarray
    reason: str


def extract_features(
    images: ImageSet,
    *,
    features: str = "auto",
    weights: str | None = None,
    seed: int = 0,
    device: str = "auto",
    cache: bool = False,
    progress: Progress | None = None,
) -> Features:
    """Turn images into features, without a look at labels.

    Parameters
    ----------
    images : ImageSet
        The images.
    features : str
        Which features; see `FitSettings`.
    weights : str, optional
        A ``.safetensors`` file for a network.
    seed : int
        Seed of every random choice.
    device : {"auto", "cpu", "cuda", "mps"}
        Where a network runs.
    cache : bool
        Take features of an earlier run on the same images from the disk, and keep new ones; see
        `fewlabel.features.cache`.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    Features
        One row an image, and the extractor for more images.
    """
    extractor, reason = _choose_extractor(features, weights=weights, seed=seed, device=device)
    if cache:
        # Imported late: it reads all code that computes features.
        from fewlabel.features.cache import cached_transform

        extractor, rows = cached_transform(extractor, images, progress=progress)
    else:
        rows = extractor.fit_transform(images, progress=progress)
    return Features(extractor, rows, reason)
