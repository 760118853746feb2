"""Clean images of two characters and put both in fixed places, as the published study does.

Specks go, the image is blurred, the background taken away and the ink parted from it; pieces of
ink are merged into two characters, or one is cut in two; both are scaled and put side by side.
Each step is a function of `denoise` or `segment`. Every image comes out: where no two characters
are found it stays as it was, and is counted. If images are cropped, all its rows are squeezed into
fewer ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fewlabel.errors import DataError, UsageError

from .denoise import (
    Floats,
    Masks,
    blur,
    flatten,
    open_masks,
    remove_specks,
    threshold,
)
from .segment import (
    Pieces,
    cut_by_erosion,
    cut_by_line,
    find_pieces,
    group_pieces,
)
from .warp import affine_about, warp

HOWS = ("failed", "apart", "merged", "eroded", "cut")
"""How the two characters of an image were found, by code: not at all, as two pieces, as several
that were merged, by erosion, or by a straight cut."""

_BLOCK = 512
_NEGLIGIBLE = 0.1
_FILL = 24.0
_LARGEST_SCALE = 2.0
# Shares of Otsu's threshold. The first leaves fewer strokes broken: of 1,024 generated images, two
# pieces were found apart in 795, and in 783 at the threshold itself.
_LEVEL = 0.85
_OTHER_LEVELS = (0.7, 1.5)

# Gray levels that ink is lighter at least: less is rounding, of images of one gray above all.
_FAINTEST = 2.0

Parts = NDArray[np.int8]


@dataclass(frozen=True)
class PreprocessSettings:
    """Which steps are done, so that each can be left out."""

    specks: bool = True  # take the median of nine pixels first
    sigma: float = 0.7  # blur before the threshold, in pixels; 0 is none
    opening: int = 1  # side of the square that ink must hold, in pixels; 1 is no opening
    merge: bool = True  # merge the pieces of broken strokes; without, the two largest pieces count
    # Cut a piece that holds both characters along a line; without, such images fail
    cut: bool = True
    # Before it is cut, erode it and see whether it falls apart, as published. What falls off is
    # often a stroke of a character, and the line parts more images right
    erode: bool = False
    # Where one piece holds all ink, try a lower threshold (one character may be faint), then a
    # higher one (a bridge may be), before it is cut
    second_look: bool = True
    compose: bool = True  # put both characters in their places; without, clean images come out
    # Leave out the empty rows above and below the places: images of half the height are trained on
    # in half the time. An image in which nothing was found is squeezed instead
    crop: bool = False

    def __post_init__(self) -> None:
        if self.crop and not self.compose:
            raise UsageError(
                "Preprocessing crops only images that it composes anew. Got crop=True with "
                "compose=False: change one of them."
            )
        if self.erode and not self.cut:
            raise UsageError(
                "Preprocessing erodes only what it may cut. Got erode=True with cut=False: change "
                "one of them."
            )
        if not 0 <= self.sigma <= 10 or not 1 <= self.opening <= 9:
            raise UsageError(
                "The settings of preprocessing must have a sigma from 0 to 10 and an opening "
                f"from 1 to 9. Got {self.sigma!r} and {self.opening!r} instead."
            )


@dataclass(frozen=True, eq=False)
class Steps:
    """What each step made of a batch."""

    original: NDArray[np.uint8]  # (n, H, W): what came in
    specks: NDArray[np.uint8]  # (n, H, W): without specks
    blurred: Floats  # (n, H, W): blurred
    flat: Floats  # (n, H, W): blurred, without the background
    ink: Masks  # (n, H, W): above the threshold
    opened: Masks  # (n, H, W): opened
    # (n, H, W): number of the connected piece of each pixel, 0 for background
    pieces: NDArray[np.int32]
    # (n, H, W): 1 for the left character, 2 for the right one, 0 for background or where none are
    # found
    parts: Parts
    how: NDArray[np.int8]  # (n,): how they were found: a place in HOWS
    result: NDArray[np.uint8]  # (n, H, W): what goes on; cropped, it is (n, h, W)


@dataclass(frozen=True, eq=False)
class Preprocessed:
    """Preprocessed images, as many as came in."""

    # (n, H, W): images, the original where nothing was found; cropped, they are (n, h, W)
    images: NDArray[np.uint8]
    how: NDArray[np.int8]  # (n,): how the characters were found: a place in HOWS

    @property
    def counts(self) -> dict[str, int]:
        """How many images each of `HOWS` found the characters of, by name."""
        counts = np.bincount(self.how, minlength=len(HOWS)).tolist()
        return dict(zip(HOWS, counts, strict=True))


def preprocess_images(
    images: NDArray[np.uint8], settings: PreprocessSettings | None = None
) -> Preprocessed:
    """Preprocess images of two characters."""
    images = _check_images(images)
    height = images.shape[1]
    if settings is not None and settings.crop:
        height = _cropped_height(height)
    out = np.empty((len(images), height, images.shape[2]), dtype=np.uint8)
    how = np.zeros(len(images), dtype=np.int8)
    for start in range(0, len(images), _BLOCK):
        rows = slice(start, start + _BLOCK)
        steps = preprocessing_steps(images[rows], settings)
        out[rows], how[rows] = steps.result, steps.how
    return Preprocessed(out, how)


def preprocessing_steps(
    images: NDArray[np.uint8], settings: PreprocessSettings | None = None
) -> Steps:
    """Do every step and keep what each made, for a figure."""
    settings = settings or PreprocessSettings()
    images = _check_images(images)
    specks = remove_specks(images) if settings.specks else images
    blurred = blur(specks, settings.sigma)
    flat = flatten(blurred)
    levels = _LEVEL * threshold(flat)[1]
    ink = flat >= np.maximum(levels, _FAINTEST)[:, None, None]
    opened = open_masks(ink, settings.opening).copy()
    pieces = find_pieces(opened)
    parts, how = find_characters(pieces, settings)
    if settings.second_look:
        _look_again(flat, levels, opened, parts, how, settings)
    clean = _clean(flatten(specks.astype(np.float32)), opened)
    result = recompose(clean, parts) if settings.compose else clean
    if settings.compose:
        result = np.where((how == 0)[:, None, None], images, result)
    if settings.crop:
        result = _crop(result, how == 0)
    return Steps(images, specks, blurred, flat, ink, opened, pieces.numbers, parts, how, result)


def find_characters(pieces: Pieces, settings: PreprocessSettings) -> tuple[Parts, NDArray[np.int8]]:
    """Find the left and the right character of each image."""
    n = len(pieces.numbers)
    parts = np.zeros(pieces.numbers.shape, dtype=np.int8)
    how = np.zeros(n, dtype=np.int8)
    bounds = np.searchsorted(pieces.image, np.arange(n + 1))
    for i, (first, last) in enumerate(pairwise(bounds)):
        if first == last:
            continue
        boxes, area = pieces.boxes[first:last], pieces.area[first:last]
        # Pieces of an image have numbers in a row: places in it are numbers less the first.
        local = pieces.numbers[i] - first
        found, name = _characters_of_one(local, boxes, area, settings)
        how[i] = HOWS.index(name)
        if found is not None:
            parts[i] = found
    return parts, how


def recompose(images: NDArray[np.uint8], parts: Parts) -> NDArray[np.uint8]:
    """Scale both characters alike in height or width, and put each in the middle of its half."""
    height, width = images.shape[1:]
    half = width // 2
    halves = []
    for part in (1, 2):
        # A pixel around the ink comes along: its soft edge.
        own = ndimage.binary_dilation(parts == part, np.ones((1, 3, 3))) & (parts != 3 - part)
        top, bottom = _bounds(own.any(axis=2))
        left, right = _bounds(own.any(axis=1))
        longer = np.maximum(np.maximum(bottom - top, right - left) - 1, 1)
        back = 1 / np.minimum(_FILL / longer, _LARGEST_SCALE)
        matrix = back[:, None, None] * np.eye(2)
        middle = np.stack([(left + right) / 2, (top + bottom) / 2], axis=1)
        maps = affine_about(matrix, middle, ((half - 1) / 2, (height - 1) / 2))
        halves.append(warp(images * own, maps, (height, half)))
    whole = np.zeros(images.shape, dtype=np.uint8)
    whole[:, :, : 2 * half] = np.rint(np.concatenate(halves, axis=2)).astype(np.uint8)
    return whole


def _cropped_height(height: int) -> int:
    # A character and a little room, whatever the height.
    return min(height, max(height // 2, int(_FILL) + 4))


def _crop(images: NDArray[np.uint8], squeezed: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Take the middle rows; of images that are not composed, all rows made narrower."""
    height = images.shape[1]
    kept = _cropped_height(height)
    top = (height - kept) // 2
    out = images[:, top : top + kept].copy()
    if squeezed.any():
        gray = images[squeezed].astype(np.float32)
        narrow = ndimage.zoom(gray, (1, kept / height, 1), order=1, mode="nearest", grid_mode=True)
        out[squeezed] = np.rint(narrow).astype(np.uint8)
    return out


def _look_again(
    flat: Floats,
    levels: Floats,
    opened: Masks,
    parts: Parts,
    how: NDArray[np.int8],
    settings: PreprocessSettings,
) -> None:
    """Take another threshold where it parts the characters; fills ink, parts and how."""
    for factor in _OTHER_LEVELS:
        rows = np.flatnonzero((how == 0) | (how > 2))
        if not len(rows):
            return
        ink = flat[rows] >= np.maximum(factor * levels[rows], _FAINTEST)[:, None, None]
        ink = open_masks(ink, settings.opening)
        found, as_now = find_characters(find_pieces(ink), replace(settings, cut=False, erode=False))
        better = as_now > 0
        opened[rows[better]] = ink[better]
        parts[rows[better]], how[rows[better]] = found[better], as_now[better]


def _characters_of_one(
    numbers: NDArray[np.int32],
    boxes: NDArray[np.int64],
    area: NDArray[np.int64],
    settings: PreprocessSettings,
) -> tuple[Parts | None, str]:
    largest = np.argsort(-area, kind="stable")
    if settings.merge:
        # Dozens of pieces are noise: the largest may still be the characters.
        considered = largest[:8]
        groups = [considered[g] for g in group_pieces(boxes[considered], area[considered])]
    else:
        groups = [np.array([i]) for i in sorted(largest[:2], key=lambda i: boxes[i, 1::2].sum())]
    ink = np.array([area[group].sum() for group in groups])
    groups = [g for g, a in zip(groups, ink, strict=True) if a >= _NEGLIGIBLE * ink.max()]
    label = np.zeros(len(area) + 1, dtype=np.int8)
    for number, group in enumerate(groups, 1):
        label[group + 1] = number
    found = label[np.maximum(numbers, 0)]
    if len(groups) == 2:
        several = settings.merge and any(len(group) > 1 for group in groups)
        return found, "merged" if several else "apart"
    if not settings.cut:
        return None, "failed"
    whole = found > 0
    parts = cut_by_erosion(whole) if settings.erode else None
    if parts is not None:
        return parts, "eroded"
    parts = cut_by_line(whole)
    return parts, "failed" if parts is None else "cut"


def _clean(flat: Floats, masks: Masks) -> NDArray[np.uint8]:
    """Ink at white on black: the mean of what is above the threshold is put to 200."""
    level = (flat * masks).sum(axis=(1, 2)) / np.maximum(masks.sum(axis=(1, 2)), 1)
    scale = np.where(level > 0, 200 / np.maximum(level, 1e-6), 0).astype(np.float32)
    return np.clip(flat * scale[:, None, None], 0, 255).astype(np.uint8)


def _bounds(inked: Masks) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    first = inked.argmax(axis=1)
    return first, inked.shape[1] - 1 - inked[:, ::-1].argmax(axis=1)


def _check_images(images: np.ndarray) -> NDArray[np.uint8]:
    images = np.asarray(images)
    if images.ndim != 3 or images.dtype != np.uint8 or 0 in images.shape[1:]:
        hint = ": make colors gray first" if images.ndim == 4 else ""
        raise DataError(
            "Preprocessing takes gray images, (n, H, W) uint8. Got "
            f"{images.shape} {images.dtype} instead{hint}."
        )
    return images
