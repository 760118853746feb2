"""Opening what the user names, and refusing outputs that would destroy something."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fewlabel.cli.console import ProgressBars, note, one_line
from fewlabel.errors import LabelError, UsageError

if TYPE_CHECKING:
    from fewlabel.data import ImageSet, Labels, Task

FOLDERS = "folders"
_NAMED = 3


def open_images(source: str, progress: ProgressBars, *, white_level: int | None = None) -> ImageSet:
    """Open images, saying how far it is; ``white_level`` is that of the training images."""
    from fewlabel.data import load_images

    return load_images(source, progress=progress.stage("reading images"), white_level=white_level)


def tell_skipped(images: ImageSet) -> None:
    """Say on stderr which files cannot be read, where no file of the result lists them."""
    skipped = images.skipped
    if not skipped:
        return
    named = "; ".join(f"{s.path}: {s.reason}" for s in skipped[:_NAMED])
    more = f"; and {len(skipped) - _NAMED:,} more" if len(skipped) > _NAMED else ""
    note(f"warning: {len(skipped):,} file(s) were set aside: {one_line(named)}{more}")


def open_labels(
    table: str,
    images: ImageSet,
    *,
    classes: Sequence[str] | None = None,
    min_classes: int = 2,
    task: Task | None = None,
) -> Labels:
    """Read a label table, or take the labels that the images carry (``folders``)."""
    from fewlabel.data import labels_from_truth, read_labels

    if table == FOLDERS:
        return labels_from_truth(images, classes, task=task)
    return read_labels(table, images, classes=classes, min_classes=min_classes, task=task)


def check_labels_exist(table: str) -> None:
    """Refuse a label table that is not there, before the images are looked at."""
    if table != FOLDERS and not Path(table).exists():
        raise LabelError(
            f"{table} does not exist: make it with `fewlabel select`, or give --labels {FOLDERS} "
            "where the images lie in one folder a class."
        )


def check_new_file(path: str, *, force: bool, holds: str) -> None:
    """Refuse an output file that exists, before any work is done for it.

    Parameters
    ----------
    path : str
        File to write.
    force : bool
        Accept an existing file.
    holds : str
        What an existing file may hold, for the message.

    Raises
    ------
    UsageError
        If it exists and ``force`` is false, if it is not a file, or if its folder cannot be
        written to.
    """
    target = Path(path)
    if target.is_dir():
        raise UsageError(f"{path} is a folder: give the name of a file with --out.")
    if target.exists() and not target.is_file():
        raise UsageError(f"{path} is not an ordinary file: give another name with --out.")
    if target.exists() and not force:
        raise UsageError(
            f"{path} exists already and may hold {holds}: give another name with --out, "
            "or --force to replace it."
        )
    check_place(target)


def check_place(target: Path) -> None:
    """Refuse an output where no file can be made, before any work is done for it."""
    above = next(p for p in target.absolute().parents if p.exists())
    if not above.is_dir():
        raise UsageError(f"{target} cannot be written: {above} is not a folder.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise UsageError(
            f"{target} cannot be written: there is no permission to write in {above}; "
            "give another place with --out."
        )
