"""Splits that keep exact duplicates on one side and classes in proportion."""

import numpy as np

from fewlabel.errors import DataError, LabelError


def stratified_split(
    y: np.ndarray, groups: np.ndarray | None, test_fraction: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Hold out a share of every class, with no group on both sides.

    The number of test images is as near to ``test_fraction * n`` as whole groups allow. A
    class with a single group stays in the training part.

    Parameters
    ----------
    y : ndarray of shape (n,), dtype int64
        Class of each image; -1 (unlabeled) counts as a class of its own.
    groups : ndarray of shape (n,), dtype int64, or None
        Group of each image, as from ``ImageSet.content_groups``; None if all differ. A group
        with several classes counts for its smallest.
    test_fraction : float
        Share to hold out, between 0 and 1.
    rng : numpy.random.Generator
        Source of the shuffling.

    Returns
    -------
    train : ndarray of int64
        Indices to train on, ascending.
    test : ndarray of int64
        Indices held out, ascending.

    Raises
    ------
    DataError
        If ``test_fraction`` is not between 0 and 1, or nothing would be on one side.

    Examples
    --------
    >>> y = np.repeat([0, 1], 8)
    >>> train, test = stratified_split(y, None, 0.25, np.random.default_rng(0))
    >>> np.bincount(y[test])
    array([2, 2])
    """
    if not 0 < test_fraction < 1:
        raise DataError(
            f"The parameter test_fraction must lie between 0 and 1. Got {test_fraction}."
        )
    y, group = _checked(y, groups)
    sizes = np.bincount(group)
    class_of = np.full(len(sizes), np.iinfo(np.int64).max)
    np.minimum.at(class_of, group, y)
    target = _shares(class_of, sizes, test_fraction)
    in_test = np.zeros(len(sizes), dtype=bool)
    for label, share in target.items():
        # Whole groups, or a copy of a test image would be trained on.
        members = rng.permutation(np.flatnonzero(class_of == label))
        if len(members) < 2:
            continue
        filled = 0
        # The first of the shuffled groups stays in training, so that no class is lost there.
        for member in members[1:]:
            if filled + sizes[member] <= share:
                in_test[member] = True
                filled += int(sizes[member])
    test = in_test[group]
    if not test.any() or test.all():
        raise DataError(
            f"{len(y)} images are too few to hold out {test_fraction:.0%} of them: "
            "give more images, or a larger test_fraction."
        )
    return np.flatnonzero(~test), np.flatnonzero(test)


def random_labels(y: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw images to label at random, from those whose label is known.

    Parameters
    ----------
    y : ndarray of shape (m,), dtype int64
        Class of each image; -1 where it is unknown.
    n : int
        How many to draw.
    rng : numpy.random.Generator
        Source of the draw.

    Returns
    -------
    ndarray of shape (n,), dtype int64
        Indices, ascending. Nothing ensures that every class is among them.

    Raises
    ------
    LabelError
        If fewer than ``n`` labels are known.

    Examples
    --------
    >>> len(random_labels(np.array([0, 1, -1, 1]), 2, np.random.default_rng(0)))
    2
    """
    known = np.flatnonzero(np.asarray(y) >= 0)
    if not 0 <= n <= len(known):
        raise LabelError(f"{n} labels were asked for, and {len(known)} are known: ask for fewer.")
    return np.sort(rng.choice(known, size=n, replace=False))


def _checked(y: np.ndarray, groups: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    y = np.asarray(y)
    if y.ndim != 1 or len(y) == 0:
        raise DataError(f"The parameter y must have shape (n,) with n at least 1. Got {y.shape}.")
    if groups is None:
        return y, np.arange(len(y))
    if np.shape(groups) != y.shape:
        raise DataError(
            "The parameters y and groups must have one shape. "
            f"Got {y.shape} and {np.shape(groups)}."
        )
    return y, np.unique(np.asarray(groups), return_inverse=True)[1]


def _shares(class_of: np.ndarray, sizes: np.ndarray, fraction: float) -> dict[int, int]:
    """Test images of each class: proportional, summing to the whole (largest remainders)."""
    labels = np.unique(class_of)
    counts = np.array([sizes[class_of == label].sum() for label in labels])
    exact = counts * fraction
    share = np.floor(exact).astype(np.int64)
    missing = round(float(exact.sum())) - int(share.sum())
    # Stable: where remainders tie, the first class gets the image on every machine.
    order = np.argsort(share - exact, kind="stable")
    share[order[:missing]] += 1
    return dict(zip(labels.tolist(), share.tolist(), strict=True))
