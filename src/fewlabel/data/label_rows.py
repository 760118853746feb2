"""Rows of label tables, matched with the images that they name."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from fewlabel.data.imageset import ImageSet
from fewlabel.data.label_texts import BAR, _label_cells, _listed_names
from fewlabel.data.names import _ImageFinder, _is_file
from fewlabel.data.tables import _note_group, _read_table, _Row
from fewlabel.data.task import Task
from fewlabel.errors import LabelError

PURPOSES = ("train", "random", "audit")
"""What the column `purpose` of a table from ``fewlabel select`` may say."""
# Drawn at random: an accuracy rests on them, so that nothing may be left out or suggested.
DRAWN = ("random", "audit")

RANDOM_FRACTION = 0.2
"""Fraction of a budget that is drawn at random (docs/decisions/0015)."""

METADATA = ("metadata.csv", "metadata.jsonl")
"""Tables that describe the images of their folder, as Hugging Face's image folders have them."""


@dataclass
class _Given:
    """What tables give by image, and the names that are not used."""

    labels: dict[int, str] = field(default_factory=dict)
    places: dict[int, str] = field(default_factory=dict)
    purposes: dict[int, str] = field(default_factory=dict)
    groups: dict[int, tuple[str, str]] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)

    def groups_of(self, n: int) -> tuple[str, ...]:
        """Return the group of each of n images; empty where none is named."""
        return tuple(self.groups.get(i, ("",))[0] for i in range(n)) if self.groups else ()


def _table_rows(path: Any, images: ImageSet) -> Iterator[_Row]:
    """Give the rows of a table that the user names."""
    key = "index" if images.by_index else "path"
    is_file = isinstance(path, Path)
    if is_file and path.is_dir():
        raise LabelError(
            f"{path} is a folder: give a label table, a CSV file with the columns {key},label."
        )
    is_name = str.isdecimal if images.by_index else _finder(images).knows
    _, rows = _read_table(
        path, required=(key, "label"), what="label table", error=LabelError, is_name=is_name
    )
    if not is_file or path.name not in METADATA or images.by_index:
        return rows
    root, folder = Path(images.source).resolve(), path.parent.resolve()
    if folder.is_relative_to(root):
        return _moved(rows, folder.relative_to(root))
    return rows


def _moved(rows: Iterable[_Row], folder: PurePath) -> Iterator[_Row]:
    """Give rows whose paths begin in a folder of the images."""
    for row in rows:
        yield row._replace(cells={**row.cells, "path": (folder / row.cells["path"]).as_posix()})


def _metadata_rows(images: ImageSet) -> list[_Row]:
    """Return the labels of tables that lie among the images, one a folder."""
    root = Path(images.source)
    if images.by_index or not root.is_dir():
        return []
    names = {*images.names, *(skipped.path for skipped in images.skipped)}
    lowest = {PurePath(name.rpartition("/")[0]) for name in names}
    folders = sorted({folder for path in lowest for folder in (path, *path.parents)})
    files = [file for f in folders for n in METADATA if (file := root / f / n).is_file()]
    rows: list[_Row] = []
    for file in files:
        for row in _moved(_rows_of(file, images), file.parent.relative_to(root)):
            # A split, or a part of the images, leaves out others that are there.
            if row.cells["path"] in names or not _is_file(root / row.cells["path"]):
                rows.append(row)
    return rows


def _rows_of(file: Path, images: ImageSet) -> Iterable[_Row]:
    """Return the rows of such a table, or none if it holds no labels."""
    try:
        columns, rows = _read_table(file, required=(), what="label table", error=LabelError)
    except LabelError:
        # Without class folders, there is nothing else to take the labels from.
        if images.truth is None:
            raise
        return []
    if not {"path", "label"} <= set(columns):
        return []
    instead = "" if images.truth is None else ", not the names of the folders"
    warnings.warn(f"The labels are those of {file}{instead}.", UserWarning, stacklevel=5)
    return rows


def _finder(images: ImageSet) -> _ImageFinder:
    aside = (skipped.path for skipped in images.skipped)
    return _ImageFinder([*images.names, *aside], images.source, LabelError)


def _collect(
    rows: Iterable[_Row], images: ImageSet, source: str, classes: Sequence[str] | None
) -> _Given:
    """Match rows to images."""
    rows = list(rows)
    labels = _label_cells([row.cells["label"] for row in rows], source, classes)
    index_of = {name: i for i, name in enumerate(images.names)}
    finder = _finder(images)
    given = _Given()
    for row, label in zip(rows, labels, strict=True):
        name = row.cells["index" if images.by_index else "path"]
        if images.by_index:
            found: str | None = _index_text(name, row.where)
        else:
            found = finder.find(name, row.where)
        index = None if found is None else index_of.get(found)
        if index is not None:
            _note_group(row, name.strip(), index, given.groups, LabelError)
            _take(row, name.strip(), label, index, given)
        elif found is None or images.by_index:
            raise LabelError(_unknown_image(row.where, name.strip(), images, finder))
        elif label:
            given.dropped.append(f"{name.strip()} ({row.place})")
    return given


def _take(row: _Row, name: str, label: str, index: int, given: _Given) -> None:
    """Note the label of an image, unless another row gives it another one."""
    if row.cells.get("purpose"):
        purpose = _purpose(row.cells["purpose"], row.where)
        if label:
            given.purposes[index] = purpose
        # Random rows that are left blank must come to light.
        given.purposes.setdefault(index, purpose)
    if not label:
        return
    if BAR in label:
        label = _in_order(label)
    before = given.labels.setdefault(index, label)
    if before + BAR == label:
        # The same with a bar behind it: this is a table of several labels.
        given.labels[index] = label
    elif before not in (label, label + BAR):
        place = given.places[index].removeprefix(f"{row.table}, ")
        raise LabelError(
            f"{row.where}: {name} is labeled {label!r}, but {before!r} on {place}: keep one of "
            "them."
        )
    given.places.setdefault(index, row.where)


def _in_order(label: str) -> str:
    """Bring several labels to one spelling: the order in which they are named says nothing."""
    parts = sorted({part.strip() for part in label.split(BAR)} - {""})
    return BAR.join(parts) if len(parts) > 1 else f"{''.join(parts)}{BAR}"


def _purpose(text: str, where: str) -> str:
    purpose = text.strip().lower()
    if purpose not in PURPOSES:
        raise LabelError(
            f"{where}: the purpose must be one of {', '.join(PURPOSES)}, or blank. "
            f"Got {text!r} instead."
        )
    return purpose


def _index_text(text: str, where: str) -> str:
    try:
        # "7.0" is what a spreadsheet makes of 7.
        number = float(text)
        if number != int(number):
            raise ValueError
    except (ValueError, OverflowError):
        raise LabelError(f"{where}: the index {text.strip()!r} is not a whole number.") from None
    return str(int(number))


def _unknown_image(where: str, name: str, images: ImageSet, finder: _ImageFinder) -> str:
    if images.by_index:
        return (
            f"{where}: the index {name} is out of range; {images.source} has the images "
            f"{images.names[0]} to {images.names[-1]}."
        )
    if not name:
        return f"{where}: the path is blank."
    close = finder.close(name)
    hint = (
        f"did you mean {close}?"
        if close
        else f"paths are relative to it, such as {images.names[0]}."
    )
    return f"{where}: {name} is not among the {len(images):,} images of {images.source}; {hint}"


def _check_classes(path: str | Path, task: Task, given: _Given, min_classes: int) -> None:
    """Refuse tables with too few classes to train or to evaluate."""
    found = sorted(set(given.labels.values()))
    if not found and min_classes:
        raise LabelError(
            f"{path} labels no image: fill in the column `label` of some rows "
            "(a blank one means unlabeled)."
        )
    if len(found) < min(min_classes, task.min_classes):
        raise LabelError(
            f"{next(iter(given.places.values()))}: all {len(given.labels)} labels are "
            f"{_listed_names(found)}, but at least {min_classes} classes are needed: label images "
            "of the other classes too."
        )
