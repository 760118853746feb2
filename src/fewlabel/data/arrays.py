"""Any array of images to uint8 pixels of shape ``(n, H, W, 1 or 3)``."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fewlabel.data.imageset import ImageSet
from fewlabel.data.label_texts import _truth_of
from fewlabel.data.scale import (
    GROUNDS,
    PixelScale,
    _alpha_to_bytes,
    _find_ground,
    _find_scale,
    _measure,
    _missing,
    _row_blocks,
)
from fewlabel.data.stores import _ArrayStore
from fewlabel.errors import DataError

_SAMPLE = 1 << 20


def image_set_from_array(
    X: np.ndarray,
    y: Sequence | np.ndarray | None = None,
    *,
    classes: Sequence[str] | None = None,
    source: str = "the array",
    scale: PixelScale | None = None,
) -> ImageSet:
    """Make an image set of pixels in memory.

    Parameters
    ----------
    X : ndarray of shape (n, H, W) or (n, H, W, C)
        Pixels, C being 1, 3 or 4 (alpha). Booleans become 0 and 255. Integers up to 255 are
        kept. Larger ones, up to 65,535, are divided so that the largest value of 10, 12, 14
        or 16 bits, the smallest that holds them all, becomes 255. Floats are taken as [0, 1]
        if all lie there, else as [0, 255]. Other ranges, and integers that all lie close to each
        other far from 0, are stretched, all images alike. NaN, and what stands for no data,
        such as -9999 far below all else, become 0.
    y : sequence of shape (n,) or (n, K), optional
        Labels: strings or numbers. Blank, None, NaN, pandas.NA and -1 are unlabeled. One column,
        (n, 1), is one label an image. Or several labels an image: a table of 1 (present),
        0 (absent) and -1 (not known).
    classes : sequence of str, optional
        Names of the K columns of such a table; by default their numbers.
    source : str
        What to call the array in messages.
    scale : PixelScale, optional
        Which values become 0 and 255, instead of what suits these.

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
    pixels, found = _to_uint8(_with_channels(np.asarray(X), source), source, scale)
    if pixels.shape[3] == 4:
        found = replace(found, ground=_ground_of(pixels)) if scale is None else found
        pixels = _on_ground(pixels, found.ground)
    truth, named = (None, None) if y is None else _truth_of(y, classes, len(pixels), source)
    return ImageSet(
        _ArrayStore(pixels, found),
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


def _to_uint8(
    X: np.ndarray, source: str, given: PixelScale | None
) -> tuple[np.ndarray, PixelScale]:
    """Convert, and return with what; no float copy of the whole is made."""
    if X.dtype == np.uint8:
        return np.ascontiguousarray(X), given or PixelScale()
    if X.dtype == bool:
        return X.astype(np.uint8) * np.uint8(255), given or PixelScale()
    _check_measured(X, source)
    colors = X[..., :3] if X.shape[3] == 4 else X
    measured = _measure(colors, n_sampled=_SAMPLE)
    scale = _find_scale([measured] if measured else [], given=given)
    if colors is X:
        return scale._apply(X), scale
    return np.concatenate([scale._apply(colors), _alpha_to_bytes(X[..., 3:])], axis=3), scale


def _check_measured(X: np.ndarray, source: str) -> None:
    """Raise if an image holds nothing but NaN."""
    for where in _row_blocks(X):
        missing = _missing(X[where], None)
        empty = missing is not None and missing.reshape(len(missing), -1).all(axis=1)
        if np.any(empty):
            raise DataError(
                f"{source} holds images of nothing but NaN or infinite pixels, first in image "
                f"{where.start + int(np.argmax(empty))}: leave those images out or repair them."
            )


def _ground_of(pixels: np.ndarray) -> int:
    """Return what uint8 RGBA images are best laid on."""
    spans = []
    for where in _row_blocks(pixels):
        alpha = pixels[where, ..., 3]
        block = pixels[where][np.ptp(alpha, axis=(1, 2)) > 0]
        each = (np.ptp(_on_ground(block, gray), axis=(1, 2)).max(axis=1) for gray in GROUNDS)
        spans.append(np.stack(list(each), axis=1))
    return _find_ground(np.concatenate(spans))


def _on_ground(pixels: np.ndarray, ground: int) -> np.ndarray:
    out = np.empty((*pixels.shape[:3], 3), dtype=np.uint8)
    for where in _row_blocks(pixels):
        color = pixels[where, ..., :3].astype(np.uint16)
        alpha = pixels[where, ..., 3:].astype(np.uint16)
        out[where] = (color * alpha + np.uint16(ground) * (255 - alpha) + 127) // 255
    return out
