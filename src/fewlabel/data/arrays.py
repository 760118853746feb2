"""Any array of images to uint8 pixels of shape ``(n, H, W, 1 or 3)``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fewlabel.data.array_labels import _truth_of
from fewlabel.data.imageset import ImageSet
from fewlabel.data.modes import _white_level_of
from fewlabel.data.stores import _ArrayStore
from fewlabel.errors import DataError

_BLOCK = 4096


def image_set_from_array(
    X: np.ndarray,
    y: Sequence | np.ndarray | None = None,
    *,
    classes: Sequence[str] | None = None,
    source: str = "the array",
    white: int | None = None,
) -> ImageSet:
    """Make an image set of pixels in memory.

    Parameters
    ----------
    X : ndarray of shape (n, H, W) or (n, H, W, C)
        Pixels, C being 1, 3 or 4 (alpha is laid on white). Booleans become 0 and 255.
        Integers up to 255 are kept. Larger ones, up to 65,535, are divided so that the
        largest value of 10, 12, 14 or 16 bits, the smallest that holds them all, becomes
        255. Floats are taken as [0, 1] if all lie there, else as [0, 255].
    y : sequence of shape (n,) or (n, K), optional
        Labels: strings or numbers. Blank, None, NaN, pandas.NA and -1 are unlabeled. One column,
        (n, 1), is one label an image. Or several labels an image: a table of 1 (present),
        0 (absent) and -1 (not known).
    classes : sequence of str, optional
        Names of the K columns of such a table; by default their numbers.
    source : str
        What to call the array in messages.
    white : int, optional
        Integer that becomes 255, instead of what fits the largest value.

    Returns
    -------
    ImageSet
        The images, named by their index.

    Raises
    ------
    DataError
        If the shape or the values are not those of images.

    Examples
    --------
    >>> images = image_set_from_array(np.ones((3, 4, 5)), y=["cat", "", "dog"])
    >>> images.native_shape, list(images.truth), int(images.read([0]).max())
    ((4, 5, 1), ['cat', '', 'dog'], 255)
    """
    pixels, white = _to_uint8(_with_channels(np.asarray(X), source), source, white)
    if pixels.shape[3] == 4:
        pixels = _on_white(pixels)
    truth, named = (None, None) if y is None else _truth_of(y, classes, len(pixels), source)
    return ImageSet(
        _ArrayStore(pixels, white),
        names=[str(i) for i in range(len(pixels))],
        source=source,
        by_index=True,
        truth=truth,
        truth_classes=named,
    )


def _with_channels(X: np.ndarray, source: str) -> np.ndarray:
    if X.dtype == object or X.dtype.kind not in "buif":
        raise DataError(f"{source} must hold numbers. Got dtype {X.dtype}.")
    if X.ndim == 3:
        X = X[..., None]
    if X.ndim == 2:
        raise DataError(
            f"{source} must have shape (n, H, W) or (n, H, W, C). Got {X.shape}: "
            "give the images their height and width with X.reshape(-1, H, W)."
        )
    if X.ndim != 4 or X.shape[3] not in (1, 3, 4):
        # The order of PyTorch.
        first = X.ndim == 4 and X.shape[1] in (1, 3, 4)
        hint = ": put the channels last with X.transpose(0, 2, 3, 1)" if first else ""
        raise DataError(
            f"{source} must have shape (n, H, W) or (n, H, W, C) with C 1, 3 or 4. "
            f"Got {X.shape}{hint}."
        )
    if X.size == 0:
        raise DataError(f"{source} holds no images: its shape is {X.shape}.")
    return X


def _blocks(X: np.ndarray) -> Iterator[slice]:
    for start in range(0, len(X), _BLOCK):
        yield slice(start, start + _BLOCK)


def _to_uint8(X: np.ndarray, source: str, white: int | None) -> tuple[np.ndarray, int]:
    """Convert block by block, so that no float copy of the whole is made."""
    if X.dtype == np.uint8:
        return np.ascontiguousarray(X), 255
    if X.dtype == bool:
        return X.astype(np.uint8) * np.uint8(255), 255
    low, high = _range(X, source)
    integer = X.dtype.kind in "ui"
    top = 65535 if integer else 255
    if low < 0 or high > top:
        raise DataError(
            f"{source} must hold values from 0 to {top}"
            f"{'' if integer else ', or from 0 to 1'}. Got {low:g} to {high:g}: scale them first."
        )
    if not integer:
        white = 1 if high <= 1 else 255
    elif white is None:
        white = _white_level_of(int(high))
    out = np.empty(X.shape, dtype=np.uint8)
    for where in _blocks(X):
        # float32 holds every 16-bit value, at half the memory.
        scaled = X[where].astype(np.float32) * np.float32(255.0 / white)
        out[where] = np.clip(np.rint(scaled), 0, 255)
    return out, white if integer else 255


def _range(X: np.ndarray, source: str) -> tuple[float, float]:
    low, high = np.inf, -np.inf
    for where in _blocks(X):
        block = X[where]
        if X.dtype.kind == "f":
            bad = ~np.isfinite(block).reshape(len(block), -1).all(axis=1)
            if bad.any():
                raise DataError(
                    f"{source} holds NaN or infinite pixels, first in image "
                    f"{where.start + int(bad.argmax())}: leave those images out or repair them."
                )
        low, high = min(low, float(block.min())), max(high, float(block.max()))
    return low, high


def _on_white(pixels: np.ndarray) -> np.ndarray:
    out = np.empty((*pixels.shape[:3], 3), dtype=np.uint8)
    for where in _blocks(pixels):
        color = pixels[where, ..., :3].astype(np.uint16)
        alpha = pixels[where, ..., 3:].astype(np.uint16)
        out[where] = (color * alpha + 255 * (255 - alpha) + 127) // 255
    return out
