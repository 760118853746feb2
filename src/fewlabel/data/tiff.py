"""TIFF files: their tags, and those that Pillow cannot read, with tifffile."""

import logging
import math
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, TiffImagePlugin

from fewlabel import extras
from fewlabel.data.modes import UnreadableImageError

BITS, PHOTOMETRIC, CHANNELS, PLANAR, SAMPLE_FORMAT, NODATA = 258, 262, 277, 284, 339, 42113
MAX_DECODED_BYTES = 400_000_000
"""Images whose samples take more than this are refused without being decoded by tifffile."""

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_DEFAULTS = {BITS: 1, PLANAR: 1, SAMPLE_FORMAT: 1}
_NUMBERS = {1: "unsigned integers", 2: "signed integers", 3: "floats", 6: "complex numbers"}
_ORIENTATION = 274
# What tifffile logs of a damaged file is the reason it is set aside for, and no line of its own.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


class _TiffPage:
    """The first page of a TIFF that Pillow cannot read, used as an image of Pillow's is."""

    format = "TIFF"

    def __init__(self, stream: BinaryIO, what: str) -> None:
        if not extras.is_installed("tifffile"):
            need = "which needs tifffile: pip install 'fewlabel[tiff]'"
            raise UnreadableImageError(f"{what}, {need}")
        tifffile = extras.require("tifffile", what)
        stream.seek(0)
        # Its own name may be a number, which tifffile takes for a path.
        self._page, self._what = tifffile.TiffFile(stream, name=what).pages[0], what
        self.width, self.height = int(self._page.imagewidth), int(self._page.imagelength)
        self.size = (self.width, self.height)
        self.inverted = int(self._page.photometric) == 0
        n_channels, extra = int(self._page.samplesperpixel), tuple(self._page.extrasamples)
        self.has_alpha = n_channels in (2, 4) and bool(extra) and int(extra[-1]) in (1, 2)
        tags = self._page.tags
        self.nodata = _number(tags[NODATA].value) if NODATA in tags else None
        self._exif = {_ORIENTATION: tags[_ORIENTATION].value} if _ORIENTATION in tags else {}
        self._check(n_channels)

    def _check(self, n_channels: int) -> None:
        page, dtype = self._page, np.dtype(self._page.dtype)
        known = page.axes in ("YX", "YXS", "SYX") and int(page.photometric) <= 2
        n_bytes = math.prod(page.shape) * dtype.itemsize
        if not known or dtype.kind not in "buif":
            kind = getattr(page.photometric, "name", page.photometric)
            raise UnreadableImageError(f"{self._what} ({kind}, {page.axes}), which is not read")
        if n_channels not in (1, 3, 4) and not self.has_alpha:
            raise UnreadableImageError(f"{self._what}, where 1 (gray), 3 (RGB) or 4 are read")
        if n_bytes > MAX_DECODED_BYTES:
            found, most = (f"{n / 1e9:.1f} GB" for n in (n_bytes, MAX_DECODED_BYTES))
            raise UnreadableImageError(f"{self._what} that takes {found}, more than {most}")

    def draft(self, *_: Any) -> None:
        """Decode at full size: there is no smaller one."""

    def getexif(self) -> dict[int, Any]:
        """Return the orientation."""
        return self._exif

    def read(self) -> np.ndarray:
        """Return the samples, (H, W) or (H, W, C)."""
        try:
            values = np.asarray(self._page.asarray(maxworkers=1))
        except ValueError as error:
            raise UnreadableImageError(f"{self._what} that cannot be decoded: {error}") from error
        if self._page.axes == "SYX":
            values = np.moveaxis(values, 0, 2)
        if values.dtype == bool:
            values = values * np.uint8(255)
        return values[..., :3] if values.shape[2:] == (4,) and not self.has_alpha else values


def _open_tiff(stream: BinaryIO) -> _TiffPage | None:
    """Open a TIFF with tifffile; None if the content is no TIFF."""
    stream.seek(0)
    return _TiffPage(stream, _in_words(stream)) if stream.read(4) in _MAGIC else None


def _misread(image: Image.Image) -> bool:
    """Return whether Pillow opens a TIFF and takes its planes for interleaved samples."""
    return image.format == "TIFF" and (
        _tag(image, PLANAR) == 2
        and _tag(image, CHANNELS) != 1
        and (_tag(image, BITS) != 8 or image.mode not in ("RGB", "RGBA", "CMYK", "YCbCr"))
    )


def _tag(image: Any, tag: int) -> Any:
    """Return the first value of a tag of a TIFF, or None for another format."""
    if image.format != "TIFF":
        return None
    value = image.tag_v2.get(tag, _DEFAULTS.get(tag))
    if tag == NODATA:
        return None if value is None else _number(value)
    return value[0] if isinstance(value, tuple) and value else value


def _number(text: Any) -> float | None:
    try:
        return float(str(text).strip(" \0"))
    except ValueError:
        return None


def _in_words(stream: BinaryIO) -> str:
    """Say what the tags of a TIFF promise, as far as Pillow can read them."""
    stream.seek(0)
    header = stream.read(16)
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(header if header[2] == 43 else header[:8])
        stream.seek(tags.next)
        tags.load(stream)
        bits, kind, channels = (tags.get(t, 1) for t in (BITS, SAMPLE_FORMAT, CHANNELS))
        bits, kind = (v[0] if isinstance(v, tuple) else v for v in (bits, kind))
    except Exception:
        # Big-endian files with offsets of 64 bits, and damaged ones.
        return "a TIFF of a rare kind"
    several = f" in {channels} channels" if channels != 1 else ""
    return f"a TIFF of {bits}-bit {_NUMBERS.get(kind, 'samples')}{several}"
