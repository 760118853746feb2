"""Pillow's modes to plain pixels: 16-bit, float, palette, transparent, any size."""

from __future__ import annotations

import numpy as np
from PIL import Image

# Cameras store 10, 12 or 14 bits in 16: dividing those by 65,535 would leave them black.
_WHITE_LEVELS = (255, 1023, 4095, 16383, 65535)


class UnreadableImageError(Exception):
    """A file that cannot be used as an image; the text is the reason."""


def _standard_mode(image: Image.Image, white: int) -> Image.Image:
    """Convert an image of any mode to L, RGB or RGBA."""
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_scaled(np.asarray(image), white))
    if image.mode in ("L", "RGB", "RGBA") and "transparency" not in image.info:
        return image
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _on_white(image: Image.Image) -> Image.Image:
    """Lay a transparent image on white."""
    if image.mode != "RGBA":
        return image
    ground = Image.new("RGB", image.size, (255, 255, 255))
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def _has_equal_channels(image: Image.Image) -> bool:
    """Return whether an image is gray, whatever its mode."""
    if image.mode == "L":
        return True
    pixels = np.asarray(_on_white(image))
    return bool(
        np.array_equal(pixels[..., 0], pixels[..., 1])
        and np.array_equal(pixels[..., 0], pixels[..., 2])
    )


def _resize_cover(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Scale an image so that it covers a size, and crop the center."""
    height, width = size
    if image.size == (width, height):
        return image
    scale = min(image.width / width, image.height / height)
    left = max(0.0, (image.width - width * scale) / 2)
    top = max(0.0, (image.height - height * scale) / 2)
    right = min(float(image.width), left + width * scale)
    bottom = min(float(image.height), top + height * scale)
    return image.resize(
        (width, height),
        Image.Resampling.BICUBIC,
        box=(left, top, right, bottom),
        # A large photo is averaged down to three times the size first, which nobody sees.
        reducing_gap=3.0,
    )


def _white_level_of(peak: int) -> int:
    """Return the largest value of 8, 10, 12, 14 or 16 bits, the smallest that holds the peak."""
    return next((level for level in _WHITE_LEVELS if peak <= level), _WHITE_LEVELS[-1])


def _scaled(values: np.ndarray, white: int) -> np.ndarray:
    """Bring 16-bit, 32-bit and float grays to 0..255.

    Floats keep their meaning where they lie in [0, 1] or [0, 255]; other ranges, and integers
    above 16 bits, are stretched from their own minimum to their own maximum.
    """
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise UnreadableImageError("it holds pixels that are NaN or infinite")
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind == "f" and low >= 0 and high <= 255:
        # Floats as most libraries write them: fractions, or levels.
        low, high = 0.0, 1.0 if high <= 1 else 255.0
    elif values.dtype.kind != "f" and low >= 0 and high <= 65535:
        low, high = 0.0, float(white)
    span = high - low if high > low else 1.0
    scaled = np.subtract(values, low, dtype=np.float32)
    scaled *= 255.0 / span
    np.rint(scaled, out=scaled)
    return np.clip(scaled, 0, 255, out=scaled).astype(np.uint8)
