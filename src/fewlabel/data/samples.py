"""Samples that are not plain 8 bits: deeper, with a sign, or with a value for no data."""

import sys
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from fewlabel.data.scale import PixelScale, _alpha_to_bytes, _measure, _Measured
from fewlabel.data.tiff import BITS, NODATA, PHOTOMETRIC, SAMPLE_FORMAT, _tag, _TiffPage

# libtiff gives bytes in the order of this machine, which Pillow forgets for these.
_IN_NATIVE_ORDER = {"I;16BS": "I;16NS", "I;32BS": "I;32NS", "F;32BF": "F;32NF"}
_ROWS = 256
_OTHER_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


class _Samples(NamedTuple):
    """Values (H, W) or (H, W, 3), for a scale to bring to 0..255, and what they mean."""

    values: np.ndarray
    alpha: np.ndarray | None = None
    nodata: float | None = None
    inverted: bool = False

    @property
    def is_gray(self) -> bool:
        """Whether there is one channel, or all are equal."""
        if self.values.ndim == 2:
            return True
        red, *others = np.moveaxis(self.values, 2, 0)
        return all(np.array_equal(red, c, equal_nan=red.dtype.kind == "f") for c in others)

    def measure(self, n_sampled: int) -> _Measured | None:
        """Return what the values are like, None if all say that nothing was measured."""
        return _measure(self.values, self.nodata, n_sampled)

    def scaled(self, scale: PixelScale) -> Image.Image:
        """Return the image that a scale makes of them: L, RGB or RGBA."""
        pixels = scale._apply(self.values, nodata=self.nodata, inverted=self.inverted)
        if self.alpha is None:
            return Image.fromarray(pixels)
        colors = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
        return Image.fromarray(np.dstack([colors, self.alpha]))


def _load_samples(image: Any, stream: BinaryIO) -> _Samples | None:
    """Decode an opened image; return its samples where they are not plain 8 bits."""
    if isinstance(image, _TiffPage):
        return _of_channels(image.read(), image.has_alpha, image.nodata, image.inverted)
    tiles = getattr(image, "tile", None) or []
    raw = _raw_mode(tiles[0][3]) if tiles else ""
    if tiles and tiles[0][0] == "libtiff":
        raw_mode, *rest = tiles[0][3]
        native = (_IN_NATIVE_ORDER.get(raw_mode, raw_mode), *rest)
        image.tile = [_with_args(tile, native) for tile in tiles]
    image.load()
    nodata = _tag(image, NODATA)
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        if image.format == "TIFF" and image.mode == "I" and _tag(image, BITS) == 32:
            # Pillow takes 32 bits for signed, whatever the file says.
            values = values if _tag(image, SAMPLE_FORMAT) == 2 else values.view(np.uint32)
        return _Samples(values, None, nodata, _tag(image, PHOTOMETRIC) == 0)
    if raw in ("RGB;16", "RGBA;16", "LA;16") and "transparency" not in image.info:
        return _of_channels(_both_bytes(image, stream, raw), raw != "RGB;16", nodata)
    if image.mode == "L" and _tag(image, SAMPLE_FORMAT) == 2:
        return _Samples(np.asarray(image).view(np.int8), None, nodata)
    if nodata is not None and image.mode in ("L", "RGB"):
        return _Samples(np.asarray(image), None, nodata)
    return None


def _of_channels(
    values: np.ndarray, has_alpha: bool, nodata: float | None, inverted: bool = False
) -> _Samples:
    """Part the alpha of (H, W, C) values from their colors."""
    alpha = None
    if has_alpha:
        alpha, values = _alpha_to_bytes(values[..., -1]), values[..., :-1]
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    return _Samples(values, alpha, nodata, inverted)


def _raw_mode(args: Any) -> str:
    """Return how a file holds pixels of 16 bits, but for the order of bytes, such as "RGB;16"."""
    raw = args[0] if args and not isinstance(args, str) else args
    return raw[:-1] if isinstance(raw, str) and raw[-3:-1] == "16" else ""


def _with_args(tile: Any, args: Any) -> Any:
    """Return a tile, which older Pillows have as a plain tuple, with other arguments."""
    changed = (*tile[:3], args)
    return changed if type(tile) is tuple else type(tile)(*changed)


def _both_bytes(image: Any, stream: BinaryIO, raw: str) -> np.ndarray:
    """Return 16-bit colors, of which Pillow keeps the upper byte: ask it for the lower too."""
    stream.seek(0)
    again: Any
    with Image.open(stream, formats=(image.format,)) as again:
        again.tile = [_with_args(tile, _swapped(tile[3], raw)) for tile in again.tile]
        again.load()
        if raw == "LA;16":
            both = np.asarray(again)
            return both[..., ::2] * np.uint16(256) + both[..., 1::2]
        values = np.empty((image.height, image.width, len(image.getbands())), np.uint16)
        for top in range(0, image.height, _ROWS):
            # Arrays of all rows would take as much again as both images.
            box = (0, top, image.width, min(top + _ROWS, image.height))
            upper, lower = (np.asarray(each.crop(box)) for each in (image, again))
            values[top : top + _ROWS] = upper * np.uint16(256) + lower
        return values


def _swapped(args: Any, raw: str) -> Any:
    if not isinstance(args, str):
        return (_swapped(args[0], raw), *args[1:])
    # Gray and alpha have no name with the bytes swapped, but are as wide as four bytes.
    return "RGBA" if raw == "LA;16" else args[:-1] + _OTHER_BYTE[args[-1]]
