"""One image file to uint8 pixels: every mode Pillow knows, bounded in memory."""

import contextlib
import hashlib
import math
import os
import re
import struct
import threading
import warnings
from collections.abc import Iterator
from functools import cache
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol, TypeAlias

import numpy as np
from PIL import Image, UnidentifiedImageError

from fewlabel.data.modes import (
    UnreadableImageError,
    _has_equal_channels,
    _on_ground,
    _resize_cover,
    _standard_mode,
    _varies_in_alpha,
    _widest_span,
)
from fewlabel.data.samples import _load_samples, _Samples
from fewlabel.data.scale import GROUNDS, MAX_SAMPLE, PixelScale, _find_scale, _Measured
from fewlabel.data.tiff import _misread, _open_tiff
from fewlabel.reading import _open_regular

MAX_PIXELS = 100_000_000
"""Images whose header promises more pixels are refused without being decoded."""

MAX_FILE_BYTES = 1 << 30
"""Files larger than this (1 GiB) are refused without being read."""

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".bmp", ".dib", ".tif", ".tiff"}
    | {".webp", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".avif"}
)
"""Suffixes of the files that are taken for images, in lower case."""

FOREIGN_SUFFIXES = frozenset(
    {".heic", ".heif", ".hif", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2", ".raf"}
    | {".psd", ".svg", ".jxl"}
)
"""Suffixes of images that Pillow cannot read: set aside with a reason, not overlooked."""

# Not EPS, which Pillow hands to Ghostscript, and none in which nobody keeps photos.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF")
# Above this many pixels one image is decoded at a time, so that memory does not grow with
# the number of threads.
_LARGE = 12_000_000
_large_image = threading.Lock()
_ORIENTATION_TAG = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_QUARTER_TURNS = (5, 6, 7, 8)


class _Elsewhere(Protocol):
    """A file that is not on this machine: its content is fetched when it is read."""

    def read(self) -> bytes:
        """Return the content."""


_Source: TypeAlias = Path | bytes | _Elsewhere


class _FileInfo(NamedTuple):
    """What the first look at an image file found."""

    height: int
    width: int
    is_gray: bool
    digest: bytes
    stamp: int
    # None where the image has plain 8 bits.
    measured: _Measured | None
    # Widest span of a channel on each of `GROUNDS`; one number where none shows through.
    spans: tuple[int, ...]


@contextlib.contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Silence Pillow's warnings: what they warn of is checked here, or harmless."""
    # Filters are shared by all threads, so this goes around a whole batch of files, in the thread
    # that starts it.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\..*")
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


def _inspect_file(source: _Source, n_sampled: int = MAX_SAMPLE) -> _FileInfo:
    """Decode a file once at reduced size, to know that it can be read and what it holds."""
    with _opened(source) as (stream, image):
        # What comes from elsewhere is known by its content alone.
        stamp = _stamp_of(os.fstat(stream.fileno())) if isinstance(source, Path) else 0
        size = image.size
        # Of a JPEG an eighth of the side is decoded, for a fraction of the time.
        reduced = image.draft(None, (64, 64)) is not None
        with _memory_turn(image):
            samples = _load(image, stream)
            measured = None if samples is None else _measured(samples, n_sampled)
            is_gray, spans = _look_of(image, samples, measured)
        # Some plugins turn the image themselves while loading; only then does its size count.
        width, height = size if reduced else image.size
        if _orientation(image) in _QUARTER_TURNS:
            width, height = height, width
        digest = _digest_of(stream)
    return _FileInfo(height, width, is_gray, digest, stamp, measured, spans)


def _measured(samples: _Samples, n_sampled: int = MAX_SAMPLE) -> _Measured:
    measured = samples.measure(n_sampled)
    if measured is None:
        raise UnreadableImageError("all its pixels are NaN, infinite or no data")
    return measured


def _look_of(
    image: Image.Image, samples: _Samples | None, measured: _Measured | None
) -> tuple[bool, tuple[int, ...]]:
    """Return whether an image is gray, and its spans."""
    if samples is None or measured is None:
        standard = _reduced(_standard_mode(image))
        is_gray = _has_equal_channels(standard)
    elif samples.alpha is None:
        # What it spans is known once the whole set has its scale.
        return samples.is_gray, ()
    else:
        standard, is_gray = _reduced(samples.scaled(_find_scale([measured]))), samples.is_gray
    if not _varies_in_alpha(standard):
        return is_gray, (_widest_span(_on_ground(standard)),)
    return is_gray, tuple(_widest_span(_on_ground(standard, ground)) for ground in GROUNDS)


def _has_changed(source: Path | bytes, stamp: int, digest: bytes) -> bool:
    """Return whether a file has another content than when it was looked at."""
    if isinstance(source, bytes):
        return _digest_of(BytesIO(source)) != digest
    # To hash every file a second time would take as long as to decode some of them.
    if _stamp_of(source.stat()) == stamp:
        return False
    with source.open("rb") as stream:
        return _digest_of(stream) != digest


def _digest_of(stream: BufferedReader | BytesIO) -> bytes:
    # Of the bytes: two files of one photo, saved anew, count as two.
    stream.seek(0)
    return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).digest()


def _stamp_of(status: os.stat_result) -> int:
    """Return a number that changes when a file is written, or replaced by another."""
    return hash((status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))


def _decode_file(
    source: _Source,
    *,
    size: tuple[int, int] | None,
    channels: int,
    scale: PixelScale | None = None,
    alone: bool = False,
    max_pixels: int | None = None,
) -> np.ndarray:
    """Read a file, or what one holds, as opaque uint8 pixels, turned by EXIF.

    Of an animation the first frame is taken. What the scale leaves open is found by the image
    itself if it is ``alone``, a set of its own.
    """
    scale = scale or PixelScale()
    with _opened(source, max_pixels) as (stream, image):
        if size is not None:
            # A JPEG is decoded at about twice the size: the last step is left to a better filter.
            side = 2 * max(size)
            image.draft(None, (side, side))
        with _memory_turn(image):
            samples = _load(image, stream)
            if alone and samples is not None:
                scale = _find_scale([_measured(samples)], given=scale)
            standard = _standard_mode(image) if samples is None else samples.scaled(scale)
            turn = _orientation(image)
            if size is not None:
                standard = _resize_cover(standard, size[::-1] if turn in _QUARTER_TURNS else size)
        if turn in _TURNS:
            standard = standard.transpose(_TURNS[turn])
        plain = _on_ground(standard, scale.ground).convert("L" if channels == 1 else "RGB")
        return np.asarray(plain).reshape(plain.height, plain.width, channels)


@cache
def _known_formats() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


@contextlib.contextmanager
def _opened(source: _Source, max_pixels: int | None = None) -> Iterator[tuple]:
    """Open a file and read its header; every failure becomes an UnreadableImageError."""
    max_pixels = MAX_PIXELS if max_pixels is None else max_pixels
    try:
        stream: BinaryIO
        with _stream_of(source) as stream:
            n_bytes = stream.seek(0, os.SEEK_END)
            stream.seek(0)
            if n_bytes == 0:
                raise UnreadableImageError("the file is empty (0 bytes)")
            if n_bytes > MAX_FILE_BYTES:
                raise UnreadableImageError(
                    f"the file has {n_bytes / 1e9:.1f} GB, more than {MAX_FILE_BYTES / 1e9:.1f} GB"
                )
            with _open_image(stream) as image:
                _check_pixels(image.width * image.height, max_pixels)
                yield stream, image
    except UnreadableImageError:
        raise
    except UnidentifiedImageError:
        raise UnreadableImageError("the content is not an image of a known format") from None
    except Image.DecompressionBombError as error:
        found = re.search(r"\((\d+) pixels\)", str(error))
        _check_pixels(int(found[1]) if found else max_pixels + 1, max_pixels)
        raise UnreadableImageError("the image is too large") from error
    except MemoryError:
        raise UnreadableImageError("there is not enough memory to decode it") from None
    except Exception as error:
        # Pillow's plugins raise nearly anything on damaged data: struct.error, zlib.error,
        # IndexError, SyntaxError. One damaged photo must not end the work on the others.
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnreadableImageError(f"it cannot be decoded: {reason}") from error


def _stream_of(source: _Source) -> BinaryIO:
    if isinstance(source, Path):
        return _open_regular(source)
    return BytesIO(source if isinstance(source, bytes) else source.read())


def _open_image(stream: BinaryIO) -> contextlib.AbstractContextManager:
    """Open an image with Pillow, or a TIFF that Pillow cannot read with tifffile."""
    try:
        image = Image.open(stream, formats=_known_formats())
        page = _open_tiff(stream) if _misread(image) else None
    except (UnidentifiedImageError, struct.error):
        page = _open_tiff(stream)
        if page is None:
            raise
    return image if page is None else contextlib.nullcontext(page)


def _check_pixels(pixels: int, max_pixels: int) -> None:
    if pixels > max_pixels:
        raise UnreadableImageError(
            f"the image has {pixels / 1e6:,.0f} megapixels, "
            f"more than the {max_pixels / 1e6:g} that are read"
        )
    if pixels <= 0:
        raise UnreadableImageError("the image has no pixels")


def _memory_turn(image: Image.Image) -> contextlib.AbstractContextManager:
    return _large_image if image.width * image.height > _LARGE else contextlib.nullcontext()


def _reduced(image: Image.Image) -> Image.Image:
    """Shrink a large image: a check of its colors must not need several copies of it."""
    factor = math.ceil(math.sqrt(image.width * image.height / _LARGE))
    return image.reduce(factor) if factor > 1 else image


def _load(image: Image.Image, stream: BinaryIO) -> _Samples | None:
    try:
        return _load_samples(image, stream)
    except OSError as error:
        if "truncated" in str(error) or "broken data stream" in str(error):
            raise UnreadableImageError(f"the file is damaged or truncated ({error})") from error
        raise


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:
        # Damaged EXIF data says nothing about the pixels.
        return 1
