"""Photos as networks take them: uint8 pixels at one size, bounded in memory."""

from typing import Any

import numpy as np
import torch

from fewlabel.data import ImageSet, PixelScale, image_set_from_array
from fewlabel.data.scale import _white_level_of
from fewlabel.errors import DataError
from fewlabel.nets.network import Network

MAX_BYTES = 2_000_000_000
"""Pixels held in memory to train on, at most: 40,000 photos of 128 × 128."""

# On a CPU the maps of a layer must stay in the cache: eight photos of 160 × 160 at once run at
# twice the speed of 64.
_CPU_PIXELS = 200_000


def _as_images(X: Any) -> ImageSet:
    """Return an image set as it is, and an array (n, H, W) or (n, H, W, C) as one."""
    if isinstance(X, ImageSet):
        return X
    X, white = np.asarray(X), None
    if X.dtype.kind in "iu" and X.size and X.min() >= 0 and X.max() <= 65535:
        # The images of one call may all be bright: that says nothing of the others.
        ends = (0.0, float(_white_level_of(int(X.max()))))
        white = PixelScale(ends, ends)
    images = image_set_from_array(X, scale=white)
    if not images.scale._is_usual:
        raise DataError(
            f"X must hold values from 0 to 255, 0 to 65535 or 0 to 1. Got {np.min(X):g} to "
            f"{np.max(X):g}: scale them first."
        )
    return images


def _read_photos(images: ImageSet, network: Network) -> np.ndarray:
    """Read all photos as uint8 (n, H, W, C) at the size of a network, if memory allows."""
    channels, height, width = network.spec.input_shape
    n_bytes = len(images) * channels * height * width
    if n_bytes > MAX_BYTES:
        raise DataError(
            f"{len(images):,} photos at {height} × {width} take {n_bytes / 1e9:.1f} GB of memory, "
            f"more than the {MAX_BYTES / 1e9:.0f} GB that fine-tuning holds: give a smaller size, "
            "or fewer photos."
        )
    return images.read(slice(None), size=(height, width), channels=channels)


def _rows_at_once(network: Network, device: torch.device, most: int) -> int:
    """Return how many photos a network is best given at once, between 2 and ``most``."""
    _, height, width = network.spec.input_shape
    return max(2, min(most, _CPU_PIXELS // (height * width))) if device.type == "cpu" else most
