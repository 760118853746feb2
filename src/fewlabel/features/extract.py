"""Features of an image set, in one call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fewlabel.data import ImageSet
from fewlabel.errors import UsageError
from fewlabel.features.base import FeatureExtractor, Progress, _kind


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
    """Compute features of images, without a look at labels.

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
    network = getattr(extractor, "network_", None)
    if network is not None and network.source:
        reason += f" Its weights are from {network.source}."
    return Features(extractor, rows, reason)


def _choose_extractor(
    features: str, *, weights: str | None, seed: int, device: str
) -> tuple[FeatureExtractor, str]:
    """Make the feature extractor that was asked for, and say why it is this one."""
    if features in ("pixels", "patches") and weights is not None:
        raise UsageError(
            f"Weights are given, but the features {features!r} have none: leave out --weights, "
            "or give the network's name with --features."
        )
    if features == "pixels":
        return _kind("pixels")(n_components=128, random_state=seed), "Pixels, as asked for."
    if features == "patches":
        reason = "A patch dictionary learned from the images, as asked for."
        return _kind("patches")(random_state=seed), reason
    if features == "auto" and weights is None:
        reason = (
            "A patch dictionary learned from the images themselves, since no pretrained "
            "weights were given. For photos, --features NAME or --weights FILE does better."
        )
        return _kind("patches")(random_state=seed), reason
    name = None if features == "auto" else features
    reason = (
        "The network of the weights' name, since weights were given."
        if name is None
        else f"The pretrained network {name}, as asked for."
    )
    return _kind("backbone")(name, weights, device=device, random_state=seed), reason
