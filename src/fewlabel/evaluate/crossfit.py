"""Predictions of the labeled images by models that did not see their labels.

With few labels none can be set aside for a test. Cross-fitting uses each of them for both: the
labels are dealt into folds, and each fold is predicted from the labels of the others. The
choice between methods, the calibration and the accuracy estimate all rest on these predictions.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from fewlabel.data.task import Task
from fewlabel.errors import UsageError

LEAVE_ONE_OUT_MAX = 30
"""Up to this many distinct labeled images, each is a fold of its own."""

TWENTY_FOLDS_BELOW = 200
"""Below this many there are twenty folds, from here on ten: models of four fifths of the labels
are clearly less accurate than the final one, and an estimate that rests on them is too low."""


@dataclass(frozen=True, eq=False)
class LabelFolds:
    """Folds over the labeled images.

    Attributes
    ----------
    folds : tuple of (train, held)
        Pairs of int64 arrays of image indices: labels that may be used, labels to predict.
        Each labeled image is held in exactly one fold.
    labeled : ndarray of shape (n_labeled,), int64
        Indices of the labeled images, increasing: the order of every per-label result.
    unseen : ndarray of shape (n_labeled,), bool
        True where the image has a class that no other fold teaches, so that no model could
        have predicted it. A prediction there tells nothing about the method.
    singletons : tuple of int
        Those classes: they have one label, or only duplicates of one image.
    """

    folds: tuple[tuple[np.ndarray, np.ndarray], ...]
    labeled: np.ndarray
    unseen: np.ndarray
    singletons: tuple[int, ...]

    @property
    def number(self) -> np.ndarray:
        """Fold of each labeled image; shape (n_labeled,), int64."""
        number = np.zeros(len(self.labeled), dtype=np.int64)
        for k, (_, held) in enumerate(self.folds):
            number[np.searchsorted(self.labeled, held)] = k
        return number


def label_folds(
    task: Task, y: Any, groups: Any, n_folds: int | None, rng: np.random.Generator
) -> LabelFolds:
    """Deal the labeled images into folds, by class, with those of a group together.

    A class with two distinct labeled images or more keeps one in training in every fold. A
    class with a single one cannot: when its label is held out, nothing is left to predict it
    from. Such images are held out all the same, are marked in ``unseen``, and
    ``estimate_accuracy`` and ``choose_candidate`` take that mark: counting them as wrong would
    be too pessimistic, since the final model does see their labels, and leaving them out
    silently would be too kind.

    Parameters
    ----------
    task : Task
        What the labels are for.
    y : array-like of shape (n,) or (n, K), int
        Labels; -1 where nothing is known.
    groups : array-like of shape (n,), int, or None
        The same number for images that belong together, such as copies; None for none.
    n_folds : int or None
        Number of folds, at least 2. None: leave-one-out up to 30 labeled groups, 20 folds below
        200, else 10. It is lowered to the number of labeled groups.
    rng : numpy.random.Generator
        Source of the shuffling.

    Returns
    -------
    LabelFolds
        Folds of image indices, and which labels no model can be tested on.

    Raises
    ------
    UsageError
        If fewer than two distinct images are labeled, or a parameter is out of range.

    Examples
    --------
    >>> from fewlabel.data import SingleLabel
    >>> y = np.array([0, -1, 0, 1, 1, -1, 2])
    >>> folds = label_folds(SingleLabel(), y, None, None, np.random.default_rng(0))
    >>> len(folds.folds), folds.singletons
    (5, (2,))
    >>> folds.labeled, folds.unseen
    (array([0, 2, 3, 4, 6]), array([False, False, False, False,  True]))
    """
    y = np.asarray(y)
    groups = np.arange(len(y)) if groups is None else np.asarray(groups)
    if y.dtype.kind not in "iu" or groups.shape != y.shape[:1]:
        raise UsageError(
            "The 'y' and 'groups' parameters of label_folds must be whole numbers, one an "
            f"image. Got shapes {y.shape} and {groups.shape}, y of type {y.dtype}, instead."
        )
    labeled = task.labeled(y)
    # A group is dealt as one image: a copy in training would give away the label of another.
    codes = task.stratify(y)[labeled]
    _, first, group = np.unique(groups[labeled], return_index=True, return_inverse=True)
    n_folds = _number_of_folds(n_folds, len(first))
    is_mixed = (codes != codes[first][group]).any()
    if is_mixed and n_folds <= min(np.bincount(codes).max(), len(first) - 1):
        fold = _deal_mixed(codes, group, n_folds, rng)
        n_folds = int(fold.max()) + 1
    else:
        fold = _deal(codes[first], n_folds, rng)[group]
    folds = tuple((labeled[fold != k], labeled[fold == k]) for k in range(n_folds))
    present = task.evidence(y[labeled], int(codes.max()) + 1)[0] == 1
    # Marked and not left out: counted as wrong they would make an estimate too pessimistic, since
    # the final model sees their labels, and left out in silence too kind.
    untaught = np.zeros(present.shape, dtype=bool)
    for k in range(n_folds):
        held = fold == k
        untaught[held] = present[held] & ~present[~held].any(axis=0)
    singletons = tuple(np.flatnonzero(untaught.any(axis=0)).tolist())
    return LabelFolds(folds, labeled, np.asarray(untaught.any(axis=1)), singletons)


def held_out(
    folds: LabelFolds, y: Any, task: Task, *, min_labels: int = 20, min_fraction: float = 0.2
) -> np.ndarray | None:
    """Return labeled images to hold out of training, as many whole folds as are needed.

    A fold as such may be too small: of 50 labels it has five, and a choice between two methods
    that rests on five labels is a throw of dice.

    Parameters
    ----------
    folds : LabelFolds
        From `label_folds`.
    y : ndarray of shape (n,) or (n, K)
        The labels that they were dealt from.
    task : Task
        What the labels are for.
    min_labels : int
        Hold out this many labeled images at least.
    min_fraction : float
        Hold out this fraction of them at least, rounded down.

    Returns
    -------
    ndarray of shape (m,), int64, or None
        The images, ascending, without those that no model could predict; at most half of those
        that are labeled, and no class whole that has labels in several folds, unless nothing else
        is possible. None where that is too few.

    Examples
    --------
    >>> from fewlabel.data import SingleLabel
    >>> y = np.arange(60) % 3
    >>> folds = label_folds(SingleLabel(), y, None, None, np.random.default_rng(0))
    >>> len(folds.folds[0][1]), len(held_out(folds, y, SingleLabel()))
    (3, 21)
    """
    code = task.stratify(np.asarray(y))
    n, least = len(folds.labeled), max(min_labels, int(min_fraction * len(folds.labeled)))
    # A class with one label cannot be recognized without it, by whatever method.
    unseen = folds.labeled[folds.unseen]
    parts = [np.setdiff1d(held, unseen) for _, held in folds.folds]
    counts = np.stack([np.bincount(code[held], minlength=code.max() + 1) for held in parts])
    total, several = counts.sum(axis=0), (counts > 0).sum(axis=0) > 1
    chosen: list[int] = []
    while counts[chosen].sum() < least:
        held = counts[chosen].sum(axis=0)
        # A model of less than half of the labels says little about the one that gets them all.
        fitting = [
            k for k in range(len(parts)) if k not in chosen and 2 * (held + counts[k]).sum() <= n
        ]
        if not fitting:
            return None
        # The fold that takes the last label of the fewest classes; the first of equals.
        chosen.append(
            min(fitting, key=lambda k: int((several & (held + counts[k] == total)).sum()))
        )
    return np.sort(np.concatenate([parts[k] for k in chosen]))


def _number_of_folds(n_folds: int | None, n_distinct: int) -> int:
    """Return the number of folds, lowered to what can be dealt."""
    if n_distinct < 2:
        raise UsageError(
            f"Cross-fitting needs at least two distinct labeled images. Got {n_distinct} "
            "instead: label more images (`fewlabel select` chooses them)."
        )
    if n_folds is None:
        if n_distinct <= LEAVE_ONE_OUT_MAX:
            return n_distinct
        return 20 if n_distinct < TWENTY_FOLDS_BELOW else 10
    if n_folds < 2:
        raise UsageError(f"The 'n_folds' parameter must be at least 2. Got {n_folds} instead.")
    return min(n_folds, n_distinct)


def _deal_mixed(
    classes: np.ndarray, groups: np.ndarray, n_folds: int, rng: np.random.Generator
) -> np.ndarray:
    """Deal groups of several classes into folds, so that sizes and classes are balanced."""
    # Imported late, since few have such groups.
    from sklearn.model_selection import StratifiedGroupKFold

    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=int(rng.integers(2**31)))
    fold = np.empty(len(classes), dtype=np.int64)
    with warnings.catch_warnings():
        # Of classes with fewer labels than folds, for which nothing can be done.
        warnings.simplefilter("ignore", UserWarning)
        for k, (_, held) in enumerate(splitter.split(classes, classes, groups)):
            fold[held] = k
    return np.asarray(np.unique(fold, return_inverse=True)[1])


def _deal(classes: np.ndarray, n_folds: int, rng: np.random.Generator) -> np.ndarray:
    """Deal items into folds like cards, class after class, so that sizes differ by at most one."""
    # scikit-learn's StratifiedGroupKFold can hold out all of a class of two labels at once, and
    # warns about every class with fewer labels than folds.
    shuffled = rng.permutation(len(classes))
    by_class = shuffled[np.argsort(classes[shuffled], kind="stable")]
    fold = np.empty(len(classes), dtype=np.int64)
    # By chance, or the first folds would always be the ones that hold an item more.
    fold[by_class] = rng.permutation(n_folds)[np.arange(len(classes)) % n_folds]
    return fold
