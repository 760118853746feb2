"""The digit-and-letter data as a folder that ``fewlabel fit`` and ``evaluate`` take."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fewlabel.data import write_labels
from fewlabel.files import atomic_folder

from .generator import Combo, ComboSplit
from .glyphs import LABELS
from .settings import ComboSettings

README = """# A digit and a letter in one noisy image

Made by `fewlabel data make combo` (seed {seed}). Gray images of 56×56 pixels; each shows one
handwritten digit (MNIST) and one handwritten letter ({letters}, case: {case}), side by side in
random order, with random size, place, slant, pen, background and noise. Both cases of a letter
share a label. The splits share no glyph; of chars74k, the test letters are by writers of their own.

| file | holds |
|---|---|
| `images.npz` | `X`: {labeled:,} labeled images, then {unlabeled:,} unlabeled ones |
| `labels.csv` | `index,label` of the labeled ones; a digit and a letter with a bar between them |
| `unlabeled-truth.csv` | what the others show: to measure pseudo-labels with, not to learn from |
| `test.npz`, `test-labels.csv` | {test:,} images to test on, and what they show |
| `metrics.json` | the settings |
"""


def targets_to_texts(targets: NDArray[np.integer]) -> list[str]:
    """Write targets as labels with a bar between them."""
    return ["|".join(LABELS[i] for i in np.flatnonzero(row == 1)) for row in targets]


def write_combo(
    combo: Combo, out: str | Path, *, seed: int, settings: ComboSettings, force: bool = False
) -> Path:
    """Write the data set to a folder, whole or not at all."""
    from fewlabel import __version__

    sizes = {name: len(split.images) for name, split in vars(combo).items()}
    with atomic_folder(out, force=force) as folder:
        _write_training(folder, combo.labeled, combo.unlabeled)
        if sizes["test"]:
            np.savez(folder / "test.npz", X=combo.test.images)
            _write_table(folder / "test-labels.csv", combo.test)
        source = {"letters": settings.letters or "their own", "case": settings.case}
        text = README.format(seed=seed, **sizes, **source)
        (folder / "README.md").write_text(text, encoding="utf-8")
        # The version marks the folder as one that --force may replace.
        marked = {"fewlabel_version": __version__, "seed": seed, **sizes, **asdict(settings)}
        text = json.dumps(marked, indent=1, allow_nan=False)
        (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")
    return Path(out)


def _write_training(folder: Path, labeled: ComboSplit, unlabeled: ComboSplit) -> None:
    images = np.concatenate([labeled.images, unlabeled.images])
    if not len(images):
        return
    np.savez(folder / "images.npz", X=images)
    _write_table(folder / "labels.csv", labeled)
    if len(unlabeled.images):
        _write_table(folder / "unlabeled-truth.csv", unlabeled, len(labeled.images))


def _write_table(file: Path, split: ComboSplit, first: int = 0) -> None:
    names = [str(first + i) for i in range(len(split.targets))]
    write_labels(file, names, targets_to_texts(split.targets), by_index=True)
