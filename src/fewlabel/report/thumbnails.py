"""Small pictures as ``data:`` URIs."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

_MAX_SIDE = 160
# Up to this side the page enlarges an image and shows its pixels.
_TINY_SIDE = 64


def _thumbnail_uri(image: np.ndarray) -> str:
    """Encode an image (H, W, 1) or (H, W, 3), uint8, as PNG or JPEG, the smaller one."""
    array = image[:, :, 0] if image.shape[2] == 1 else image
    picture = Image.fromarray(np.ascontiguousarray(array))
    picture.thumbnail((_MAX_SIDE, _MAX_SIDE), Image.Resampling.LANCZOS)
    # Enlarged by the page, the blocks of a JPEG would be taken for the image itself.
    if max(picture.size) <= _TINY_SIDE:
        return _uri(picture, "png", optimize=True)
    return min(_uri(picture, "png"), _uri(picture, "jpeg", quality=80, optimize=True), key=len)


def _is_tiny(image: np.ndarray) -> bool:
    """Return whether the page enlarges an image and keeps its pixels sharp."""
    return max(image.shape[:2]) <= _TINY_SIDE


def _uri(picture: Image.Image, kind: str, **options: object) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
