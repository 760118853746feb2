"""Labels that stand, and what models say of images, as arrays that a review filters."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from fewlabel.data.label_rows import DRAWN
from fewlabel.data.label_texts import UNKNOWN
from fewlabel.evaluate.outliers import _rank_labels
from fewlabel.labelling.messages import SOURCES, _Round
from fewlabel.labelling.session import _Session


class _View(NamedTuple):
    """What a model says of some images: the position in ``sets``."""

    number: int
    at: datetime
    rows: np.ndarray
    cells: np.ndarray
    codes: np.ndarray
    confidence: np.ndarray
    source: np.ndarray


class _Given(NamedTuple):
    """Labels that stand, of all images: the position in ``sets``, -1 without one."""

    version: int
    codes: np.ndarray
    sets: list[tuple[str, ...]]
    # Drawn at random and without a label: a prediction would bias it.
    hidden: np.ndarray
    classes: tuple[str, ...]


class _Tested(NamedTuple):
    """Labeled images, and what models say that have not seen the labels."""

    key: tuple[int, int]
    view: _View
    present: np.ndarray
    proba: np.ndarray
    decided: np.ndarray
    order: np.ndarray
    probability: np.ndarray


def _given_labels(session: _Session, version: int) -> _Given:
    """Return the labels that stand."""
    store, n = session.store, len(session.images)
    codes, hidden = np.full(n, -1, np.int32), np.zeros(n, dtype=bool)
    numbers: dict[tuple[str, ...], int] = {}
    current = store.current()
    for image, labels in current.items():
        codes[image] = numbers.setdefault(labels, len(numbers))
    drawn = [i for i, why in store.purposes().items() if why in DRAWN]
    hidden[drawn] = codes[drawn] < 0
    classes = tuple(store.classes())
    return _Given(version, codes, list(numbers), hidden, classes)


def _tested_labels(
    session: _Session, key: tuple[int, int], found: _Round, given: _Given
) -> _Tested:
    """Return tested labels by the names that classes have now."""
    task = session.store.task
    column = {name: k for k, name in enumerate(given.classes)}
    proba = np.zeros((len(found.tested), len(given.classes)))
    for k, name in enumerate(found.classes):
        # Merged classes are as probable as both.
        for now in session._names_of(name):
            if now in column:
                at = column[now]
                proba[:, at] = np.minimum(proba[:, at] + found.tested_proba[:, k], 1)
    # Of a class that was new after the fit, the model knows nothing.
    learned = {now for name in found.classes for now in session._names_of(name)}
    bare = [{n if task.is_known(n) else n.lstrip(UNKNOWN) for n in s} for s in given.sets]
    known = [names <= learned for names in bare]
    codes = given.codes[found.tested]
    kept = np.flatnonzero(_at(known, codes))
    rows, proba = found.tested[kept], proba[kept]
    texts = [task.cell(given.sets[code]) for code in codes[kept]]
    y, _ = task.parse(texts, texts, given.classes)
    present = task.evidence(y, len(given.classes))[0] == 1
    order, probability = _rank_labels(task, y, proba)
    cells = np.array(task.texts(task.predict(proba), given.classes), dtype=object)
    view = _view_of(found, rows, cells, np.full(len(rows), len(SOURCES), np.uint8))
    view = view._replace(confidence=task.confidence(proba).astype(np.float32))
    return _Tested(key, view, present, proba, task.decided(proba), order, probability)


def _view_of(found: _Round, rows: np.ndarray, cells: np.ndarray, source: np.ndarray) -> _View:
    """Return what a round says of some images."""
    names, codes = np.unique(cells.astype(str), return_inverse=True)
    now = datetime.now(UTC)
    return _View(found.number, now, rows, names, codes.ravel(), found.confidence, source)


def _at(values: Sequence[bool] | np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return values by their position; False where that is negative."""
    return np.append(np.asarray(values, dtype=bool), False)[codes]
