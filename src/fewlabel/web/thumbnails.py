"""Images as a page shows them: scaled on demand, and kept on disk within a bound."""

import contextlib
import io
import threading
from pathlib import Path

import numpy as np
from PIL import Image

from fewlabel.data import ImageSet, cache_folder
from fewlabel.errors import StorageError
from fewlabel.files import _make_room, atomic_file

SIDES = {"thumb": 320, "full": 2048}
"""Longest side of each kind, in pixels; smaller images keep their size."""

MAX_BYTES = 500_000_000
"""Size of the cache on disk, at most; what was made longest ago goes first."""

# Up to this side the page enlarges an image: as a JPEG, its blocks would be taken for the image.
_TINY_SIDE = 64
_QUALITY = {"thumb": 82, "full": 90}
_AT_ONCE = 4
_FREED = 0.2


class _Thumbnails:
    """Scaled images by their row, encoded as PNG or JPEG."""

    def __init__(
        self, images: ImageSet, folder: Path | None = None, max_bytes: int = MAX_BYTES
    ) -> None:
        self.images, self.max_bytes = images, max_bytes
        self.folder = cache_folder() / "thumbnails" if folder is None else folder
        self._turn = threading.BoundedSemaphore(_AT_ONCE)
        self._lock = threading.Lock()
        self._n_bytes: int | None = None

    def get(self, image: int, kind: str) -> tuple[bytes, str]:
        """Return one image, encoded, and its media type."""
        one = self.images.subset([image])
        height, width = (one.native_shape or (1, 1, 3))[:2]
        if max(height, width) <= _TINY_SIDE:
            return _encoded(one.read([0])[0], "PNG"), "image/png"
        file = self.folder / f"{one.digest()}-{SIDES[kind]}.jpg"
        data = _kept(file)
        if data is None:
            factor = min(1.0, SIDES[kind] / max(height, width))
            size = max(1, round(height * factor)), max(1, round(width * factor))
            with self._turn:
                pixels = one.read([0], size=size)[0]
            data = _encoded(pixels, "JPEG", quality=_QUALITY[kind])
            self._keep(file, data)
        return data, "image/jpeg"

    def _keep(self, file: Path, data: bytes) -> None:
        """Write a file; a disk that is full costs nothing but the time to scale it again."""
        with contextlib.suppress(OSError, StorageError), self._lock:
            if self._n_bytes is None:
                self._n_bytes = _make_room(self.folder, "*.jpg", self.max_bytes)
            if self._n_bytes + len(data) > self.max_bytes:
                # Some more, so that not every new one has to.
                kept = int(self.max_bytes * (1 - _FREED))
                self._n_bytes = _make_room(self.folder, "*.jpg", kept)
            with atomic_file(file, durable=False) as temporary:
                temporary.write_bytes(data)
            self._n_bytes += len(data)


def _kept(file: Path) -> bytes | None:
    """Return what is in the cache, if it is whole."""
    try:
        data = file.read_bytes()
    except OSError:
        return None
    return data if data.endswith(b"\xff\xd9") else None


def _encoded(pixels: np.ndarray, kind: str, **options: int) -> bytes:
    """Encode an image (H, W, 1 or 3), uint8."""
    buffer = io.BytesIO()
    flat = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    Image.fromarray(np.ascontiguousarray(flat)).save(buffer, kind, **options)
    return buffer.getvalue()
