"""Random changes of images for training, a whole batch at a time and each row by itself.

Flips, shifts, scale, rotation and shear are one affine map, so that every image is resampled
once. All that is random comes from one generator on the CPU in one draw: the same generator
gives the same changes on every device.
"""

import math
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches

import torch
from torch import Tensor
from torch.nn import functional

from fewlabel.errors import UsageError
from fewlabel.nets.augment_ops import _COLOR_OPS, _N_GRAY_OPS
from fewlabel.params import _check_arguments, choice, integer, number

_FILLS = {"reflect": "reflection", "edge": "border", "zero": "zeros"}

# Columns of a row's motion, and how far RandAugment takes each at magnitude 1.
_ANGLE, _SHEAR_X, _SHEAR_Y, _SHIFT_X, _SHIFT_Y, _SCALE = range(6)
_FARTHEST = {_ANGLE: 30.0, _SHEAR_X: 0.3, _SHEAR_Y: 0.3, _SHIFT_X: 0.3, _SHIFT_Y: 0.3}
_N_COLUMNS = 10

_FRACTION = [number(0, 1, closed="both")]
_CONSTRAINTS = {
    "flip": ["boolean"],
    "rotate": [number(0, 180, closed="both")],
    "scale": [number(0, 0.9, closed="both")],
    **dict.fromkeys(("shear", "shift", "cutout", "magnitude"), _FRACTION),
    "n_ops": [integer(0, 10)],
    "fill": [choice(_FILLS)],
}


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a batch of images: every row draws its own within these ranges.

    Colors change first, then one affine map moves the pixels, then a square is cut out.

    Attributes
    ----------
    flip : bool
        Mirror half of the images left to right. Only where that keeps the class: not for
        digits and letters.
    rotate : float
        Largest angle in degrees, to both sides.
    scale : float
        Largest change of size, as a fraction: 0.1 is from 0.9 to 1.1 times.
    shear : float
        Largest slant along each axis, as a fraction of the other side.
    shift : float
        Largest shift along each axis, as a fraction of the side. Without rotation, scale, shear
        and operations, images are shifted by whole pixels and so not blurred.
    cutout : float
        Largest side of the square that is cut out, as a fraction of the image's; it is filled with
        the mean color of the image (DeVries & Taylor 2017).
    n_ops : int
        Operations of RandAugment per image (Cubuk et al. 2020): doing nothing, one of the
        changes of color in `fewlabel.nets.augment_ops`, a rotation up to 30°, a shear or a
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
        _check_arguments("Augmentation", _CONSTRAINTS, **asdict(self))

    @torch.no_grad()
    def __call__(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """Change a batch (b, C, H, W) from 0 to 1 by draws of a generator on the CPU.

        The inputs are left as they are; device and memory layout stay.
        """
        if inputs.ndim != 4:
            raise UsageError(
                f"An Augmentation changes images, (b, C, H, W). Got an array of {inputs.ndim} "
                "axes instead: rows of features are trained on without one."
            )
        # One draw on the CPU whatever the settings and the device: what one row draws does not
        # depend on another's, and the same generator gives the same changes everywhere.
        draws = torch.rand(len(inputs), _N_COLUMNS + 2 * self.n_ops, generator=generator)
        images, motion = inputs, self._motion(draws)
        for first in range(_N_COLUMNS, draws.shape[1], 2):
            images = self._operate(images, motion, draws[:, first], draws[:, first + 1])
        if self.flip or self.rotate or self.scale or self.shear or self.shift or self.n_ops:
            images = self._warp(images, motion, draws[:, 0] < 0.5)
        if self.cutout:
            images = self._cut(images, draws[:, 7:10])
        # grid_sample gives rows in the ordinary order, which convolutions would convert again.
        if inputs.is_contiguous(memory_format=torch.channels_last):
            images = images.contiguous(memory_format=torch.channels_last)
        return images

    def _motion(self, draws: Tensor) -> Tensor:
        """Angle, shears, shifts and scale of each row, of shape (b, 6)."""
        most = [self.rotate, self.shear, self.shear, self.shift, self.shift, self.scale]
        return (2 * draws[:, 1:7] - 1) * draws.new_tensor(most)

    def _operate(self, images: Tensor, motion: Tensor, which: Tensor, size: Tensor) -> Tensor:
        """Do one operation of RandAugment on every row; moves are added to the motion."""
        n_color = len(_COLOR_OPS) if images.shape[1] == 3 else _N_GRAY_OPS
        names = list(_COLOR_OPS)[:n_color]
        codes = (which * (1 + n_color + len(_FARTHEST))).long()
        amount = (2 * size - 1) * self.magnitude
        for code, (column, farthest) in enumerate(_FARTHEST.items(), n_color):
            rows = codes == code
            motion[:, column] += torch.where(rows, amount * farthest, 0)
        changed = images.clone()
        # A code beyond the colors and the moves is doing nothing.
        for code, name in enumerate(names):
            rows = (codes == code).nonzero().flatten()
            if len(rows):
                strength = amount[rows].reshape(-1, 1, 1, 1).to(images.device)
                rows = rows.to(images.device)
                changed[rows] = _COLOR_OPS[name](images[rows], strength)
        return changed

    def _warp(self, images: Tensor, motion: Tensor, mirrored: Tensor) -> Tensor:
        height, width = images.shape[2:]
        if not (self.rotate or self.scale or self.shear or self.n_ops):
            # A shift by part of a pixel would blur every image that is only shifted.
            sides = motion.new_tensor([width, height])
            motion[:, _SHIFT_X:_SCALE] = (motion[:, _SHIFT_X:_SCALE] * sides).round() / sides
        maps = _affine_maps(motion, (height, width))
        if self.flip:
            maps[:, :, 0] *= torch.where(mirrored, -1.0, 1.0)[:, None]
        grid = _grid(maps.to(images.device), height, width)
        return functional.grid_sample(
            images, grid, padding_mode=_FILLS[self.fill], align_corners=False
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


def _affine_maps(motion: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return the matrices (b, 2, 3) that ``affine_grid`` takes of motions (b, 6)."""
    # A motion: angle in degrees, shears, shifts as fractions of the side, change of size. Of height
    # and width, so that a rotation does not distort an image that is not square.
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
    """Return an augmentation by name.

    Parameters
    ----------
    policy : str or Augmentation or None
        A key of `PRESETS`; None is ``"none"``; an augmentation stays what it is.
    flip : bool, optional
        Whether images are mirrored; by default as the augmentation has it. ``"none"`` stays none.

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


def _decide_flip(flip: bool | str, n_channels: int) -> bool:
    """Return whether images are mirrored: as asked for, or where ``"auto"`` keeps the class."""
    if isinstance(flip, bool):
        return flip
    if flip != "auto":
        raise UsageError(f"The 'flip' must be True, False or 'auto'. Got {flip!r} instead.")
    # A mirrored photo shows the same thing; gray images are often digits and letters, which a
    # mirror turns into others. Labels do not settle it: among a few hundred labeled images,
    # mirrored ones are recognized by their nearest neighbor about half as often as plain ones, both
    # for digits, where the class is lost, and for photos of groceries, where it is not but scenes
    # repeat.
    return n_channels == 3


def _augmentation_for(
    shape: tuple[int, ...], policy: str | Augmentation | None, flip: bool | str, who: str
) -> Augmentation | None:
    """Return what an estimator was asked to do to inputs of a shape (C, H, W); None is nothing."""
    mirrors = _decide_flip(flip, shape[0])
    # An augmentation of the caller's own has its own flip.
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
