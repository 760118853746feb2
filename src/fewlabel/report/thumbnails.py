"""Small pictures as ``data:`` URIs."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

_MAX_SIDE = 160
_TINY_SIDE = 64


def _thumbnail_uri(image: np.ndarray) -> str:
    """Encode an image (H, W), (H, W, 1) or (H, W, 3), uint8, as PNG or JPEG, the smaller one.

    Images up to 64 pixels stay PNG: they are shown enlarged, where the blocks of a JPEG would
    be taken for the image itself. Larger ones are reduced to 160 pixels.
    """
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype != np.uint8 or not (array.ndim == 2 or array.shape[2:] == (3,)):
        raise ValueError(
            "A thumbnail must be a uint8 array of shape (H, W), (H, W, 1) or (H, W, 3). Got "
            f"{array.dtype} of shape {np.shape(image)} instead; read it with ImageSet.read."
        )
    picture = Image.fromarray(np.ascontiguousarray(array))
    picture.thumbnail((_MAX_SIDE, _MAX_SIDE), Image.Resampling.LANCZOS)
    if max(picture.size) <= _TINY_SIDE:
        return _uri("png", _encode(picture, "png", optimize=True))
    png = _encode(picture, "png")
    jpeg = _encode(picture, "jpeg", quality=80, optimize=True)
    return _uri("png", png) if len(png) <= len(jpeg) else _uri("jpeg", jpeg)


def _is_tiny(image: np.ndarray) -> bool:
    """Return whether the page enlarges an image and keeps its pixels sharp."""
    return max(image.shape[:2]) <= _TINY_SIDE


def _encode(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
