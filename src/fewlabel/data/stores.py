"""Where the pixels of an ``ImageSet`` come from: an array in memory, or files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from fewlabel.data.decode import (
    FileInfo,
    decode_file,
    quiet_pillow,
)
from fewlabel.data.modes import UnreadableImageError, white_level
from fewlabel.data.parallel import parallel_map
from fewlabel.data.resample import resize_arrays
from fewlabel.errors import DataError


class ArrayStore:
    """Images that are an array in memory.

    Parameters
    ----------
    pixels : ndarray of shape (n, H, W, C), dtype uint8
        Images, with C 1 or 3.
    white : int
        Value that became 255 when 16-bit pixels were converted.

    Examples
    --------
    >>> store = ArrayStore(np.zeros((2, 8, 8, 1), np.uint8))
    >>> store.read(np.array([1]), (4, 4), 3).shape
    (1, 4, 4, 3)
    """

    def __init__(self, pixels: np.ndarray, white: int = 255) -> None:
        self.pixels = pixels
        self.white = white

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def is_grey(self) -> bool:
        """Whether the array has one channel."""
        return self.pixels.shape[3] == 1

    def common_size(self, rows: np.ndarray) -> tuple[int, int] | None:
        """Give the size that some images share.

        Parameters
        ----------
        rows : ndarray of int
            Which images.

        Returns
        -------
        (int, int)
            Height and width.
        """
        return self.pixels.shape[1], self.pixels.shape[2]

    def path(self, row: int) -> None:
        """Give no file: the images are in memory.

        Parameters
        ----------
        row : int
            Which image.
        """

    def digests(self, rows: np.ndarray) -> Iterator[bytes]:
        """Hash the pixels of some images.

        Parameters
        ----------
        rows : ndarray of int
            Which images.

        Yields
        ------
        bytes
            A digest an image.
        """
        for row in rows:
            yield hashlib.blake2b(self.pixels[row].tobytes(), digest_size=16).digest()

    def read(self, rows: np.ndarray, size: tuple[int, int], channels: int) -> np.ndarray:
        """Give the pixels of some images.

        Parameters
        ----------
        rows : ndarray of int
            Which images.
        size : (int, int)
            Height and width.
        channels : {1, 3}
            Grey or RGB.

        Returns
        -------
        ndarray of shape (b, H, W, channels), dtype uint8
            Pixels.
        """
        chosen = self.pixels[rows]
        if chosen.shape[1:3] != tuple(size):
            chosen = resize_arrays(chosen, size)
        if channels == chosen.shape[3]:
            return chosen
        return np.repeat(chosen, 3, axis=3) if channels == 3 else luma(chosen)


class FileStore:
    """Images that are files, decoded when they are read.

    Parameters
    ----------
    paths : sequence of Path
        Files that are known to be readable.
    infos : sequence of FileInfo
        What ``inspect_file`` found in each.
    names : sequence of str
        Name of each, for messages.
    white : int, optional
        Value of 16-bit pixels that becomes 255; by default what fits the largest value.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        infos: Sequence[FileInfo],
        names: Sequence[str],
        white: int | None = None,
    ) -> None:
        self._paths = list(paths)
        self._names = list(names)
        self._sizes = np.array([(i.height, i.width) for i in infos], np.int32).reshape(-1, 2)
        self._digests = [info.digest for info in infos]
        self.is_grey = all(info.is_grey for info in infos)
        self.white = white or white_level(max((info.peak for info in infos), default=0))

    def __len__(self) -> int:
        return len(self._paths)

    def common_size(self, rows: np.ndarray) -> tuple[int, int] | None:
        """Give the size that some images share.

        Parameters
        ----------
        rows : ndarray of int
            Which images.

        Returns
        -------
        (int, int) or None
            Height and width; None if the images differ.
        """
        sizes = self._sizes[rows]
        if len(sizes) == 0 or (sizes != sizes[0]).any():
            return None
        return int(sizes[0, 0]), int(sizes[0, 1])

    def path(self, row: int) -> Path:
        """Give the file of one image.

        Parameters
        ----------
        row : int
            Which image.

        Returns
        -------
        Path
            The file.
        """
        return self._paths[row]

    def digests(self, rows: np.ndarray) -> Iterator[bytes]:
        """Give the hashes of some files.

        Parameters
        ----------
        rows : ndarray of int
            Which images.

        Yields
        ------
        bytes
            A digest an image.
        """
        for row in rows:
            yield self._digests[row]

    def read(self, rows: np.ndarray, size: tuple[int, int], channels: int) -> np.ndarray:
        """Decode some files, in threads.

        Parameters
        ----------
        rows : ndarray of int
            Which images.
        size : (int, int)
            Height and width.
        channels : {1, 3}
            Grey or RGB.

        Returns
        -------
        ndarray of shape (b, H, W, channels), dtype uint8
            Pixels.

        Raises
        ------
        DataError
            If a file has changed or gone since it was first looked at.
        """
        out = np.empty((len(rows), *size, channels), dtype=np.uint8)

        def decode_into(position: int) -> None:
            row = int(rows[position])
            try:
                out[position] = decode_file(
                    self._paths[row], size=size, channels=channels, white=self.white
                )
            except UnreadableImageError as error:
                raise DataError(
                    f"{self._names[row]} could be read when the work began, but not now "
                    f"({error}): put the file back, or start again without it."
                ) from error

        with quiet_pillow():
            parallel_map(decode_into, range(len(rows)))
        return out


def luma(pixels: np.ndarray) -> np.ndarray:
    """Turn RGB to grey with the weights that Pillow uses (ITU-R 601-2).

    Parameters
    ----------
    pixels : ndarray of shape (..., 3), dtype uint8
        RGB.

    Returns
    -------
    ndarray of shape (..., 1), dtype uint8
        Grey.

    Examples
    --------
    >>> luma(np.array([[255, 0, 0]], np.uint8))
    array([[76]], dtype=uint8)
    """
    weighted = pixels.astype(np.uint32) @ np.array([19595, 38470, 7471], np.uint32)
    return ((weighted + 0x8000) >> 16).astype(np.uint8)[..., None]
