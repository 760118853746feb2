"""Small pictures as ``data:`` URIs."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

_MAX_SIDE = 160
# Up to this side the page enlarges an image and shows its pixels.
_TINY_SIDE = 64
# Tiles of a sheet that are enlarged most, so that blocks of strong compression would show.
_TINY_TILE = 32


def _thumbnail_uri(image: np.ndarray, side: int = _MAX_SIDE, quality: int = 80) -> str:
    """Encode an image (H, W, 1) or (H, W, 3), uint8, as PNG, JPEG or WebP, the smallest."""
    array = image[:, :, 0] if image.shape[2] == 1 else image
    picture = Image.fromarray(np.ascontiguousarray(array))
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    # Enlarged by the page, the blocks of a JPEG would be taken for the image itself.
    if max(picture.size) <= _TINY_SIDE:
        return _uri(picture, "png", optimize=True)
    jpeg, png = _uri(picture, "jpeg", quality=quality, optimize=True), _uri(picture, "png")
    # What PNG packs as well is a drawing, and stays exact.
    return (
        png if len(png) <= len(jpeg) else min(jpeg, _uri(picture, "webp", quality=quality), key=len)
    )


def _sheet_uri(tiles: np.ndarray, columns: int) -> str:
    """Encode images (n, S, S, C) as one picture: a file each would be mostly headers."""
    n, side, _, channels = tiles.shape
    rows = -(-n // columns)
    sheet = np.zeros((rows * columns, *tiles.shape[1:]), np.uint8)
    sheet[:n] = tiles
    sheet = sheet.reshape(rows, columns, side, side, channels).swapaxes(1, 2)
    sheet = sheet.reshape(rows * side, columns * side, channels)
    picture = Image.fromarray(np.ascontiguousarray(sheet[..., 0] if channels == 1 else sheet))
    return _uri(picture, "webp", quality=28 if side > _TINY_TILE else 80)


def _is_tiny(image: np.ndarray) -> bool:
    """Return whether the page enlarges an image and keeps its pixels sharp."""
    return max(image.shape[:2]) <= _TINY_SIDE


def _uri(picture: Image.Image, kind: str, **options: object) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
