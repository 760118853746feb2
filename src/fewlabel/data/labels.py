"""Label tables: ``path,label`` or ``index,label``, with one label an image or several."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fewlabel.data.images import load_images
from fewlabel.data.imageset import ImageSet
from fewlabel.data.label_rows import DRAWN, _check_classes, _collect, _metadata_rows, _table_rows
from fewlabel.data.label_texts import _label_cells
from fewlabel.data.tables import FRAME, _is_frame, _write_table
from fewlabel.data.task import Task, _task_of_texts, task_of
from fewlabel.errors import LabelError, _path_errors


@dataclass(frozen=True)
class Labels:
    """Labels of an image set.

    Parameters
    ----------
    y : ndarray of shape (n,), dtype int64, or (n, K), dtype int8
        Position in ``classes`` of each image's label, -1 where unlabeled; or, where an image may
        have several, 1 where a label is present, 0 where it is absent, -1 where that is unknown.
    classes : tuple of str
        Names of the classes, sorted.
    purpose : tuple of str
        Why each image was chosen, as the column `purpose` of a table from ``fewlabel select``
        says: ``"train"``, ``"random"`` (to train on, drawn at random), ``"audit"`` (drawn at
        random to measure accuracy, never to train on) or ``""`` (not known). Empty if the
        table has no such column.
    source : str
        What the user gave, for messages.
    groups : tuple of str
        What each image belongs to, as the column `group` of a table says: images of one group
        are never both trained on and tested. ``""`` for one that stands alone.

    Examples
    --------
    >>> Labels(np.array([1, -1, 0]), ("cat", "dog")).names()
    ['dog', '', 'cat']
    >>> Labels(np.array([[1, 1], [-1, -1], [0, -1]], np.int8), ("cat", "dog")).names()
    ['cat|dog', '', '|?dog']
    """

    y: np.ndarray
    classes: tuple[str, ...]
    purpose: tuple[str, ...] = ()
    source: str = ""
    groups: tuple[str, ...] = ()

    @property
    def task(self) -> Task:
        """Whether an image has one label or may have several."""
        return task_of(self.y)

    @property
    def labeled(self) -> np.ndarray:
        """Indices of the labeled images, ascending; shape (n_labeled,), dtype int64."""
        return self.task.labeled(self.y)

    @property
    def n_labeled(self) -> int:
        """How many images are labeled."""
        return len(self.labeled)

    @property
    def audit(self) -> np.ndarray:
        """Labeled images that are to measure accuracy; shape (n_audit,), dtype int64."""
        return self._marked("audit")

    @property
    def training_y(self) -> np.ndarray:
        """``y`` with -1 at the images of the audit."""
        return self.task.without(self.y, self.audit)

    @property
    def random(self) -> np.ndarray:
        """Labeled images to train on that were drawn at random; (n_random,), dtype int64."""
        return self._marked("random")

    @property
    def awaited(self) -> np.ndarray:
        """Images drawn at random that have no label yet; shape (n_awaited,), dtype int64."""
        drawn = [i for i, given in enumerate(self.purpose) if given in DRAWN]
        return np.setdiff1d(np.array(drawn, dtype=np.int64), self.labeled)

    @property
    def is_random(self) -> bool:
        """Whether every label to train on is known to be drawn at random."""
        return 0 < len(self.random) == self.n_labeled - len(self.audit)

    def _marked(self, purpose: str) -> np.ndarray:
        """Return the labeled images of a purpose."""
        marked = [i for i, given in enumerate(self.purpose) if given == purpose]
        return np.intersect1d(np.array(marked, dtype=np.int64), self.labeled)

    def names(self) -> list[str]:
        """Return the labels as text.

        Returns
        -------
        list of str
            Name of each image's class, or such as ``"cat|dog"``; ``""`` where unlabeled.
        """
        return self.task.texts(self.y, self.classes)

    def cells(self) -> list[str]:
        """Return the labels as a table holds them, for `read_labels`.

        Returns
        -------
        list of str
            As `names`; where an image may have several labels, at least one text has a bar.
        """
        return self.task.cells(self.y, self.classes)


@_path_errors(LabelError)
def read_labels(
    path: Any,
    images: Any,
    *,
    min_classes: int = 2,
    classes: Sequence[str] | None = None,
    task: Task | None = None,
) -> Labels:
    """Read a label table and line it up with the images.

    The table has a header: columns ``path`` and ``label``, or ``index`` and ``label`` for images
    from arrays, and perhaps ``purpose`` and ``group``; other columns are ignored. It is CSV, a
    spreadsheet, or JSON of a labeling tool; the page "What fewlabel reads" lists the forms, the
    other names of columns (a UserWarning names those that are taken) and the spellings of paths
    that are understood. A blank label or ``<NA>`` means unlabeled. Blanks around a label are
    dropped, and accents composed. Labels of files that were set aside as unreadable are dropped
    with a UserWarning.

    A table in which a bar occurs gives several labels an image: ``cat|dog``, ``cat|`` for a cat
    and nothing else, ``|`` for none of the labels, ``cat|?dog`` where it is not known whether
    there is a dog, and ``cat|?`` where nothing but the cat is known.

    Parameters
    ----------
    path : str, Path or data frame
        The table, as a file or in memory; there a cell may be a list of labels.
    images : ImageSet
        What is labeled; or anything that `load_images` takes.
    min_classes : int
        Fewest classes that make sense: 2 to train, 1 to evaluate, 0 to accept an empty table.
    classes : sequence of str, optional
        The only labels that may appear, as a trained model knows them. By default those that
        the table holds, sorted.
    task : Task, optional
        Whether an image may have several labels, as a trained model knows; by default, it may
        if a bar occurs in the table.

    Returns
    -------
    Labels
        The labels; -1 where the table gives none.

    Raises
    ------
    LabelError
        If the table cannot be read, names an image that is not there, labels one image in
        two ways, gives one image several labels where it may have one, holds too few classes,
        or a label that ``classes`` lacks. The message names the file and the line.

    Warns
    -----
    UserWarning
        Of texts that may stand for no label, such as ``nan``, which is taken as unlabeled, and
        ``NA``, which is kept; of names that look alike; and of labels that are not used.

    Examples
    --------
    >>> import tempfile
    >>> from fewlabel.data import image_set_from_array
    >>> images = image_set_from_array(np.zeros((3, 4, 4)))
    >>> table = Path(tempfile.mkdtemp()) / "labels.csv"
    >>> write_labels(table, ["2", "0"], ["dog", "cat"], by_index=True)
    >>> read_labels(table, images).y.tolist()
    [0, -1, 1]
    """
    images = load_images(images)
    if not _is_frame(path) and not isinstance(path, str | os.PathLike):
        raise LabelError(
            "A label table is taken as the path of a file or as a data frame with the columns "
            f"`path` and `label`. Got {type(path).__name__} instead: `fit_images` takes labels in "
            "the order of the images."
        )
    rows = _table_rows(path if _is_frame(path) else Path(path), images)
    path = FRAME if _is_frame(path) else Path(path)
    given = _collect(rows, images, str(path), classes)
    if dropped := given.dropped:
        warnings.warn(
            f"{path}: {len(dropped)} label(s) are not used, since the image was set aside as "
            f"unreadable: {', '.join(dropped[:5])}{', …' if len(dropped) > 5 else ''}.",
            UserWarning,
            stacklevel=2,
        )
    everywhere = range(len(images))
    purpose = tuple(given.purposes.get(i, "") for i in everywhere) if given.purposes else ()
    texts = [given.labels.get(i, "") for i in everywhere]
    where = [given.places.get(i, str(path)) for i in everywhere]
    task = _task_of_texts(texts, images.names, where, task)
    _check_classes(path, task, given, min_classes)
    y, known = task.parse(texts, where, classes)
    if given.labels and classes is None and not task.evidence(y, len(known))[0].any():
        raise LabelError(
            f"{path} names no label that is present: write labels with a bar between them, such "
            "as cat|dog."
        )
    return Labels(y, known, purpose, str(path), given.groups_of(len(everywhere)))


def labels_from_truth(
    images: ImageSet, classes: Sequence[str] | None = None, *, task: Task | None = None
) -> Labels:
    """Return the labels that the source of the images carries.

    Those of a ``metadata.csv`` or ``metadata.jsonl`` among the images come before the names of
    folders, with a UserWarning.

    Parameters
    ----------
    images : ImageSet
        Images with ``truth``.
    classes : sequence of str, optional
        The only labels that may appear; by default those that do, sorted.
    task : Task, optional
        Whether an image may have several labels, as in `read_labels`.

    Returns
    -------
    Labels
        The labels; -1 where the source gives none.

    Raises
    ------
    LabelError
        If the source carries no labels, or one that ``classes`` lacks, or several for an image
        that may have one.

    Examples
    --------
    >>> from fewlabel.data import load_images
    >>> labels_from_truth(load_images("digits")).classes
    ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9')
    """
    # The source's own names: a label that no image has keeps its column.
    named = classes or images.truth_classes
    truth = [] if images.truth is None else images.truth.tolist()
    rows, groups = _metadata_rows(images), tuple[str, ...]()
    if rows:
        given = _collect(rows, images, images.source, named)
        texts = [given.labels.get(i, "") for i in range(len(images))]
        groups = given.groups_of(len(images))
    else:
        texts = _label_cells(truth, images.source, named)
    if not any(texts):
        since = ", since " + "; ".join(images.truth_notes) if images.truth_notes else ""
        raise LabelError(
            f"{images.source} carries no labels{since}: give a label table with --labels, "
            "or sort the images into one folder a class."
        )
    # They are of the folders.
    for note in () if rows else images.truth_notes:
        warnings.warn(note, UserWarning, stacklevel=2)
    task = _task_of_texts(texts, images.names, [images.source] * len(images), task)
    where = [f"{images.source}: {name}" for name in images.names]
    return Labels(*task.parse(texts, where, named), source="folders", groups=groups)


def write_labels(
    path: str | Path, names: Sequence[str], labels: Sequence[str], *, by_index: bool
) -> None:
    """Write a label table, whole or not at all.

    Parameters
    ----------
    path : str or Path
        File; its folder is made if missing.
    names : sequence of str
        Images, as in ``ImageSet.names``.
    labels : sequence of str
        Label of each; ``""`` for unlabeled.
    by_index : bool
        Whether the header is ``index,label`` instead of ``path,label``.

    Raises
    ------
    StorageError
        If the file cannot be written.
    ValueError
        If there are not as many labels as names.
    """
    rows = list(zip(names, labels, strict=True))
    _write_table(path, ("index" if by_index else "path", "label"), rows)
