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

Made by `fewlabel data make combo` (seed {seed}). Grey images of 56×56 pixels; each shows one
handwritten digit (MNIST) and one handwritten letter (`letters`: both cases share a label), side by
side in random order, with random size, place, slant, pen, background and noise. The splits share
no glyph, and the writers of the test letters wrote nothing in the other splits.

| file | holds |
|---|---|
| `images.npz` | `X`: {labeled:,} labelled images, then {unlabeled:,} unlabelled ones |
| `labels.csv` | `index,label` of the labelled ones; a digit and a letter with a bar between them |
| `unlabelled-truth.csv` | what the others show: to measure pseudo-labels with, not to learn from |
| `test.npz`, `test-labels.csv` | {test:,} images to test on, and what they show |
| `metrics.json` | the settings |
"""


def targets_to_texts(targets: NDArray[np.integer]) -> list[str]:
    """Write targets as labels with a bar between them.

    Parameters
    ----------
    targets : ndarray of shape (n, 36)
        1 where a label is on; other values are off.

    Returns
    -------
    list of str
        Such as ``"7|K"``; ``""`` where none is on.

    Examples
    --------
    >>> targets = np.zeros((2, 36), dtype=np.int8)
    >>> targets[0, [7, 20]] = 1
    >>> targets_to_texts(targets)
    ['7|K', '']
    """
    return ["|".join(LABELS[i] for i in np.flatnonzero(row == 1)) for row in targets]


def write_combo(
    combo: Combo, out: str | Path, *, seed: int, settings: ComboSettings, force: bool = False
) -> Path:
    """Write the data set to a folder, whole or not at all.

    Parameters
    ----------
    combo : Combo
        The splits, as from `make_combo`. Those without images are left out.
    out : str or Path
        Folder to make.
    seed : int
        Seed that they were made with.
    settings : ComboSettings
        Settings that they were made with.
    force : bool
        Replace a folder that fewlabel wrote.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    RunFolderError
        If the folder exists, and ``force`` is false or it is not one of fewlabel's.
    StorageError
        If it cannot be written.
    """
    from fewlabel import __version__

    sizes = {name: len(split.images) for name, split in vars(combo).items()}
    with atomic_folder(out, force=force) as folder:
        _write_training(folder, combo.labeled, combo.unlabeled)
        if sizes["test"]:
            np.savez(folder / "test.npz", X=combo.test.images)
            _write_table(folder / "test-labels.csv", combo.test)
        (folder / "README.md").write_text(README.format(seed=seed, **sizes), encoding="utf-8")
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
        _write_table(folder / "unlabelled-truth.csv", unlabeled, len(labeled.images))


def _write_table(file: Path, split: ComboSplit, first: int = 0) -> None:
    names = [str(first + i) for i in range(len(split.targets))]
    write_labels(file, names, targets_to_texts(split.targets), by_index=True)
