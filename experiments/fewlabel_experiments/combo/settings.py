"""What decides how the images of a digit and a letter look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from fewlabel.errors import UsageError

SIDE = 56
"""Height and width of an image."""

LARGEST = 27.0
"""Longest side of a character in pixels: two of them fit side by side."""

Range = tuple[float, float]


def _check_ranges(settings: Any, limits: Mapping[str, Range]) -> None:
    for part in fields(settings):
        value = getattr(settings, part.name)
        least, most = limits.get(part.name, (0, 1))
        values = value if isinstance(value, tuple) else (value,)
        if not (least <= values[0] <= values[-1] <= most):
            kind = "a range (low, high)" if isinstance(value, tuple) else "a number"
            raise UsageError(
                f"The '{part.name}' of a {type(settings).__name__} must be {kind} from {least:g} "
                f"to {most:g}. Got {value!r} instead."
            )


@dataclass(frozen=True)
class ComboNoise:
    """What stands between the characters and the pixels; each image draws its own amounts.

    Gray values go from 0 (black) to 1 (white); every range is drawn from uniformly.
    """

    gaussian: Range = (0.02, 0.12)  # standard deviation of what is added to each pixel
    speckle: Range = (0.0, 0.3)  # standard deviation of what each pixel is multiplied with, about 1
    salt_pepper: Range = (0.0, 0.04)  # share of pixels that become black or white
    background: Range = (0.0, 0.25)  # mean gray of the background
    gradient: float = 0.15  # largest change of the background from one side to the other
    contrast: Range = (0.45, 0.75)  # how much lighter than the background ink is

    def __post_init__(self) -> None:
        _check_ranges(self, {})


NOISES = {
    "standard": ComboNoise(gaussian=(0.02, 0.036), speckle=(0.0, 0.09), salt_pepper=(0.0, 0.012)),
    "strong": ComboNoise(),
}
"""Noise by name: decision 12 says what the small CNN reads with each."""


@dataclass(frozen=True)
class ComboLayout:
    """How the two characters are written; each draws its own within these ranges."""

    # Longer side of a character in pixels, before rotation and slant; at most 27 after
    size: Range = (16.0, 26.0)
    rotate: float = 12.0  # largest angle in degrees, to both sides
    # Largest slant to both sides: columns that a row lies further right than the one below
    slant: float = 0.25
    # Width of the pen: from -1, a pixel thinner on each side, to 1, a pixel wider
    stroke: Range = (-0.3, 0.8)
    # Share of images in which the two characters touch or overlap by a pixel
    touching: float = 0.15
    lines: float = 10.0  # largest distance of the characters' middles from a common line, in pixels

    def __post_init__(self) -> None:
        limits = {
            "size": (8, LARGEST),
            "rotate": (0, 45),
            "stroke": (-1, 1),
            "lines": (0, SIDE),
        }
        _check_ranges(self, limits)


@dataclass(frozen=True)
class ComboSettings:
    """What decides how images look."""

    layout: ComboLayout = field(default_factory=ComboLayout)  # how characters are written
    noise: ComboNoise = NOISES["standard"]  # what is done to them
    letters: str | None = None  # whose letters, as `.glyphs.LETTER_SETS` names them
    case: str = "any"  # "upper" leaves small letters out
