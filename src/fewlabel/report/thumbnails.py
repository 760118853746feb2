"""Small pictures as ``data:`` URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fewlabel.data import ImageSet

MAX_SIDE = 160
_TINY_SIDE = 64
_READ_SIDE = 96


def thumbnail_uri(image: NDArray[np.uint8], *, max_side: int = MAX_SIDE) -> str:
    """Encode an image for a page: PNG or JPEG, whichever is smaller.

    Images up to 64 pixels stay PNG: they are shown enlarged, where the blocks of a JPEG would
    be taken for the image itself.

    Parameters
    ----------
    image : ndarray of shape (H, W), (H, W, 1) or (H, W, 3), uint8
        The image.
    max_side : int
        Longest side in pixels; larger images are reduced to it.

    Returns
    -------
    str
        A ``data:image/png`` or ``data:image/jpeg`` URI.

    Raises
    ------
    ValueError
        If the array is not an image of one of these shapes and types.

    Examples
    --------
    >>> thumbnail_uri(np.zeros((28, 28, 1), np.uint8))[:22]
    'data:image/png;base64,'
    """
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    grey = array.ndim == 2
    if array.dtype != np.uint8 or not (grey or (array.ndim == 3 and array.shape[2] == 3)):
        raise ValueError(
            "A thumbnail must be a uint8 array of shape (H, W), (H, W, 1) or (H, W, 3). Got "
            f"{array.dtype} of shape {np.shape(image)} instead; read it with ImageSet.read."
        )
    picture = Image.fromarray(np.ascontiguousarray(array))
    picture.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    if max(picture.size) <= _TINY_SIDE:
        return _uri("png", _encode(picture, "png", optimize=True))
    png = _encode(picture, "png")
    jpeg = _encode(picture, "jpeg", quality=80, optimize=True)
    return _uri("png", png) if len(png) <= len(jpeg) else _uri("jpeg", jpeg)


def is_tiny(image: NDArray[np.uint8]) -> bool:
    """Tell whether an image is enlarged on the page, with its pixels kept sharp.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, C)
        The image.

    Returns
    -------
    bool
        True up to 64 pixels a side.

    Examples
    --------
    >>> is_tiny(np.zeros((28, 28, 1), np.uint8))
    True
    """
    return max(image.shape[:2]) <= _TINY_SIDE


def read_thumbnails(images: ImageSet, rows: Sequence[int] | NDArray[np.int64]) -> NDArray[np.uint8]:
    """Read images at the size of thumbnails; small ones as they are.

    Parameters
    ----------
    images : ImageSet
        Images.
    rows : sequence of int
        Which of them, at least one.

    Returns
    -------
    ndarray of shape (len(rows), H, W, C), uint8
        Pixels.

    Examples
    --------
    >>> from fewlabel.data import load_images
    >>> read_thumbnails(load_images("digits"), [3]).shape
    (1, 8, 8, 1)
    """
    native = images.native_shape
    small = native is not None and max(native[:2]) <= _READ_SIDE
    return images.read(rows, size=None if small else (_READ_SIDE, _READ_SIDE))


def _encode(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
