"""Labels in any form that Python code holds them in, lined up with the images."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from fewlabel.data.columns import _label, _TableError
from fewlabel.data.imageset import ImageSet
from fewlabel.data.label_texts import BAR, _label_cells
from fewlabel.data.labels import Labels, labels_from_truth, read_labels
from fewlabel.data.tables import _frame_cell, _is_frame
from fewlabel.data.task import Task, _task_of_texts, task_of
from fewlabel.errors import LabelError, UsageError

_TAKEN = (
    "takes labels as an array or a list in the order of the images, a label table or its path, "
    "or Labels"
)
_SEVERAL = list | tuple | set | frozenset


def labels_of(
    y: Any, images: ImageSet, who: str, *, task: Task | None = None, classes: Any = None
) -> tuple[Labels, np.ndarray]:
    """Return labels that are given in any form, and their classes as they were given.

    Parameters
    ----------
    y : Labels, str, Path, data frame, array-like or None
        A label table that names its images, or its path (`read_labels`); or labels in the order
        of the images: numbers or texts, -1, None, NaN or blank where unlabeled; several an image
        as texts such as ``"cat|dog"``, lists of texts, or a table of 1, 0 and -1, whose columns
        a data frame names. None takes the labels that the images carry.
    images : ImageSet
        What is labeled.
    who : str
        Whose parameter it is, for messages.
    task : Task, optional
        Whether an image may have several labels, as a trained model knows.
    classes : array-like of shape (K,), optional
        The classes of a trained model. Of an array, what is none of them gets the code K.

    Returns
    -------
    labels : Labels
        The labels.
    classes : ndarray of shape (K,)
        Numbers where numbers were given, else names.

    Raises
    ------
    UsageError
        If the labels are of none of these forms, or not one an image.

    Examples
    --------
    >>> from fewlabel.data import image_set_from_array
    >>> images = image_set_from_array(np.zeros((3, 4, 4)))
    >>> labels_of(["cat|dog", None, "cat"], images, "Example")[0].y.tolist()
    [[1, 1], [-1, -1], [1, 0]]
    """
    names = None if classes is None else [str(name) for name in classes]
    key = "index" if images.by_index else "path"
    columns = [str(name) for name in y.columns] if _is_frame(y) else []
    if y is None and images.by_index and images.truth is None:
        raise UsageError(f"{who} requires y to be passed, but the target y is None.")
    if isinstance(y, str | os.PathLike) or {key, "label"} <= {*map(str.lower, columns)}:
        least = 2 if classes is None else 1
        labels = read_labels(y, images, min_classes=least, classes=names, task=task)
    elif y is None:
        labels = labels_from_truth(images, names, task=task)
    elif isinstance(y, Labels) and names is None:
        labels = y
    elif (texts := y.cells() if isinstance(y, Labels) else _several_texts(y)) is not None:
        texts = _label_cells(texts, f"The y of {who}", names)
        if len(texts) != len(images):
            raise UsageError(
                f"{who} needs one label an image. Got {len(texts)} labels for {len(images)} "
                "images instead."
            )
        where = [f"The y of {who}, row {row}" for row in range(len(texts))]
        known = _task_of_texts(texts, images.names, where, task).parse(texts, where, names)
        labels = Labels(*known)
    elif not hasattr(y, "__len__") or (isinstance(y, Mapping) and not columns):
        raise UsageError(f"{who} {_TAKEN}. Got {type(y).__name__} instead.")
    elif task is not None and names is not None:
        codes = task.recode(y, np.asarray(classes), len(images), who)
        return Labels(codes, tuple(names)), np.asarray(classes)
    else:
        task = task_of(y, as_column=True)
        found, codes = task.encode(y, len(images), who)
        # A single column is one label an image.
        found = np.array(columns) if len(columns) > 1 else found
        # pandas makes floats of whole numbers where one is missing.
        return Labels(codes, tuple(_frame_cell(value) for value in found.tolist())), found
    return labels, np.array(labels.classes)


def _several_texts(y: Any) -> list[str] | None:
    """Return labels as texts if some are lists of texts or have bars; else None."""
    if _is_frame(y) or not hasattr(y, "__iter__") or len(getattr(y, "shape", (0,))) != 1:
        return None
    values = list(y)
    lists = [value for value in values if isinstance(value, _SEVERAL)]
    # Lists of numbers are the rows of a table.
    if not (lists and all(isinstance(name, str) for value in lists for name in value)) and not any(
        isinstance(value, str) and BAR in value for value in values
    ):
        return None
    try:
        return [_label(_frame_cell(value), "") for value in values]
    except _TableError as fault:
        raise LabelError(f"The labels{fault}") from fault
