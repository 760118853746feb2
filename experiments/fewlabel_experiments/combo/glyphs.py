"""Handwritten digits and letters, dealt to the splits so that no glyph is in two of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fewlabel.data import load_benchmark, stratified_split
from fewlabel.errors import DataError

DIGITS = tuple("0123456789")
"""Names of the first ten labels."""

LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
"""Names of the other 26 labels."""

LABELS = DIGITS + LETTERS
"""Names of the 36 labels, in the order of the columns of targets."""

SPLITS = ("labeled", "unlabeled", "test")
"""Parts of the data set, in the order in which they are made."""


@dataclass(frozen=True, eq=False)
class Glyphs:
    """Handwritten characters of one kind."""

    pixels: NDArray[np.uint8]  # (m, H, W): white ink on black
    labels: NDArray[np.int64]  # (m,): column of each character in targets, as in LABELS

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.dtype != np.uint8 or not len(self.pixels):
            raise DataError(
                "Glyphs must be gray images, (m, H, W) uint8, and at least one. Got "
                f"{self.pixels.shape} {self.pixels.dtype} instead."
            )
        if self.labels.shape != self.pixels.shape[:1]:
            raise DataError(
                f"{len(self.pixels)} glyphs need as many labels. Got {self.labels.shape} instead."
            )

    def take(self, rows: NDArray[np.int64]) -> Glyphs:
        """Return some of the glyphs."""
        return Glyphs(self.pixels[rows], self.labels[rows])


GlyphSplits = Mapping[str, tuple[Glyphs, Glyphs]]
"""Digits and letters of each split, by its name."""


def load_glyphs(seed: int = 0) -> GlyphSplits:
    """Deal the digits of ``mnist`` and the letters of ``letters`` to the three splits.

    The test split gets the test images of both, whose letters are by writers that wrote nothing
    else here. The training images are halved at random, class by class, whatever the sizes of
    the data set: the same images come out with more or fewer labels. Exact duplicates stay on
    one side.
    """
    rng = np.random.default_rng([seed, len(SPLITS)])
    digits, letters = _deal("mnist", rng), _deal("letters", rng)
    return dict(zip(SPLITS, zip(digits, letters, strict=True), strict=True))


def _deal(name: str, rng: np.random.Generator) -> tuple[Glyphs, Glyphs, Glyphs]:
    train, groups = _read(name, "train")
    labeled, unlabeled = stratified_split(train.labels, groups, 0.5, rng)
    return train.take(labeled), train.take(unlabeled), _read(name, "test")[0]


def _read(name: str, split: str) -> tuple[Glyphs, NDArray[np.int64]]:
    images = load_benchmark(name, split)
    column = {label: i for i, label in enumerate(LABELS)}
    truth = [] if images.truth is None else images.truth.tolist()
    labels = np.array([column[label] for label in truth], dtype=np.int64)
    pixels = np.concatenate([block[..., 0] for _, block in images.blocks(4096, channels=1)])
    return Glyphs(pixels, labels), images.content_groups()
