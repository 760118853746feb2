"""Which features to use: what the user asked for, or the best that is at hand."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.features.base import FeatureExtractor

_CLASSES = {
    "pixels": ("pixels", "Pixels"),
    "patches": ("patch_features", "PatchFeatures"),
    "backbone": ("backbone", "Backbone"),
    "joined": ("joined", "JoinedFeatures"),
}


def _kind(name: str) -> Any:
    """Import a kind of features by the name under which it is saved: networks load timm."""
    module, class_name = _CLASSES[name]
    return getattr(importlib.import_module(f"fewlabel.features.{module}"), class_name)


def _choose_extractor(
    features: str = "auto",
    *,
    weights: str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
) -> tuple[FeatureExtractor, str]:
    """Make the feature extractor that was asked for."""
    if features in ("pixels", "patches") and weights is not None:
        raise UsageError(
            f"Weights are given, but the features {features!r} have none: leave out --weights, "
            "or give the network's name with --features."
        )
    if features == "pixels":
        return _kind("pixels")(n_components=128, random_state=seed), "Pixels, as asked for."
    if features == "patches" or (features == "auto" and weights is None):
        reason = (
            "A patch dictionary learned from the images, as asked for."
            if features == "patches"
            else "A patch dictionary learned from the images themselves, since no pretrained "
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
    """
    name = meta.get("extractor")
    if name not in _CLASSES:
        raise ModelFormatError(
            f"The saved features {name!r} are not known to this version of fewlabel: upgrade it."
        )
    return _kind(name).from_state(arrays, meta)
