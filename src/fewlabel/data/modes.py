"""Pillow's modes to plain pixels: palette, transparent, other color spaces, any size."""

import numpy as np
from PIL import Image

_PLACES = ((0.1, 0.1), (0.3, 0.6), (0.7, 0.4), (0.9, 0.9))


class UnreadableImageError(Exception):
    """A file that cannot be used as an image; the text is the reason."""


def _standard_mode(image: Image.Image) -> Image.Image:
    """Convert an image of 8 bits and any mode to L, RGB or RGBA."""
    if image.mode in ("L", "RGB", "RGBA") and "transparency" not in image.info:
        return image
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _on_ground(image: Image.Image, gray: int = 255) -> Image.Image:
    """Lay a transparent image on white, or on another gray."""
    if image.mode != "RGBA":
        return image
    ground = Image.new("RGB", image.size, (gray, gray, gray))
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def _varies_in_alpha(image: Image.Image) -> bool:
    """Return whether an image is more transparent in some places than in others."""
    if image.mode != "RGBA":
        return False
    low, high = image.getchannel("A").getextrema()
    return low != high


def _widest_span(image: Image.Image, enough: int = 16) -> int:
    """Return how far the values of a channel lie apart, at least; 0 if all is one color."""
    first = _channels(image, 0.5, 0.5)
    for x, y in _PLACES:
        span = max(abs(a - b) for a, b in zip(first, _channels(image, x, y), strict=True))
        if span >= enough:
            return span
    return _span(image)


def _channels(image: Image.Image, x: float, y: float) -> tuple:
    """Return the channels of one pixel; both places are from 0 to 1."""
    found = image.getpixel((int(x * image.width), int(y * image.height)))
    return found if isinstance(found, tuple) else (found,)


def _span(image: Image.Image) -> int:
    extrema = np.array(image.getextrema(), int).reshape(-1, 2)
    return int((extrema[:, 1] - extrema[:, 0]).max())


def _has_equal_channels(image: Image.Image) -> bool:
    """Return whether an image is gray, whatever its mode."""
    if image.mode == "L":
        return True
    if image.mode == "RGB" and len(set(_channels(image, 0.5, 0.5))) > 1:
        return False
    pixels = np.asarray(_on_ground(image))
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
