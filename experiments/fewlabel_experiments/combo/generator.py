"""A digit and a letter in one noisy image: the data of the multi-label study, made from glyphs.

The competition that the study comes from does not publish its images. These are made in the same
form (56×56 gray pixels, 36 labels of which two are on), from public glyphs, by rules that stand
here. Each image is a function of the seed, its split and its number: more images of one split
change neither the first ones nor another split.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fewlabel.errors import UsageError

from .compose import add_noise, place, write
from .glyphs import LABELS, SPLITS, Glyphs, GlyphSplits, letters_at_hand, load_glyphs
from .settings import NOISES, SIDE, ComboSettings

_BLOCK = 256


@dataclass(frozen=True, eq=False)
class ComboSplit:
    """Images of one split and what they show."""

    images: NDArray[np.uint8]  # (n, 56, 56): gray pixels
    # (n, 36): 1 in the columns of the digit and the letter, else 0; columns as in LABELS
    targets: NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class Combo:
    """The three splits. Their glyphs are disjoint."""

    labeled: ComboSplit  # to train on with targets
    # To train on without: the targets are there to measure pseudo-labels, not to learn from
    unlabeled: ComboSplit
    test: ComboSplit  # to measure on


def settings_of(
    letters: str | None = None, case: str | None = None, noise: str | None = None
) -> ComboSettings:
    """Return settings by the names that a user gives; by default those of the study."""
    noises = NOISES[str(noise or "standard")]
    letters = str(letters or letters_at_hand())
    return ComboSettings(noise=noises, letters=letters, case=str(case or "any"))


def make_combo(
    n_labeled: int,
    n_unlabeled: int,
    n_test: int,
    *,
    seed: int = 0,
    settings: ComboSettings | None = None,
    glyphs: GlyphSplits | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Combo:
    """Make the data set."""
    sizes = dict(zip(SPLITS, (n_labeled, n_unlabeled, n_test), strict=True))
    for name, n in sizes.items():
        if n < 0:
            raise UsageError(f"The number of {name} images must be at least 0. Got {n}.")
    settings = settings or ComboSettings()
    if glyphs is None:
        glyphs = load_glyphs(seed, settings.letters, settings.case)
    made, done = {}, 0
    for number, (name, n) in enumerate(sizes.items()):
        images = np.empty((n, SIDE, SIDE), dtype=np.uint8)
        targets = np.zeros((n, len(LABELS)), dtype=np.int8)
        for start in range(0, n, _BLOCK):
            # A whole block is drawn even where fewer are asked for: the first are the same then.
            rng = np.random.default_rng([seed, number, start // _BLOCK])
            block, on = compose(*glyphs[name], _BLOCK, rng, settings)
            rows = slice(start, min(start + _BLOCK, n))
            images[rows] = block[: n - start]
            targets[rows] = on[: n - start]
            done += len(images[rows])
            if progress is not None:
                progress(done, sum(sizes.values()))
        made[name] = ComboSplit(images, targets)
    return Combo(**made)


def compose(
    digits: Glyphs,
    letters: Glyphs,
    n: int,
    rng: np.random.Generator,
    settings: ComboSettings,
) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
    """Compose images of a digit and a letter each.

    Classes are drawn uniformly, then one of the glyphs of the class.
    """
    targets = np.zeros((n, len(LABELS)), dtype=np.int8)
    patches = []
    for glyphs in (digits, letters):
        rows = _draw_rows(glyphs.labels, n, rng)
        targets[np.arange(n), glyphs.labels[rows]] = 1
        patches.append(write(glyphs.pixels[rows], settings.layout, rng))
    swapped = (rng.random(n) < 0.5)[:, None, None]
    left = np.where(swapped, patches[1], patches[0])
    right = np.where(swapped, patches[0], patches[1])
    return add_noise(place(left, right, settings.layout, rng), settings.noise, rng), targets


def _draw_rows(labels: NDArray[np.int64], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    order = np.argsort(labels, kind="stable")
    found, first, counts = np.unique(labels[order], return_index=True, return_counts=True)
    chosen = rng.integers(0, len(found), n)
    within = (rng.random(n) * counts[chosen]).astype(np.int64)
    return np.asarray(order[first[chosen] + within])
