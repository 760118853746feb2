"""Where the pixels of an ``ImageSet`` come from: an array in memory, or files."""

import copy
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fewlabel.data.decode import _decode_file, _FileInfo, _has_changed, _quiet_pillow, _Source
from fewlabel.data.modes import UnreadableImageError, _resize_cover
from fewlabel.data.parallel import _parallel_map
from fewlabel.data.scale import GROUNDS, PixelScale, _find_ground, _find_scale
from fewlabel.errors import DataError
from fewlabel.reading import _release_mapped

# What torch holds while it resizes is several times as large as the images.
_RESIZED_AT_ONCE = 1_024
# Levels that an image of one color may span: compressing it leaves traces.
_FLAT = 2


class _ArrayStore:
    """Images that are a uint8 array of shape (n, H, W, 1 or 3) in memory."""

    def __init__(self, pixels: np.ndarray, scale: PixelScale | None = None) -> None:
        self.pixels = pixels
        # What the pixels were converted with.
        self.scale = scale or PixelScale()

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def is_gray(self) -> bool:
        """Whether the array has one channel."""
        return self.pixels.shape[3] == 1

    def common_size(self, rows: np.ndarray) -> tuple[int, int] | None:
        """Height and width that some images share."""
        return self.pixels.shape[1], self.pixels.shape[2]

    def take(self, rows: np.ndarray) -> "_ArrayStore":
        """Take some images, as a store of their own."""
        return _ArrayStore(self._pixels_of(rows), self.scale)

    def path(self, row: int) -> None:
        """No file: the images are in memory."""

    def is_flat(self, rows: np.ndarray) -> np.ndarray:
        """Whether each of some images is of one color."""
        flat = np.empty(len(rows), bool)
        for start in range(0, len(rows), _RESIZED_AT_ONCE):
            part = self._pixels_of(rows[start : start + _RESIZED_AT_ONCE])
            span = part.max(axis=(1, 2)) - part.min(axis=(1, 2))
            flat[start : start + _RESIZED_AT_ONCE] = span.max(axis=1) <= _FLAT
        return flat

    def digests(self, rows: np.ndarray) -> Iterator[bytes]:
        """Hash the pixels of some images."""
        for start in range(0, len(rows), _RESIZED_AT_ONCE):
            for pixels in self._pixels_of(rows[start : start + _RESIZED_AT_ONCE]):
                yield hashlib.blake2b(pixels.tobytes(), digest_size=16).digest()

    def read(self, rows: np.ndarray, size: tuple[int, int], channels: int) -> np.ndarray:
        """Pixels of some images at a size, (b, H, W, channels) uint8."""
        chosen = self._pixels_of(rows)
        if chosen.shape[1:3] != tuple(size):
            chosen = _resize_arrays(chosen, size)
        if channels == chosen.shape[3]:
            return chosen
        return np.repeat(chosen, 3, axis=3) if channels == 3 else _luma(chosen)

    def _pixels_of(self, rows: np.ndarray) -> np.ndarray:
        chosen = self.pixels[rows]
        _release_mapped(self.pixels)
        return chosen


class _FileStore:
    """Images that are files, known to be readable, and decoded when they are read."""

    def __init__(
        self,
        sources: Sequence[_Source],
        infos: Sequence[_FileInfo],
        names: Sequence[str],
        scale: PixelScale | None = None,
    ) -> None:
        self._sources = list(sources)
        self._names = list(names)
        # Arrays and not objects: of a million files they take eight megabytes.
        self._sizes = np.array([(i.height, i.width) for i in infos], np.int32).reshape(-1, 2)
        self._digests = [info.digest for info in infos]
        self._stamps = np.array([info.stamp for info in infos], np.int64)
        self.is_gray = all(info.is_gray for info in infos)
        seen_through = [info.spans for info in infos if len(info.spans) > 1]
        ground = _find_ground(np.array(seen_through).reshape(-1, len(GROUNDS)))
        measured = [info.measured for info in infos if info.measured is not None]
        self.scale = _find_scale(measured, ground=ground, given=scale)
        self._flat = np.array([_is_flat(info, self.scale) for info in infos], bool)

    def __len__(self) -> int:
        return len(self._sources)

    def common_size(self, rows: np.ndarray) -> tuple[int, int] | None:
        """Height and width that some images share, or None if they differ."""
        sizes = self._sizes[rows]
        if len(sizes) == 0 or (sizes != sizes[0]).any():
            return None
        return int(sizes[0, 0]), int(sizes[0, 1])

    def take(self, rows: np.ndarray) -> "_FileStore":
        """Take some images, as a store of their own that reads them as this one does."""
        part = copy.copy(self)
        part._sources = [self._sources[row] for row in rows]
        part._names = [self._names[row] for row in rows]
        part._digests = [self._digests[row] for row in rows]
        part._sizes, part._stamps, part._flat = (
            held[rows] for held in (self._sizes, self._stamps, self._flat)
        )
        return part

    def path(self, row: int) -> Path | None:
        """File of one image; None where it is not on this machine."""
        source = self._sources[row]
        return source if isinstance(source, Path) else None

    def is_flat(self, rows: np.ndarray) -> np.ndarray:
        """Whether each of some images is of one color."""
        return self._flat[rows]

    def digests(self, rows: np.ndarray) -> Iterator[bytes]:
        """Hashes of the bytes of some files."""
        for row in rows:
            yield self._digests[row]

    def read(self, rows: np.ndarray, size: tuple[int, int], channels: int) -> np.ndarray:
        """Pixels of some images at a size, (b, H, W, channels) uint8, decoded in threads."""
        out = np.empty((len(rows), *size, channels), dtype=np.uint8)

        def decode_into(position: int) -> None:
            row = int(rows[position])
            try:
                source = _fetched(self._sources[row])
                out[position] = _decode_file(source, size=size, channels=channels, scale=self.scale)
                # Looked at afterwards: it may have been written to meanwhile.
                if _has_changed(source, int(self._stamps[row]), self._digests[row]):
                    raise DataError(
                        f"{self._names[row]} has changed since the work began, and its label may "
                        "belong to what it showed then: put the file back, or start again."
                    )
            except (UnreadableImageError, OSError) as error:
                raise DataError(
                    f"{self._names[row]} could be read when the work began, but not now "
                    f"({error}): put the file back, or start again without it."
                ) from error

        with _quiet_pillow():
            _parallel_map(decode_into, range(len(rows)))
        return out


class _UnseenStore:
    """Files that nobody has looked at: whoever reads them finds out which can be read."""

    def __init__(self, sources: Sequence[_Source]) -> None:
        self.sources = list(sources)

    def __len__(self) -> int:
        return len(self.sources)


def _fetched(source: _Source) -> Path | bytes:
    """Return the content of a file that is elsewhere; one on this machine is opened when read."""
    return source if isinstance(source, Path | bytes) else source.read()


def _is_flat(info: _FileInfo, scale: PixelScale) -> bool:
    if info.measured is not None and not info.spans:
        kind, low, high, *_ = info.measured
        return scale._level(kind, high) - scale._level(kind, low) <= _FLAT
    where = GROUNDS.index(scale.ground) if scale.ground in GROUNDS else 0
    return info.spans[where if len(info.spans) > 1 else 0] <= _FLAT


def _resize_arrays(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale (n, h, w, C) images so that they cover a size, and crop their center."""
    n, height, width, channels = pixels.shape
    out = np.empty((n, *size, channels), dtype=np.uint8)
    if height * size[1] != width * size[0]:
        # A crop begins and ends within pixels, which Pillow can do and torch cannot.
        for image, resized in zip(pixels, out, strict=True):
            whole = Image.fromarray(image[..., 0] if channels == 1 else image)
            resized[:] = np.asarray(_resize_cover(whole, size)).reshape(resized.shape)
        return out
    # As Pillow's, up to rounding, and several times faster than a call an image. Imported late:
    # listing and labeling images should not wait for torch.
    import torch

    for start in range(0, n, _RESIZED_AT_ONCE):
        block = torch.from_numpy(pixels[start : start + _RESIZED_AT_ONCE]).permute(0, 3, 1, 2)
        scaled = torch.nn.functional.interpolate(block, size, mode="bicubic", antialias=True)
        out[start : start + _RESIZED_AT_ONCE] = scaled.permute(0, 2, 3, 1).numpy()
    return out


def _luma(pixels: np.ndarray) -> np.ndarray:
    """Turn RGB to gray, (..., 3) to (..., 1) uint8, with Pillow's weights (ITU-R 601-2)."""
    weighted = pixels.astype(np.uint32) @ np.array([19595, 38470, 7471], np.uint32)
    return ((weighted + 0x8000) >> 16).astype(np.uint8)[..., None]
