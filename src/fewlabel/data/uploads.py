"""Images that come as bytes, one by one, and are read as a model wants them."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeAlias

import numpy as np

from fewlabel.data.decode import _decode_file
from fewlabel.data.imageset import ImageSet
from fewlabel.data.scale import PixelScale
from fewlabel.data.stores import _ArrayStore

Form: TypeAlias = tuple[tuple[int, int], int]
"""Height and width that images are read at, and channels."""

Upload: TypeAlias = dict[Form, np.ndarray]
"""Pixels of one image, (H, W, channels) uint8, in every form that is asked for."""

_TRIAL_SIDE = 32


def _decode_upload(
    data: bytes, forms: Collection[Form], scale: PixelScale, max_pixels: int
) -> Upload:
    """Decode an image as `load_images` would if it were the only one."""
    return {
        form: _decode_file(
            data, size=form[0], channels=form[1], scale=scale, alone=True, max_pixels=max_pixels
        )
        for form in forms
    }


def _uploaded_images(uploads: Sequence[Upload]) -> ImageSet:
    """Return an image set of decoded images."""
    return _image_set(_UploadStore(uploads))


def _forms_read(read: Callable[[ImageSet], Any]) -> frozenset[Form]:
    """Return the forms in which something reads images, which it shows on one of noise."""
    noise = np.random.default_rng(0).integers(0, 256, (1, _TRIAL_SIDE, _TRIAL_SIDE, 3), np.uint8)
    store = _TrialStore(noise)
    read(_image_set(store))
    return frozenset(store.forms)


def _image_set(store: _ArrayStore) -> ImageSet:
    names = [str(number) for number in range(len(store))]
    return ImageSet(store, names=names, source="the upload", by_index=True)


class _UploadStore(_ArrayStore):
    """Images that are decoded already, in every form that will be asked for."""

    def __init__(self, uploads: Sequence[Upload]) -> None:
        self.uploads, self.scale = uploads, PixelScale()

    def __len__(self) -> int:
        return len(self.uploads)

    def read(self, rows: np.ndarray, size: tuple[int, int], channels: int) -> np.ndarray:
        """Pixels of some images at a size, (b, H, W, channels) uint8."""
        return np.stack([self.uploads[row][tuple(size), channels] for row in rows.tolist()])


class _TrialStore(_ArrayStore):
    """Images in memory that notes in which forms they are read."""

    def __init__(self, pixels: np.ndarray) -> None:
        super().__init__(pixels)
        self.forms: set[Form] = set()

    def read(self, rows: np.ndarray, size: tuple[int, int], channels: int) -> np.ndarray:
        """Pixels of some images at a size, (b, H, W, channels) uint8."""
        self.forms.add(((size[0], size[1]), channels))
        return super().read(rows, size, channels)
