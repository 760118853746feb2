"""What the user names: images and labels to open, and outputs that must destroy nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from fewlabel.cli.console import ProgressBars, note, one_line
from fewlabel.errors import LabelError, UsageError, _path_errors
from fewlabel.files import _check_new_folder, _check_suffix
from fewlabel.locks import _remove_leftovers

if TYPE_CHECKING:
    from fewlabel.data import ImageSet, Labels, PixelScale, Skipped, Task
    from fewlabel.model import Model

FOLDERS = "folders"
_NAMED = 3


def open_images(
    source: str, progress: ProgressBars, *, scale: PixelScale | None = None, warns: bool = True
) -> ImageSet:
    """Return images; ``scale`` is that of the training images. Print which cannot be read."""
    from fewlabel.data import load_images

    images = load_images(source, progress=progress.stage("reading images"), scale=scale)
    if warns:
        warn_of_skipped(images.skipped)
    return images


def open_run(
    run: str, source: str, progress: ProgressBars, *, max_error: float | None = None
) -> tuple[Model, ImageSet]:
    """Return the model of a run and images for it."""
    from fewlabel.runs.model import load_run

    model = load_run(run)
    if max_error is not None:
        # Raises, before the images are read, if that cannot be promised.
        model.threshold(max_error)
    # Deep images must be scaled as the training images were, or they would look darker.
    return model, open_images(source, progress, scale=model.scale)


def warn_of_skipped(skipped: Sequence[Skipped], n_skipped: int | None = None) -> None:
    """Print which files cannot be read, if there are any; ``skipped`` may be the first of them."""
    n = len(skipped) if n_skipped is None else n_skipped
    if not n:
        return
    named = "; ".join(f"{s.path}: {s.reason}" for s in skipped[:_NAMED])
    more = f"; and {n - _NAMED:,} more" if n > _NAMED else ""
    note(f"warning: {n:,} file(s) were set aside: {one_line(named)}{more}")


def engine_of(name: str, address: str | None) -> AbstractContextManager[None]:
    """Return where the large steps of a command run."""
    if name != "ray":
        if address is not None:
            raise UsageError("--ray-address is for --engine ray: give both, or neither.")
        return nullcontext()
    from fewlabel.scale.ray import on_ray

    return on_ray(address)


def open_labels(
    table: str,
    images: ImageSet,
    *,
    classes: Sequence[str] | None = None,
    min_classes: int = 2,
    task: Task | None = None,
) -> Labels:
    """Return the labels of a table, or those that the images carry (``folders``)."""
    from fewlabel.data import labels_from_truth, read_labels

    if table == FOLDERS:
        return labels_from_truth(images, classes, task=task)
    return read_labels(table, images, classes=classes, min_classes=min_classes, task=task)


def open_truth(table: str, images: ImageSet, model: Model) -> Labels:
    """Return true labels to compare a model with."""
    return open_labels(table, images, classes=model.classes, min_classes=1, task=model.task)


@_path_errors(LabelError)
def check_labels_exist(table: str) -> None:
    """Raise if a label table is not there, before the images are looked at."""
    if table != FOLDERS and not Path(table).exists():
        raise LabelError(
            f"{table} does not exist: make it with `fewlabel select`, or give --labels {FOLDERS} "
            "where the images lie in one folder a class."
        )


@_path_errors(UsageError, "written")
def check_new_file(
    path: str,
    what: str = "a CSV table",
    *suffixes: str,
    force: bool,
    holds: str,
    option: str = "--out",
) -> None:
    """Raise before any work if an output file exists, cannot be written, or is misnamed.

    With ``force`` it may exist; ``holds`` says in the message what would be lost, ``what`` and
    ``suffixes`` what will be written, ``option`` what names it.
    """
    _check_suffix(path, what, *(suffixes or (".csv",)))
    target = Path(path)
    if target.is_dir():
        raise UsageError(f"{path} is a folder: give the name of a file with {option}.")
    if target.exists() and not target.is_file():
        raise UsageError(f"{path} is not an ordinary file: give another name with {option}.")
    if target.exists() and not force:
        raise UsageError(
            f"{path} exists already and may hold {holds}: give another name with {option}, "
            "or --force to replace it."
        )
    check_place(target, option)


def check_output_folder(path: str | Path, *, force: bool) -> None:
    """Raise before any work if an output folder exists, cannot be written, or is misnamed."""
    _check_suffix(path, "a folder")
    _check_new_folder(path, force=force)
    check_place(Path(path))


@_path_errors(UsageError, "written")
def check_place(target: Path, option: str = "--out") -> None:
    """Raise before any work if no file can be made there."""
    # Raises if a name is too long.
    target.exists()
    # The folders below this one will be made.
    above = next(p for p in target.absolute().parents if p.exists() or p.is_symlink())
    if not above.is_dir():
        raise UsageError(f"{target} cannot be written: {above} is not a folder.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise UsageError(
            f"{target} cannot be written: there is no permission to write in {above}; "
            f"give another place with {option}."
        )
    _remove_leftovers(target.absolute().parent)
