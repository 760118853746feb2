"""Photos as networks take them: uint8 pixels at one size, bounded in memory."""

from __future__ import annotations

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


def as_images(X: Any) -> ImageSet:
    """Return an image set as it is, and an array as one.

    Parameters
    ----------
    X : ImageSet, or array-like of shape (n, H, W) or (n, H, W, C)
        Photos.

    Returns
    -------
    ImageSet
        The photos.

    Raises
    ------
    DataError
        If the array is not one of images, or would need another scale at every call.

    Examples
    --------
    >>> as_images(np.zeros((3, 8, 8), np.uint8)).native_shape
    (8, 8, 1)
    """
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


def read_photos(images: ImageSet, network: Network) -> np.ndarray:
    """Read all photos at the size of a network, if memory allows.

    Parameters
    ----------
    images : ImageSet
        Photos of any size.
    network : Network
        What they are for.

    Returns
    -------
    ndarray of shape (n, H, W, C), dtype uint8
        Pixels.

    Raises
    ------
    DataError
        If they would take more than `MAX_BYTES`, or a file cannot be read any more.
    """
    channels, height, width = network.spec.input_shape
    n_bytes = len(images) * channels * height * width
    if n_bytes > MAX_BYTES:
        raise DataError(
            f"{len(images):,} photos at {height} × {width} take {n_bytes / 1e9:.1f} GB of memory, "
            f"more than the {MAX_BYTES / 1e9:.0f} GB that fine-tuning holds: give a smaller size, "
            "or fewer photos."
        )
    return images.read(slice(None), size=(height, width), channels=channels)


def rows_at_once(network: Network, device: torch.device, most: int) -> int:
    """Return how many photos a network is best given at once.

    Parameters
    ----------
    network : Network
        The network.
    device : torch.device
        Where it runs.
    most : int
        How many at most.

    Returns
    -------
    int
        Between 2 and ``most``; on a CPU so many that the maps of a layer stay in the cache.

    Examples
    --------
    >>> from fewlabel.nets import NetworkSpec, build_network
    >>> network = build_network(NetworkSpec("cnn", (3, 128, 128), 2))
    >>> rows_at_once(network, torch.device("cpu"), 64)
    12
    """
    _, height, width = network.spec.input_shape
    return max(2, min(most, _CPU_PIXELS // (height * width))) if device.type == "cpu" else most
