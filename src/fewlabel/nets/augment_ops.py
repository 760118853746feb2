"""Changes of colour on batches of images, each row by its own amount.

Every function takes images of shape (b, C, H, W) from 0 to 1 and gives new ones; amounts have
shape (b, 1, 1, 1). They follow the operations of RandAugment (Cubuk et al. 2020).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

_SMALLEST_RANGE = 1e-3
_LEVELS = 256
# Shares of red, green and blue in brightness (ITU-R BT.601).
_LUMA = (0.299, 0.587, 0.114)


def brightness(images: Tensor, amount: Tensor) -> Tensor:
    """Multiply all pixels.

    Parameters
    ----------
    images : Tensor of shape (b, C, H, W)
        From 0 to 1.
    amount : Tensor of shape (b, 1, 1, 1)
        From -1 (black) over 0 (the same) to 1 (twice as bright).

    Returns
    -------
    Tensor of shape (b, C, H, W)
        From 0 to 1.

    Examples
    --------
    >>> brightness(torch.full((1, 1, 1, 1), 0.4), torch.full((1, 1, 1, 1), 0.5)).item()
    0.6000000238418579
    """
    return (images * (1 + amount)).clamp_(0, 1)


def contrast(images: Tensor, amount: Tensor) -> Tensor:
    """Move pixels away from the mean brightness of their image, or towards it.

    Parameters
    ----------
    images : Tensor of shape (b, C, H, W)
        From 0 to 1.
    amount : Tensor of shape (b, 1, 1, 1)
        From -1 (all grey) over 0 (the same) to 1 (twice the contrast).

    Returns
    -------
    Tensor of shape (b, C, H, W)
        From 0 to 1.

    Examples
    --------
    >>> grey = contrast(torch.rand(1, 1, 4, 4), torch.full((1, 1, 1, 1), -1.0))
    >>> bool(grey.std() < 1e-6)
    True
    """
    mean = _grey(images).mean(dim=(2, 3), keepdim=True)
    return _away_from(mean, images, amount)


def saturation(images: Tensor, amount: Tensor) -> Tensor:
    """Strengthen or fade colours; grey images stay as they are.

    Parameters
    ----------
    images : Tensor of shape (b, C, H, W)
        From 0 to 1.
    amount : Tensor of shape (b, 1, 1, 1)
        From -1 (no colour) over 0 (the same) to 1 (twice the colour).

    Returns
    -------
    Tensor of shape (b, C, H, W)
        From 0 to 1.

    Examples
    --------
    >>> faded = saturation(torch.rand(1, 3, 2, 2), torch.full((1, 1, 1, 1), -1.0))
    >>> torch.allclose(faded[:, 0], faded[:, 2])
    True
    """
    return _away_from(_grey(images), images, amount)


def sharpness(images: Tensor, amount: Tensor) -> Tensor:
    """Sharpen or blur.

    Parameters
    ----------
    images : Tensor of shape (b, C, H, W)
        From 0 to 1.
    amount : Tensor of shape (b, 1, 1, 1)
        From -1 (blurred by 3×3 pixels) over 0 (the same) to 1 (sharper).

    Returns
    -------
    Tensor of shape (b, C, H, W)
        From 0 to 1.

    Examples
    --------
    >>> flat = torch.full((1, 1, 3, 3), 0.5)
    >>> bool(torch.allclose(sharpness(flat, torch.ones(1, 1, 1, 1)), flat))
    True
    """
    # Pillow's kernel for smoothing: nine equal weights, and four more on the centre.
    mean = functional.avg_pool2d(images, 3, 1, 1, count_include_pad=False)
    return _away_from((9 * mean + 4 * images) / 13, images, amount)


def posterize(images: Tensor, amount: Tensor) -> Tensor:
    """Keep fewer levels of brightness.

    Parameters
    ----------
    images : Tensor of shape (b, C, H, W)
        From 0 to 1.
    amount : Tensor of shape (b, 1, 1, 1)
        Size from 0 (256 levels) to 1 (16 levels); the sign does not matter.

    Returns
    -------
    Tensor of shape (b, C, H, W)
        From 0 to 1.

    Examples
    --------
    >>> len(posterize(torch.rand(1, 1, 64, 64), torch.ones(1, 1, 1, 1)).unique())
    16
    """
    step = torch.exp2(torch.round(4 * amount.abs()))
    levels = torch.floor(images * (_LEVELS - 1) / step)
    return levels * step / (_LEVELS - 1)


def solarize(images: Tensor, amount: Tensor) -> Tensor:
    """Invert the pixels that are brighter than a threshold.

    Parameters
    ----------
    images : Tensor of shape (b, C, H, W)
        From 0 to 1.
    amount : Tensor of shape (b, 1, 1, 1)
        Size from 0 (nothing but white is inverted) to 1 (all are); the sign does not matter.

    Returns
    -------
    Tensor of shape (b, C, H, W)
        From 0 to 1.

    Examples
    --------
    >>> images = torch.tensor([0.25, 0.75]).reshape(1, 1, 1, 2)
    >>> solarize(images, torch.full((1, 1, 1, 1), 0.5)).flatten().tolist()
    [0.25, 0.25]
    """
    return torch.where(images >= 1 - amount.abs(), 1 - images, images)


def autocontrast(images: Tensor, amount: Tensor) -> Tensor:
    """Stretch every channel to the range from 0 to 1.

    Parameters
    ----------
    images : Tensor of shape (b, C, H, W)
        From 0 to 1.
    amount : Tensor of shape (b, 1, 1, 1)
        Not used: there is no more or less of it.

    Returns
    -------
    Tensor of shape (b, C, H, W)
        From 0 to 1; a channel of one value stays as it is.

    Examples
    --------
    >>> images = torch.tensor([0.2, 0.3, 0.4]).reshape(1, 1, 1, 3)
    >>> [round(v, 2) for v in autocontrast(images, torch.ones(1, 1, 1, 1)).flatten().tolist()]
    [0.0, 0.5, 1.0]
    """
    low = images.amin(dim=(2, 3), keepdim=True)
    wide = images.amax(dim=(2, 3), keepdim=True) - low
    return torch.where(wide > _SMALLEST_RANGE, (images - low) / wide.clamp_min(1e-6), images)


def equalize(images: Tensor, amount: Tensor) -> Tensor:
    """Spread the levels of every channel evenly: a pixel becomes the share of darker ones.

    Parameters
    ----------
    images : Tensor of shape (b, C, H, W)
        From 0 to 1.
    amount : Tensor of shape (b, 1, 1, 1)
        Not used: there is no more or less of it.

    Returns
    -------
    Tensor of shape (b, C, H, W)
        From 0 to 1; a channel of one value stays as it is.

    Examples
    --------
    >>> images = torch.tensor([0.0, 0.1, 0.2]).reshape(1, 1, 1, 3)
    >>> [round(value, 2) for value in equalize(images, torch.ones(1, 1, 1, 1)).flatten().tolist()]
    [0.0, 0.5, 1.0]
    """
    levels = (images * (_LEVELS - 1)).round().long().flatten(2)
    histogram = torch.zeros(*levels.shape[:2], _LEVELS, device=images.device)
    histogram.scatter_add_(2, levels, torch.ones_like(levels, dtype=histogram.dtype))
    darker = histogram.cumsum(2) - histogram
    # The darkest level goes to 0 and the brightest to 1, as in Pillow.
    most = darker.gather(2, levels.amax(2, keepdim=True))
    spread = darker.gather(2, levels) / most.clamp_min(1)
    equal = torch.where(most > 0, spread, images.flatten(2))
    return equal.reshape(images.shape)


COLOUR_OPS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": brightness,
    "contrast": contrast,
    "sharpness": sharpness,
    "posterize": posterize,
    "solarize": solarize,
    "autocontrast": autocontrast,
    "equalize": equalize,
    "saturation": saturation,
}
"""Changes of colour by name; the last is for colour images alone."""

N_GREY_OPS = len(COLOUR_OPS) - 1
"""So many of `COLOUR_OPS`, from the first, make sense for grey images."""


def _grey(images: Tensor) -> Tensor:
    if images.shape[1] != 3:
        return images.mean(dim=1, keepdim=True)
    shares = images.new_tensor(_LUMA).reshape(1, 3, 1, 1)
    return (images * shares).sum(dim=1, keepdim=True)


def _away_from(base: Tensor, images: Tensor, amount: Tensor) -> Tensor:
    return (base + (images - base) * (1 + amount)).clamp_(0, 1)
