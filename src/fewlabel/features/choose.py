"""Which features to use: what the user asked for, or the best that is at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from fewlabel.data import ImageSet
from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.features.pixels import Progress


class FeatureExtractor(Protocol):
    """What turns an image set into rows of numbers."""

    name: str

    def fit(self, images: ImageSet, *, progress: Progress | None = None) -> Any:
        """Look at the images, never at labels."""

    def transform(self, images: ImageSet, *, progress: Progress | None = None) -> np.ndarray:
        """Give one row an image, float32."""

    def fit_transform(self, images: ImageSet, *, progress: Progress | None = None) -> np.ndarray:
        """Do both, computing nothing twice."""

    def to_state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Give arrays and JSON that rebuild the extractor."""


def choose_extractor(
    features: str = "auto",
    *,
    weights: str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
) -> tuple[FeatureExtractor, str]:
    """Make the feature extractor that was asked for.

    Parameters
    ----------
    features : str
        ``"auto"``, ``"patches"``, ``"pixels"``, or the timm name of a pretrained network.
        ``"auto"`` takes the network of ``weights`` where weights are given, else patches.
    weights : str or Path, optional
        A ``.safetensors`` file with weights of the network.
    seed : int
        Seed of what is learnt.
    device : {"auto", "cpu", "cuda", "mps"}
        Where a network runs.

    Returns
    -------
    extractor : FeatureExtractor
        Not fitted yet.
    reason : str
        One sentence: which features, and why.

    Raises
    ------
    UsageError
        If weights are given for features that have none.
    MissingExtraError
        If a network is asked for and timm is not installed.

    Examples
    --------
    >>> choose_extractor("pixels")[1]
    'Pixels, as asked for.'
    """
    if features in ("pixels", "patches") and weights is not None:
        raise UsageError(
            f"Weights are given, but the features {features!r} have none: leave out --weights, "
            "or give the network's name with --features."
        )
    if features == "pixels":
        from fewlabel.features.pixels import Pixels

        return Pixels(n_components=128, random_state=seed), "Pixels, as asked for."
    if features == "patches" or (features == "auto" and weights is None):
        from fewlabel.features.patch_features import PatchFeatures

        reason = (
            "A patch dictionary learnt from the images, as asked for."
            if features == "patches"
            else "A patch dictionary learnt from the images themselves, since no pretrained "
            "weights were given. For photos, --features NAME or --weights FILE does better."
        )
        return PatchFeatures(random_state=seed), reason
    from fewlabel.features.backbone import Backbone

    name = None if features == "auto" else features
    backbone = Backbone(name, weights, device=device, random_state=seed)
    if name is None:
        return backbone, "The network of the weights' name, since weights were given."
    return backbone, f"The pretrained network {name}, as asked for."


def extractor_from_state(arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> FeatureExtractor:
    """Rebuild a saved extractor.

    Parameters
    ----------
    arrays : dict of str to ndarray
        From its ``to_state``.
    meta : dict
        From its ``to_state``.

    Returns
    -------
    FeatureExtractor
        The fitted extractor.

    Raises
    ------
    ModelFormatError
        If the state is of no known extractor.

    Examples
    --------
    >>> extractor_from_state({}, {"extractor": "crystal ball"})
    Traceback (most recent call last):
    ...
    fewlabel.errors.ModelFormatError: The saved features 'crystal ball' are not known to this ...
    """
    name = meta.get("extractor")
    if name == "patches":
        from fewlabel.features.patch_features import PatchFeatures

        return PatchFeatures.from_state(arrays, meta)
    if name == "pixels":
        from fewlabel.features.pixels import Pixels

        return Pixels.from_state(arrays, meta)
    if name == "backbone":
        from fewlabel.features.backbone import Backbone

        return Backbone.from_state(arrays, meta)
    if name == "joined":
        from fewlabel.features.joined import JoinedFeatures

        return JoinedFeatures.from_state(arrays, meta)
    raise ModelFormatError(
        f"The saved features {name!r} are not known to this version of fewlabel: upgrade it."
    )
