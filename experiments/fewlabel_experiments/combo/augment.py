"""Changed copies of a random share of the training images: as published, and for characters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fewlabel.errors import DataError, UsageError

from .denoise import blur
from .warp import affine_about, warp


@dataclass(frozen=True)
class CopyPolicy:
    """What is done to images that are copied with changes; each copy draws its own."""

    share: float = 0.25  # share of the images that is copied
    # Mirror a third of the copies left to right, and a third upside down. A mirrored digit or
    # letter is another sign or none: what this costs can be measured
    flip: bool = False
    rotate: float = 0.0  # largest angle in degrees, to both sides
    scale: float = 0.0  # largest change of size, as a share
    shear: float = 0.0  # largest slant to both sides
    shift: float = 0.0  # largest shift along each axis, in pixels
    # How much of the difference from the blurred image is added to half of the copies
    sharpen: float = 0.0

    def __post_init__(self) -> None:
        limits = {"share": 1, "rotate": 180, "scale": 0.9, "shear": 1, "shift": 28, "sharpen": 10}
        for name, most in limits.items():
            if not 0 <= getattr(self, name) <= most:
                raise UsageError(
                    f"The '{name}' of a CopyPolicy must be from 0 to {most:g}. "
                    f"Got {getattr(self, name)!r} instead."
                )


PUBLISHED = CopyPolicy(flip=True, rotate=10.0, sharpen=1.0)
"""A random quarter: flips, rotation by up to 10 degrees, sharpening, as the study says."""

CHARACTERS = CopyPolicy(rotate=10.0, scale=0.1, shear=0.15, shift=2.0, sharpen=1.0)
"""The same without flips, and with what handwriting varies in: size, slant and place."""


def changed_copies(
    images: NDArray[np.uint8], policy: CopyPolicy, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Copy a random share of the images with changes."""
    if images.ndim != 3 or images.dtype != np.uint8:
        raise DataError(
            f"Copies are made of gray images, (n, H, W) uint8. Got {images.shape} {images.dtype}."
        )
    n, height, width = images.shape
    rows = np.sort(rng.permutation(n)[: round(policy.share * n)]).astype(np.int64)
    m = len(rows)
    # All is drawn whatever the policy: two policies change the same images alike.
    angle, size, slant, right, down = rng.uniform(-1, 1, (5, m))
    mirror, sharp = rng.random((2, m))
    angle = np.deg2rad(angle * policy.rotate)
    turn = np.stack([np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)], axis=1)
    matrix = turn.reshape(m, 2, 2) / (1 + policy.scale * size)[:, None, None]
    matrix[:, :, 1] += (policy.shear * slant)[:, None] * matrix[:, :, 0]
    if policy.flip:
        matrix[:, :, 0] *= np.where(mirror < 1 / 3, -1, 1)[:, None]
        matrix[:, :, 1] *= np.where(mirror > 2 / 3, -1, 1)[:, None]
    middle = (width - 1) / 2, (height - 1) / 2
    source = np.array(middle) + policy.shift * np.stack([right, down], axis=1)
    # What comes in from outside is the mirror image of the border: it has noise of its own.
    border = min(width, height) // 4
    around = ((0, 0), (border, border), (border, border))
    wide = np.pad(images[rows], around, mode="reflect" if m else "constant")
    maps = affine_about(matrix, source + border, middle)
    copies = warp(wide, maps, (height, width), edge=True)
    if policy.sharpen:
        amount = np.where(sharp < 0.5, policy.sharpen, 0).astype(np.float32)
        copies += amount[:, None, None] * (copies - blur(copies, 1.0))
    return np.rint(np.clip(copies, 0, 255)).astype(np.uint8), rows
