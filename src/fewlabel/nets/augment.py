"""Random changes of images for training, a whole batch at a time and each row its own way.

Flips, shifts, scale, rotation and shear are one affine map, so that every image is resampled
once. All that is random comes from one generator on the CPU in one draw: the same generator
gives the same changes on every device.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from fewlabel.errors import UsageError
from fewlabel.nets.augment_ops import COLOUR_OPS, N_GREY_OPS

FILLS = {"reflect": "reflection", "edge": "border", "zero": "zeros"}

# Columns of a row's motion, and how far RandAugment takes each at magnitude 1.
_ANGLE, _SHEAR_X, _SHEAR_Y, _SHIFT_X, _SHIFT_Y, _SCALE = range(6)
_FARTHEST = {_ANGLE: 30.0, _SHEAR_X: 0.3, _SHEAR_Y: 0.3, _SHIFT_X: 0.3, _SHIFT_Y: 0.3}
_N_COLUMNS = 10


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a batch of images: every row draws its own within these ranges.

    Colours change first, then one affine map moves the pixels, then a square is cut out.

    Attributes
    ----------
    flip : bool
        Mirror half of the images left to right. Only where that keeps the class: not for
        digits and letters.
    rotate : float
        Largest angle in degrees, to both sides.
    scale : float
        Largest change of size, as a share: 0.1 is from 0.9 to 1.1 times.
    shear : float
        Largest slant along each axis, as a share of the other side.
    shift : float
        Largest shift along each axis, as a share of the side. Without rotation, scale, shear
        and operations, images are shifted by whole pixels and so not blurred.
    cutout : float
        Largest side of the square that is cut out, as a share of the image's; it is filled with
        the mean colour of the image (DeVries & Taylor 2017).
    n_ops : int
        Operations of RandAugment per image (Cubuk et al. 2020): doing nothing, one of the
        changes of colour in `fewlabel.nets.augment_ops`, a rotation up to 30°, a shear or a
        shift up to 0.3.
    magnitude : float
        Strength of those operations from 0 to 1; each draws its own up to this.
    fill : {"reflect", "edge", "zero"}
        What comes in from outside of the image.

    Examples
    --------
    >>> mild = make_augmentation("mild")
    >>> images = torch.rand(8, 1, 28, 28)
    >>> changed = mild(images, torch.Generator().manual_seed(0))
    >>> changed.shape, bool((changed == images).all())
    (torch.Size([8, 1, 28, 28]), False)
    """

    flip: bool = False
    rotate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    shift: float = 0.0
    cutout: float = 0.0
    n_ops: int = 0
    magnitude: float = 1.0
    fill: str = "reflect"

    def __post_init__(self) -> None:
        limits = {"rotate": 180.0, "scale": 0.9, "n_ops": 10}
        for name in ("rotate", "scale", "shear", "shift", "cutout", "n_ops", "magnitude"):
            value, most = getattr(self, name), limits.get(name, 1.0)
            if isinstance(value, bool) or not 0 <= value <= most:
                raise UsageError(
                    f"The '{name}' of an Augmentation must be from 0 to {most:g}. "
                    f"Got {value!r} instead."
                )
        if self.fill not in FILLS:
            raise UsageError(
                f"The 'fill' of an Augmentation must be one of {', '.join(FILLS)}. "
                f"Got {self.fill!r} instead."
            )

    def to_dict(self) -> dict[str, Any]:
        """Give the settings as JSON types.

        Returns
        -------
        dict
            The fields by name.
        """
        return asdict(self)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Augmentation:
        """Make an augmentation of the settings that `to_dict` gave.

        Parameters
        ----------
        settings : mapping
            Some or all fields by name.

        Returns
        -------
        Augmentation
            With these settings.

        Raises
        ------
        UsageError
            If a name or a value is wrong.

        Examples
        --------
        >>> Augmentation.from_dict({"shift": 0.1}).shift
        0.1
        """
        known = [field.name for field in fields(cls)]
        for name in settings:
            if name not in known:
                raise UsageError(
                    f"An Augmentation has no setting {name!r}: it has {', '.join(known)}."
                )
        return cls(**settings)

    @torch.no_grad()
    def __call__(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """Change a batch.

        Parameters
        ----------
        inputs : Tensor of shape (b, C, H, W)
            Float images from 0 to 1 on any device; they are left as they are.
        generator : torch.Generator
            On the CPU.

        Returns
        -------
        Tensor of shape (b, C, H, W)
            Changed images from 0 to 1, on the same device and in the same memory layout.

        Raises
        ------
        UsageError
            If the inputs are not images.
        """
        if inputs.ndim != 4:
            raise UsageError(
                f"An Augmentation changes images, (b, C, H, W). Got an array of {inputs.ndim} "
                "axes instead: rows of features are trained on without one."
            )
        # One draw whatever the settings: what one row draws does not depend on another's.
        draws = torch.rand(len(inputs), _N_COLUMNS + 2 * self.n_ops, generator=generator)
        images, motion = inputs, self._motion(draws)
        for first in range(_N_COLUMNS, draws.shape[1], 2):
            images = self._operate(images, motion, draws[:, first], draws[:, first + 1])
        if self._moves():
            images = self._warp(images, motion, draws[:, 0] < 0.5)
        if self.cutout:
            images = self._cut(images, draws[:, 7:10])
        if inputs.is_contiguous(memory_format=torch.channels_last):
            images = images.contiguous(memory_format=torch.channels_last)
        return images

    def _moves(self) -> bool:
        ranges = (self.flip, self.rotate, self.scale, self.shear, self.shift, self.n_ops)
        return any(ranges)

    def _motion(self, draws: Tensor) -> Tensor:
        """Angle, shears, shifts and scale of each row, of shape (b, 6)."""
        most = [self.rotate, self.shear, self.shear, self.shift, self.shift, self.scale]
        return (2 * draws[:, 1:7] - 1) * draws.new_tensor(most)

    def _operate(self, images: Tensor, motion: Tensor, which: Tensor, size: Tensor) -> Tensor:
        """Do one operation of RandAugment on every row; moves are added to the motion."""
        n_colour = len(COLOUR_OPS) if images.shape[1] == 3 else N_GREY_OPS
        names = list(COLOUR_OPS)[:n_colour]
        codes = (which * (1 + n_colour + len(_FARTHEST))).long()
        amount = (2 * size - 1) * self.magnitude
        for number, (column, farthest) in enumerate(_FARTHEST.items()):
            rows = codes == n_colour + number
            motion[:, column] += torch.where(rows, amount * farthest, 0)
        changed = images.clone()
        for number, name in enumerate(names):
            rows = (codes == number).nonzero().flatten()
            if len(rows):
                strength = amount[rows].reshape(-1, 1, 1, 1).to(images.device)
                rows = rows.to(images.device)
                changed[rows] = COLOUR_OPS[name](images[rows], strength)
        return changed

    def _warp(self, images: Tensor, motion: Tensor, mirrored: Tensor) -> Tensor:
        height, width = images.shape[2:]
        if not (self.rotate or self.scale or self.shear or self.n_ops):
            sides = motion.new_tensor([width, height])
            motion[:, _SHIFT_X:_SCALE] = (motion[:, _SHIFT_X:_SCALE] * sides).round() / sides
        maps = affine_maps(motion, (height, width))
        if self.flip:
            maps[:, :, 0] *= torch.where(mirrored, -1.0, 1.0)[:, None]
        grid = _grid(maps.to(images.device), height, width)
        return functional.grid_sample(
            images, grid, padding_mode=FILLS[self.fill], align_corners=False
        )

    def _cut(self, images: Tensor, draws: Tensor) -> Tensor:
        height, width = images.shape[2:]
        side, x, y = draws.to(images.device).unbind(1)
        half = 0.5 * self.cutout * side[:, None]
        columns = (torch.arange(width, device=images.device) + 0.5) / width
        rows = (torch.arange(height, device=images.device) + 0.5) / height
        inside_x = (columns - x[:, None]).abs() < half
        inside_y = (rows - y[:, None]).abs() < half
        hole = (inside_y[:, :, None] & inside_x[:, None, :])[:, None]
        return torch.where(hole, images.mean(dim=(2, 3), keepdim=True), images)


def affine_maps(motion: Tensor, shape: tuple[int, int]) -> Tensor:
    """Turn motions into the matrices that ``affine_grid`` takes.

    Parameters
    ----------
    motion : Tensor of shape (b, 6)
        Angle in degrees, shear along x and y, shift along x and y as shares of the side, and
        the change of size.
    shape : (int, int)
        Height and width, so that a rotation does not distort an image that is not square.

    Returns
    -------
    Tensor of shape (b, 2, 3)
        From places in the new image to places in the old one, both from -1 to 1.

    Examples
    --------
    >>> affine_maps(torch.zeros(1, 6), (28, 28))[0].tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    height, width = shape
    angle, shear_x, shear_y, shift_x, shift_y, scale = motion.unbind(1)
    angle = angle * (math.pi / 180)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    smaller = 1 / (1 + scale)
    maps = motion.new_empty(len(motion), 2, 3)
    maps[:, 0, 0] = smaller * (cosine - sine * shear_y)
    maps[:, 0, 1] = smaller * (cosine * shear_x - sine) * (height / width)
    maps[:, 1, 0] = smaller * (sine + cosine * shear_y) * (width / height)
    maps[:, 1, 1] = smaller * (sine * shear_x + cosine)
    maps[:, 0, 2] = 2 * shift_x
    maps[:, 1, 2] = 2 * shift_y
    return maps


PRESETS: dict[str, Augmentation] = {
    "none": Augmentation(),
    "weak": Augmentation(shift=0.1),
    "mild": Augmentation(rotate=10.0, scale=0.1, shear=0.1, shift=0.1),
    "strong": Augmentation(shift=0.1, n_ops=2, cutout=0.5),
}
"""Augmentations by name, without flips: what is seen twice (weak), what suits a short training
(mild), and what a network must not mind once it has learned (strong)."""


def make_augmentation(
    policy: str | Augmentation | None, *, flip: bool | None = None
) -> Augmentation:
    """Give an augmentation by name.

    Parameters
    ----------
    policy : str or Augmentation or None
        A key of `PRESETS`; None is ``"none"``; an augmentation stays what it is.
    flip : bool, optional
        Whether images are mirrored; by default as the augmentation says. ``"none"`` stays none.

    Returns
    -------
    Augmentation
        The augmentation.

    Raises
    ------
    UsageError
        If there is none of this name.

    Examples
    --------
    >>> make_augmentation("weak", flip=True)
    Augmentation(flip=True, rotate=0.0, ... shift=0.1, ...)
    """
    if isinstance(policy, Augmentation):
        found = policy
    elif policy is None:
        found = PRESETS["none"]
    elif policy in PRESETS:
        found = PRESETS[policy]
    else:
        near = get_close_matches(str(policy), PRESETS, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UsageError(
            f"The augmentation must be one of {', '.join(PRESETS)}. Got {policy!r} instead.{hint}"
        )
    if flip is None or found == PRESETS["none"]:
        return found
    return replace(found, flip=flip)


def decide_flip(flip: bool | str, n_channels: int) -> bool:
    """Say whether images are mirrored: by order, or where it most often keeps the class.

    ``"auto"`` mirrors colour images and leaves grey ones. A mirrored photo shows the same thing;
    grey images are often digits and letters, which a mirror turns into others. Labels do not
    settle it: among a few hundred labelled images, mirrored ones are recognised by their nearest
    neighbour about half as often as plain ones both for digits, where the class is lost, and for
    photos of groceries, where it is not but scenes repeat.

    Parameters
    ----------
    flip : bool or "auto"
        What was asked for.
    n_channels : int
        1 for grey images, 3 for colour.

    Returns
    -------
    bool
        Whether to mirror.

    Raises
    ------
    UsageError
        If it is neither of them.

    Examples
    --------
    >>> decide_flip("auto", 1), decide_flip("auto", 3), decide_flip(True, 1)
    (False, True, True)
    """
    if isinstance(flip, bool):
        return flip
    if flip != "auto":
        raise UsageError(f"The 'flip' must be True, False or 'auto'. Got {flip!r} instead.")
    return n_channels == 3


def _augmentation_for(
    shape: tuple[int, ...], policy: str | Augmentation | None, flip: bool | str, who: str
) -> Augmentation | None:
    """Return what an estimator was asked to do to inputs of a shape (C, H, W); None is nothing."""
    mirrors = decide_flip(flip, shape[0])
    # An augmentation of the caller's own says itself whether it mirrors.
    named = not isinstance(policy, Augmentation)
    found = make_augmentation(policy, flip=mirrors if named else None)
    if found == PRESETS["none"]:
        return None
    if len(shape) == 1:
        raise UsageError(
            f"The 'augment' parameter of {who} is for images, (n, H, W) or (n, H, W, C). Got "
            f"augment={policy!r} with rows of features: leave it out."
        )
    return found


def _grid(maps: Tensor, height: int, width: int) -> Tensor:
    """Do what ``affine_grid`` does, by sums in place of a product of matrices: 4x as fast."""
    x = (torch.arange(width, device=maps.device) * 2 + 1) / width - 1
    y = (torch.arange(height, device=maps.device) * 2 + 1) / height - 1
    along_x = maps[:, :, 0, None, None] * x
    along_y = maps[:, :, 1, None, None] * y[:, None] + maps[:, :, 2, None, None]
    grid = torch.empty(len(maps), height, width, 2, device=maps.device)
    for axis in range(2):
        torch.add(along_x[:, axis], along_y[:, axis], out=grid[..., axis])
    return grid
