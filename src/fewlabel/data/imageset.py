"""``ImageSet``: the images of one source, read in blocks and never all decoded at once."""

import copy
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from fewlabel.data.scale import PixelScale
from fewlabel.data.stores import _ArrayStore, _FileStore, _UnseenStore
from fewlabel.errors import DataError


@dataclass(frozen=True)
class Skipped:
    """A file that was set aside, and why.

    Parameters
    ----------
    path : str
        Name as it would stand in ``ImageSet.names``.
    reason : str
        Why it cannot be used.
    """

    path: str
    reason: str


class ImageSet:
    """The images of one source: their names, and their pixels on demand.

    Made by ``load_images``, or by ``image_set_from_array`` for pixels in memory.

    Attributes
    ----------
    names : tuple of str
        One name an image: paths, or ``"0"``, ``"1"``, … for arrays.
    by_index : bool
        Whether label tables say ``index,label`` instead of ``path,label``.
    source : str
        What the user gave, for messages.
    skipped : tuple of Skipped
        Files that were set aside.
    truth : ndarray of object, shape (n,), or None
        Labels that the source carries, ``""`` where blank.
    truth_classes : tuple of str or None
        Names of all labels, where the source says them and an image may have several.
    truth_notes : tuple of str
        What to know of the labels before they are used; where there are none, why.
    given_groups : tuple of str
        What each image belongs to, such as a patient or a place, as the column `group` of a
        manifest says; ``""`` where it stands alone. Empty where there is no such column.

    Examples
    --------
    >>> from fewlabel.data import load_images
    >>> images = load_images("digits", split="test")
    >>> len(images), images.native_shape, images.truth[0]
    (500, (8, 8, 1), '1')
    >>> images.read([0, 1], size=(16, 16), channels=3).shape
    (2, 16, 16, 3)
    """

    def __init__(
        self,
        store: _ArrayStore | _FileStore | _UnseenStore,
        *,
        names: Sequence[str],
        source: str,
        by_index: bool,
        skipped: Sequence[Skipped] = (),
        truth: Sequence[str] | np.ndarray | None = None,
        truth_classes: Sequence[str] | None = None,
        rows: np.ndarray | None = None,
    ) -> None:
        self._store: Any = store
        self._rows = np.arange(len(store)) if rows is None else np.asarray(rows, dtype=np.int64)
        self.names = tuple(names)
        self.source = source
        self.by_index = by_index
        self.skipped = tuple(skipped)
        self.truth = None if truth is None else _object_array(truth)
        self.truth_classes = None if truth_classes is None else tuple(truth_classes)
        self.truth_notes: tuple[str, ...] = ()
        self.given_groups: tuple[str, ...] = ()
        self._groups: np.ndarray | None = None
        if len(self.names) != len(self._rows):
            raise ValueError(f"{len(self.names)} names were given for {len(self._rows)} images.")

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def shape(self) -> tuple[int]:
        """How many images there are, as scikit-learn asks for it."""
        return (len(self),)

    def __getitem__(self, rows: Any) -> Self:
        """Take some of the images as `subset` does, for scikit-learn's cross-validation."""
        # It asks as of an array: with an ellipsis for the other axes.
        rows = rows[0] if isinstance(rows, tuple) else rows
        return self.subset(np.atleast_1d(np.arange(len(self))[rows]))

    def __repr__(self) -> str:
        return f"<ImageSet of {len(self):,} images from {self.source}>"

    @property
    def is_gray(self) -> bool:
        """Whether all images of the source are gray; a subset answers as the whole does."""
        return self._store.is_gray

    @property
    def native_shape(self) -> tuple[int, int, int] | None:
        """Height, width and channels (1 or 3) if all images share them, else None."""
        size = self._store.common_size(self._rows)
        return None if size is None else (*size, 1 if self.is_gray else 3)

    @property
    def scale(self) -> PixelScale:
        """Which pixel values become 0 and 255; give it to ``load_images`` to read others alike."""
        return self._store.scale

    def path(self, index: int) -> Path | None:
        """Return the file of one image.

        Parameters
        ----------
        index : int
            Position in this set.

        Returns
        -------
        Path or None
            The file; None for images that come from an array.
        """
        return self._store.path(int(self._rows[index]))

    def read(
        self,
        indices: Sequence[int] | np.ndarray | slice,
        *,
        size: tuple[int, int] | None = None,
        channels: int | None = None,
    ) -> np.ndarray:
        """Decode some images.

        Parameters
        ----------
        indices : sequence of int, ndarray or slice
            Which images.
        size : (int, int), optional
            Height and width. Each image is scaled until it covers them, keeping its aspect,
            and its center is cropped. By default the native size.
        channels : {1, 3}, optional
            Gray or RGB; by default RGB, or gray if the whole source is gray.

        Returns
        -------
        ndarray of shape (b, H, W, channels), dtype uint8
            Pixels.

        Raises
        ------
        DataError
            If no size is given and the images differ in size, or if a file cannot be read
            any more.
        """
        rows = self._rows[indices if isinstance(indices, slice) else np.asarray(indices, int)]
        if channels not in (None, 1, 3):
            raise DataError(f"The parameter channels must be 1, 3 or None. Got {channels!r}.")
        target = self._store.common_size(self._rows) if size is None else size
        if target is None:
            raise DataError(
                f"The images of {self.source} differ in size: give a size to read them at."
            )
        if min(target) < 1:
            raise DataError(f"The parameter size must be two positive integers. Got {size!r}.")
        return self._store.read(rows, target, channels or (1 if self.is_gray else 3))

    def blocks(
        self,
        block_size: int = 512,
        *,
        size: tuple[int, int] | None = None,
        channels: int | None = None,
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Decode all images, some at a time.

        Parameters
        ----------
        block_size : int
            Images in a block.
        size : (int, int), optional
            As in ``read``.
        channels : {1, 3}, optional
            As in ``read``.

        Yields
        ------
        where : slice
            Which images the block holds.
        pixels : ndarray of shape (b, H, W, channels), dtype uint8
            Their pixels.
        """
        for start in range(0, len(self), block_size):
            where = slice(start, min(start + block_size, len(self)))
            yield where, self.read(where, size=size, channels=channels)

    def content_groups(self) -> np.ndarray:
        """Return the number of each image's content: exact duplicates share one.

        Files are compared by their bytes, arrays by their pixels.

        Returns
        -------
        ndarray of shape (n,), dtype int64
            Group of each image, numbered from 0 in order of first appearance.
        """
        if self._groups is None:
            numbers: dict[bytes, int] = {}
            self._groups = np.fromiter(
                (numbers.setdefault(d, len(numbers)) for d in self._store.digests(self._rows)),
                dtype=np.int64,
                count=len(self),
            )
        # What a caller changes must not reach the next one.
        return self._groups.copy()

    def content_digests(self) -> list[str]:
        """Return a fingerprint of each image's content, the same in every set that holds it.

        Returns
        -------
        list of str
            Hexadecimal digits, compared as in `content_groups`.
        """
        return [digest.hex() for digest in self._store.digests(self._rows)]

    def _alone(self) -> Self:
        """Return this set without what its source holds beside it, to be sent elsewhere."""
        if len(self._rows) == len(self._store):
            return self
        alone = copy.copy(self)
        alone._store, alone._rows = self._store.take(self._rows), np.arange(len(self))
        return alone

    def _is_flat(self) -> np.ndarray:
        """Return whether each image is of one color and so shows nothing."""
        return self._store.is_flat(self._rows)

    def digest(self) -> str:
        """Fingerprint of all that the pixels depend on, in order; names are not part of it.

        Returns
        -------
        str
            Hexadecimal digits.
        """
        state = hashlib.blake2b(digest_size=16)
        # How files are decoded depends on what the whole source holds.
        state.update(f"{self.is_gray} {self.scale} {self.native_shape}".encode())
        for content in self._store.digests(self._rows):
            state.update(content)
        return state.hexdigest()

    def subset(self, indices: Sequence[int] | np.ndarray) -> Self:
        """Take some of the images, as a set that keeps their names.

        Parameters
        ----------
        indices : sequence of int or ndarray
            Which images, in which order.

        Returns
        -------
        ImageSet
            The subset; it decodes nothing.
        """
        chosen = np.asarray(indices, dtype=np.int64)
        taken = type(self)(
            self._store,
            names=[self.names[i] for i in chosen],
            source=self.source,
            by_index=self.by_index,
            skipped=self.skipped,
            truth=None if self.truth is None else self.truth[chosen],
            truth_classes=self.truth_classes,
            rows=self._rows[chosen],
        )
        taken.truth_notes = self.truth_notes
        if self.given_groups:
            taken.given_groups = tuple(self.given_groups[i] for i in chosen)
        return taken


def _object_array(values: Sequence[str] | np.ndarray) -> np.ndarray:
    out = np.empty(len(values), dtype=object)
    out[:] = [str(value) for value in values]
    return out
