"""Handwritten digits and letters, dealt to the splits so that no glyph is in two of them."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fewlabel.data import get_benchmark, list_benchmarks, load_benchmark, stratified_split
from fewlabel.errors import DataError, UsageError

DIGITS = tuple("0123456789")
"""Names of the first ten labels."""

LETTERS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
"""Names of the other 26 labels."""

LABELS = DIGITS + LETTERS
"""Names of the 36 labels, in the order of the columns of targets."""

LETTER_SETS = {"emnist": "emnist-letters", "chars74k": "letters"}
"""Letters by name, and the benchmark that holds them. Those of ``emnist`` are many and split at
random; of ``chars74k`` the test letters are by writers that wrote nothing else, which is harder."""

CASES = ("any", "upper")
"""Cases that letters may have."""

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


def letters_at_hand() -> str:
    """Return the letters that are taken by default: ``emnist`` where it is on this machine."""
    here = {info.name for info in list_benchmarks() if info.where}
    return next((name for name, of in LETTER_SETS.items() if of in here), "chars74k")


def load_glyphs(seed: int = 0, letters: str | None = None, case: str = "any") -> GlyphSplits:
    """Deal the digits of ``mnist`` and the letters of a set to the three splits.

    The test split gets the test images of both. The training images are halved at random, class
    by class, whatever the sizes of the data set: the same images come out with more or fewer
    labels. Exact duplicates stay on one side.
    """
    letters = letters or letters_at_hand()
    if letters not in LETTER_SETS or case not in CASES:
        raise UsageError(
            f"Letters must be one of {', '.join(LETTER_SETS)}, and their case one of "
            f"{', '.join(CASES)}. Got {letters!r} and {case!r} instead."
        )
    if case != "any" and letters != "emnist":
        raise UsageError(
            f"It is not recorded which letters of {letters} are upper case: give --letters emnist, "
            "or leave out --case."
        )
    rng = np.random.default_rng([seed, len(SPLITS)])
    dealt = _deal("mnist", rng), _deal(LETTER_SETS[letters], rng, only_upper=case == "upper")
    return dict(zip(SPLITS, zip(*dealt, strict=True), strict=True))


def _deal(
    name: str, rng: np.random.Generator, *, only_upper: bool = False
) -> tuple[Glyphs, Glyphs, Glyphs]:
    train, groups = _read(name, "train", only_upper)
    labeled, unlabeled = stratified_split(train.labels, groups, 0.5, rng)
    return train.take(labeled), train.take(unlabeled), _read(name, "test", only_upper)[0]


def _read(name: str, split: str, only_upper: bool) -> tuple[Glyphs, NDArray[np.int64]]:
    images = load_benchmark(name, split)
    column = {label: i for i, label in enumerate(LABELS)}
    truth = [] if images.truth is None else images.truth.tolist()
    labels = np.array([column[label] for label in truth], dtype=np.int64)
    pixels = np.concatenate([block[..., 0] for _, block in images.blocks(4096, channels=1)])
    glyphs, groups = Glyphs(pixels, labels), images.content_groups()
    if not only_upper:
        return glyphs, groups
    upper = _upper_case(name, split, len(labels))
    return glyphs.take(upper), groups[upper]


def _upper_case(name: str, split: str, n: int) -> NDArray[np.int64]:
    """Return the rows of upper case, as the file beside the letters says."""
    file = get_benchmark(name) / f"{'t10k' if split == 'test' else split}-case-idx1-ubyte.gz"
    try:
        with gzip.open(file) as stream:
            # Eight bytes of header, then one a letter: no more is unpacked than there should be.
            content = stream.read(8 + n + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{file} does not say which letters are upper case ({error}): fetch {name} again, or "
            "leave out --case."
        ) from None
    if len(content) != 8 + n:
        raise DataError(f"{file} is not of the {n:,} letters beside it: fetch {name} again.")
    return np.flatnonzero(np.frombuffer(content, np.uint8, offset=8) == 1)
