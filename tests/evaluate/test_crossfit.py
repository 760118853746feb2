"""No label is predicted by a model that saw it, and no class is held out whole if it need not."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewlabel.data import MultiLabel, SingleLabel
from fewlabel.errors import UsageError
from fewlabel.evaluate import held_out, label_folds

deal = partial(label_folds, SingleLabel())


def make_labels(n_labeled, n_classes=4, n=None, seed=0):
    rng = np.random.default_rng(seed)
    y = np.full(n or 3 * n_labeled, -1)
    y[rng.choice(len(y), n_labeled, replace=False)] = np.arange(n_labeled) % n_classes
    return y


@pytest.mark.parametrize(
    ("n_labeled", "expected"), [(2, 2), (30, 30), (31, 20), (199, 20), (200, 10)]
)
def test_the_number_of_folds_follows_the_number_of_labels(n_labeled, expected):
    folds = deal(make_labels(n_labeled, 2), None, None, np.random.default_rng(0))
    assert len(folds.folds) == expected


def test_groups_of_several_classes_are_dealt_so_that_folds_are_alike():
    rng = np.random.default_rng(0)
    groups = rng.permutation(np.repeat(np.arange(100), rng.integers(1, 6, 100)))
    y = rng.integers(0, 3, len(groups))
    folds = deal(y, groups, 10, np.random.default_rng(1)).folds
    counts = np.array([np.bincount(y[held], minlength=3) for _, held in folds])
    assert np.ptp(counts, axis=0).max() <= 3
    assert not any(set(groups[train]) & set(groups[held]) for train, held in folds)
    # Too few labels for so many folds: no error, and groups are whole all the same.
    folds = deal(np.arange(8) // 2, np.arange(8) % 5, 5, np.random.default_rng(1)).folds
    assert len(folds) == 5


@given(
    st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 12)), min_size=2, max_size=60),
    st.none() | st.integers(2, 8),
    st.integers(0, 99),
)
@settings(derandomize=True, deadline=None, max_examples=150)
def test_folds_keep_their_promises(images, n_folds, seed):
    label_of: dict[int, int] = {}  # duplicates carry one label, or none
    y = np.array([-1 if c < 0 else label_of.setdefault(g, c) for c, g in images])
    groups = np.array([g for _, g in images])
    labeled = np.flatnonzero(y >= 0)
    if len(np.unique(groups[labeled])) < 2:
        with pytest.raises(UsageError, match="at least two distinct labeled images"):
            deal(y, groups, n_folds, np.random.default_rng(seed))
        return
    result = deal(y, groups, n_folds, np.random.default_rng(seed))
    np.testing.assert_array_equal(result.labeled, labeled)
    held = np.concatenate([held for _, held in result.folds])
    np.testing.assert_array_equal(np.sort(held), labeled)
    for train, held in result.folds:
        assert len(held)
        np.testing.assert_array_equal(np.sort(np.concatenate([train, held])), labeled)
        assert not set(groups[train]) & set(groups[held])
    # A class is untestable exactly if all its labels are copies of one image.
    single = {c for c in set(y[labeled]) if len(set(groups[y == c])) == 1}
    assert set(result.singletons) == single
    np.testing.assert_array_equal(result.unseen, np.isin(y[labeled], list(single)))


def test_folds_are_stratified_and_even_and_depend_on_the_seed():
    y = np.repeat([0, 1, -1], [100, 53, 40])
    folds, again, other = (deal(y, None, 5, np.random.default_rng(k)).folds for k in (0, 0, 1))
    counts = np.array([np.bincount(y[held], minlength=2) for _, held in folds])
    assert np.ptp(counts, axis=0).max() <= 1
    assert np.ptp(counts.sum(axis=1)) <= 1
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(folds, again, strict=True))
    assert not all(np.array_equal(a[1], b[1]) for a, b in zip(folds, other, strict=True))


def test_copies_with_different_labels_stay_together():
    y, groups = np.array([0, 1, 0, 1]), np.array([7, 7, 1, 2])
    result = deal(y, groups, None, np.random.default_rng(0))
    assert sorted(len(held) for _, held in result.folds) == [1, 1, 2]
    assert not result.unseen.any()


@pytest.mark.parametrize(
    ("y", "groups", "n_folds", "text"),
    [
        ([-1, -1, 0], None, None, "at least two .* Got 1 instead"),
        ([0, 1], [3, 3], None, "at least two distinct"),
        ([-1, -1], None, None, "Got 0 instead: label more images"),
        ([0, 1], None, 1, "'n_folds' parameter must be at least 2"),
        ([0.0, 1.0], None, 2, "whole numbers"),
        ([0, 1], [1], 2, r"Got shapes \(2,\) and \(1,\)"),
    ],
)
def test_bad_labels_are_named(y, groups, n_folds, text):
    with pytest.raises(UsageError, match=text):
        deal(y, groups, n_folds, np.random.default_rng(0))


def test_images_whose_label_no_other_fold_teaches_are_marked():
    y = np.array([[1, 0, 0], [1, 1, 0], [0, 1, -1], [1, 0, 1], [-1, -1, -1], [0, 0, 0]])
    folds = label_folds(MultiLabel(), y, None, None, np.random.default_rng(0))
    assert folds.labeled.tolist() == [0, 1, 2, 3, 5]
    assert folds.labeled[folds.unseen].tolist() == [3]
    assert folds.singletons == (2,)
    for number, (_, held) in enumerate(folds.folds):
        assert (folds.number[np.searchsorted(folds.labeled, held)] == number).all()


@pytest.mark.parametrize("n_labeled", [40, 50, 77, 99, 100, 103, 500])
def test_a_fifth_of_the_labels_and_at_least_twenty_are_held_out(n_labeled):
    y = make_labels(n_labeled)
    folds = deal(y, None, None, np.random.default_rng(0))
    rows = held_out(folds, y, SingleLabel())
    assert max(20, n_labeled // 5) <= len(rows) <= n_labeled / 2
    assert len(rows) < max(20, n_labeled / 5) + n_labeled / len(folds.folds)
    assert set(rows) <= set(folds.labeled)
    # Every fold is held out whole or not at all, and every class in about equal parts.
    assert all(
        np.isin(held, rows).all() or not np.isin(held, rows).any() for _, held in folds.folds
    )
    assert np.ptp(np.bincount(y[rows])) <= 4


@pytest.mark.parametrize("n_labeled", [2, 20, 30, 39])
def test_too_few_labels_to_hold_any_out(n_labeled):
    y = make_labels(n_labeled, 2)
    folds = deal(y, None, None, np.random.default_rng(0))
    assert held_out(folds, y, SingleLabel()) is None
    found = held_out(folds, y, SingleLabel(), min_labels=1)
    # Of two labels of two classes none can be predicted from the other.
    assert (found is None) == (n_labeled == 2)


def test_only_labels_that_can_be_predicted_decide():
    y = np.concatenate([np.arange(60) % 2, np.arange(2, 32)])
    folds = deal(y, None, None, np.random.default_rng(0))
    rows = held_out(folds, y, SingleLabel())
    assert len(rows) >= 20
    assert (y[rows] < 2).all()


def test_no_class_is_held_out_whole_that_has_several_labels():
    for seed in range(20):
        y = np.concatenate([np.arange(40) % 2, np.repeat(np.arange(2, 12), 2), [12, -1]])
        folds = deal(y, None, None, np.random.default_rng(seed))
        rows = held_out(folds, y, SingleLabel())
        assert set(y[np.setdiff1d(folds.labeled, rows)]) >= set(range(12))


def test_labels_of_several_columns_are_held_out_by_the_rarest():
    y = np.stack([np.arange(60) % 2, np.arange(60) % 3 == 0], axis=1).astype(np.int8)
    folds = label_folds(MultiLabel(), y, None, None, np.random.default_rng(0))
    rows = held_out(folds, y, MultiLabel())
    assert 20 <= len(rows) <= 30
    assert (y[rows].sum(axis=0) > 0).all()


def test_a_fold_that_is_too_large_is_passed_over():
    groups = np.concatenate([np.zeros(30, int), np.arange(1, 31)])
    y = np.arange(60) % 2
    y[:30] = 0
    folds = deal(y, groups, None, np.random.default_rng(0))
    rows = held_out(folds, y, SingleLabel())
    assert rows is None or len(rows) <= 30
