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
    """What is done to images that are copied with changes; each copy draws its own.

    Attributes
    ----------
    share : float
        Share of the images that is copied.
    flip : bool
        Mirror a third of the copies left to right, and a third upside down. A mirrored digit or
        letter is another sign or none: what this costs can be measured.
    rotate : float
        Largest angle in degrees, to both sides.
    scale : float
        Largest change of size, as a share.
    shear : float
        Largest slant to both sides.
    shift : float
        Largest shift along each axis, in pixels.
    sharpen : float
        How much of the difference from the blurred image is added to half of the copies.

    Examples
    --------
    >>> CopyPolicy(share=0.5).flip
    False
    """

    share: float = 0.25
    flip: bool = False
    rotate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    shift: float = 0.0
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
    """Copy a random share of the images with changes.

    Parameters
    ----------
    images : ndarray of shape (n, H, W), dtype uint8
        Grey images.
    policy : CopyPolicy
        What is done: `PUBLISHED` or `CHARACTERS`, or one of your own.
    rng : numpy.random.Generator
        Source of every random choice.

    Returns
    -------
    copies : ndarray of shape (m, H, W), dtype uint8
        Changed images, m being the share of n, rounded.
    rows : ndarray of shape (m,), dtype int64
        The image that each is of, ascending: its targets are ``targets[rows]``.

    Raises
    ------
    DataError
        If they are no grey images.

    Examples
    --------
    >>> images = np.zeros((8, 56, 56), dtype=np.uint8)
    >>> copies, rows = changed_copies(images, CHARACTERS, np.random.default_rng(0))
    >>> copies.shape, rows.shape
    ((2, 56, 56), (2,))
    """
    if images.ndim != 3 or images.dtype != np.uint8:
        raise DataError(
            f"Copies are made of grey images, (n, H, W) uint8. Got {images.shape} {images.dtype}."
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
