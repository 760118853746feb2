"""Changes of color on batches of images, each row by its own amount.

Every function takes images (b, C, H, W) from 0 to 1 and amounts (b, 1, 1, 1) from -1 to 1, and
gives new images from 0 to 1. They follow the operations of RandAugment (Cubuk et al. 2020).
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

_SMALLEST_RANGE = 1e-3
_LEVELS = 256
# How much red, green and blue count in brightness (ITU-R BT.601).
_LUMA = (0.299, 0.587, 0.114)


def _brightness(images: Tensor, amount: Tensor) -> Tensor:
    """Multiply all pixels: -1 is black, 1 twice as bright."""
    return (images * (1 + amount)).clamp_(0, 1)


def _contrast(images: Tensor, amount: Tensor) -> Tensor:
    """Move pixels from the mean brightness of their image (1), or towards it (-1 is all gray)."""
    return _away_from(_gray(images).mean(dim=(2, 3), keepdim=True), images, amount)


def _saturation(images: Tensor, amount: Tensor) -> Tensor:
    """Strengthen colors (1), or fade them (-1); gray images stay as they are."""
    return _away_from(_gray(images), images, amount)


def _sharpness(images: Tensor, amount: Tensor) -> Tensor:
    """Sharpen (1), or blur by 3×3 pixels (-1)."""
    # Pillow's kernel for smoothing: nine equal weights, and four more on the center.
    mean = functional.avg_pool2d(images, 3, 1, 1, count_include_pad=False)
    return _away_from((9 * mean + 4 * images) / 13, images, amount)


def _posterize(images: Tensor, amount: Tensor) -> Tensor:
    """Keep fewer levels of brightness: 256 at 0, 16 at 1 and -1."""
    step = torch.exp2(torch.round(4 * amount.abs()))
    return torch.floor(images * (_LEVELS - 1) / step) * step / (_LEVELS - 1)


def _solarize(images: Tensor, amount: Tensor) -> Tensor:
    """Invert the pixels that are brighter than a threshold: none at 0, all at 1 and -1."""
    return torch.where(images >= 1 - amount.abs(), 1 - images, images)


def _autocontrast(images: Tensor, amount: Tensor) -> Tensor:
    """Stretch every channel to the range from 0 to 1; one of a single value stays as it is."""
    low = images.amin(dim=(2, 3), keepdim=True)
    wide = images.amax(dim=(2, 3), keepdim=True) - low
    return torch.where(wide > _SMALLEST_RANGE, (images - low) / wide.clamp_min(1e-6), images)


def _equalize(images: Tensor, amount: Tensor) -> Tensor:
    """Spread the levels of every channel evenly: a pixel becomes the fraction of darker ones."""
    levels = (images * (_LEVELS - 1)).round().long().flatten(2)
    histogram = torch.zeros(*levels.shape[:2], _LEVELS, device=images.device)
    histogram.scatter_add_(2, levels, torch.ones_like(levels, dtype=histogram.dtype))
    darker = histogram.cumsum(2) - histogram
    # The darkest level goes to 0 and the brightest to 1, as in Pillow.
    most = darker.gather(2, levels.amax(2, keepdim=True))
    spread = darker.gather(2, levels) / most.clamp_min(1)
    return torch.where(most > 0, spread, images.flatten(2)).reshape(images.shape)


# The last is for color images alone.
_COLOR_OPS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": _brightness,
    "contrast": _contrast,
    "sharpness": _sharpness,
    "posterize": _posterize,
    "solarize": _solarize,
    "autocontrast": _autocontrast,
    "equalize": _equalize,
    "saturation": _saturation,
}
_N_GRAY_OPS = len(_COLOR_OPS) - 1


def _gray(images: Tensor) -> Tensor:
    if images.shape[1] != 3:
        return images.mean(dim=1, keepdim=True)
    return (images * images.new_tensor(_LUMA).reshape(1, 3, 1, 1)).sum(dim=1, keepdim=True)


def _away_from(base: Tensor, images: Tensor, amount: Tensor) -> Tensor:
    return (base + (images - base) * (1 + amount)).clamp_(0, 1)
