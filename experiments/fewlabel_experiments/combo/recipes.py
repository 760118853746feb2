"""The recipes that the rows compare."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from fewlabel.nets import Augmentation

from .augment import CHARACTERS, PUBLISHED, CopyPolicy
from .changed_halves import ChangedHalves
from .preprocess import PreprocessSettings

HALVES = ChangedHalves(Augmentation(rotate=10.0, scale=0.1, shear=0.15, shift=0.07, fill="zero"))
"""Both characters of a composed image are turned, moved and scaled a little, each by itself."""

WHOLE = Augmentation(rotate=10.0, scale=0.1, shear=0.15, shift=0.1, fill="edge")
"""An image as it is, turned, moved and scaled a little."""


@dataclass(frozen=True)
class Recipe:
    """How images are prepared and networks are made."""

    # Steps of preprocessing; None leaves the images as they are
    preprocess: PreprocessSettings | None = None
    copies: CopyPolicy | None = None  # changed copies that join the labeled images
    network: str = "cnn"  # network of [networks] in the settings of the study; the student's
    members: tuple[str, ...] = ()  # networks of the ensemble
    structure: bool = False  # whether a network knows that there is one digit and one letter
    # What is done to images anew in every step; never are they mirrored
    changes: str | Augmentation | ChangedHalves | None = None
    # Whether every member has all labels, and students learn all that members predict
    noisy: bool = False
    few: bool = False  # whether only some of the labeled images have their labels


ALL_STEPS = PreprocessSettings(crop=True)
"""The whole of preprocessing; rows without ink are left out."""

ABLATION = {
    "specks": ("no median against specks", replace(ALL_STEPS, specks=False)),
    "blur": ("no blur", replace(ALL_STEPS, sigma=0.0)),
    "merge": ("broken strokes not merged", replace(ALL_STEPS, merge=False)),
    "erode": ("touching characters eroded first", replace(ALL_STEPS, erode=True)),
    "cut": ("touching characters not cut", replace(ALL_STEPS, cut=False)),
    "look": ("no second threshold", replace(ALL_STEPS, second_look=False)),
    "compose": ("not put in their places", replace(ALL_STEPS, compose=False, crop=False)),
    "opening": ("opened besides", replace(ALL_STEPS, opening=2)),
}
"""What the ablation of preprocessing changes: words, and the settings."""


def recipes(config: dict[str, Any]) -> dict[str, Recipe]:
    """Return the recipes by name."""
    plain = Recipe()
    prepared = replace(plain, preprocess=ALL_STEPS)
    copied = replace(prepared, copies=CHARACTERS)
    best = replace(
        prepared,
        network=config["best_network"],
        members=tuple(config["best_members"]),
        structure=True,
        changes=HALVES,
        noisy=True,
    )
    whole = replace(
        best,
        preprocess=None,
        network="spotter",
        members=tuple(config["whole_members"]),
        changes=WHOLE,
    )
    residual = replace(plain, network="resnet", changes="mild")
    return {
        "plain": plain,
        "residual": residual,
        "residual-heads": replace(residual, preprocess=ALL_STEPS, structure=True),
        "resnet50": replace(prepared, network="resnet50"),
        "prepared": prepared,
        "flips": replace(prepared, copies=PUBLISHED),
        "no-flips": replace(prepared, copies=replace(PUBLISHED, flip=False)),
        "single": replace(copied, members=("cnn",) * config["single_members"]),
        "several": replace(copied, members=tuple(config["several_members"])),
        "structure": replace(copied, structure=True),
        "best": best,
        "whole": whole,
        "few": replace(best, few=True),
    } | {f"ablation-{k}": replace(prepared, preprocess=s) for k, (_, s) in ABLATION.items()}
