"""Random changes of both halves of an image of two things, each by itself."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fewlabel.errors import UsageError
from fewlabel.nets.augment import Augmentation, make_augmentation


@dataclass(frozen=True)
class ChangedHalves:
    """Change the left and the right half of images, each by itself.

    What is moved or turned in one half does not reach into the other. ``change`` is a name of
    `fewlabel.nets.augment.PRESETS`, or an augmentation of your own.

    Examples
    --------
    >>> change = ChangedHalves("mild")
    >>> images = torch.rand(8, 1, 28, 56)
    >>> change(images, torch.Generator().manual_seed(0)).shape
    torch.Size([8, 1, 28, 56])
    """

    change: str | Augmentation

    def __post_init__(self) -> None:
        # The name is looked up at once: a wrong one is noticed before hours of training.
        object.__setattr__(self, "change", make_augmentation(self.change))

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Change a batch (b, C, H, W) from 0 to 1; the middle column of an odd width stays."""
        if images.ndim != 4 or images.shape[3] < 2:
            raise UsageError(
                "ChangedHalves changes images of two columns or more, (b, C, H, W). Got an array "
                f"of shape {tuple(images.shape)} instead."
            )
        assert isinstance(self.change, Augmentation)
        half = images.shape[3] // 2
        halves = torch.cat([images[..., :half], images[..., -half:]])
        left, right = self.change(halves, generator).chunk(2)
        middle = images[..., half : images.shape[3] - half]
        return torch.cat([left, middle, right], dim=3)
