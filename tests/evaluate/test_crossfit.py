"""No label is predicted by a model that saw it, and no class is held out whole if it need not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewlabel.errors import UsageError
from fewlabel.evaluate import cross_fit, label_folds


def make_labels(n_labeled, n_classes=4, n=None, seed=0):
    rng = np.random.default_rng(seed)
    y = np.full(n or 3 * n_labeled, -1)
    y[rng.choice(len(y), n_labeled, replace=False)] = np.arange(n_labeled) % n_classes
    return y


@pytest.mark.parametrize(
    ("n_labeled", "expected"), [(2, 2), (30, 30), (31, 10), (99, 10), (100, 5), (2000, 5)]
)
def test_the_number_of_folds_follows_the_number_of_labels(n_labeled, expected):
    folds = label_folds(make_labels(n_labeled, 2), None, None, np.random.default_rng(0))
    assert len(folds.folds) == expected


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
        with pytest.raises(UsageError, match="at least two distinct labelled images"):
            label_folds(y, groups, n_folds, np.random.default_rng(seed))
        return
    result = label_folds(y, groups, n_folds, np.random.default_rng(seed))
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


def test_folds_are_stratified_and_even():
    y = np.repeat([0, 1, -1], [100, 53, 40])
    folds = label_folds(y, None, 5, np.random.default_rng(0)).folds
    counts = np.array([np.bincount(y[held], minlength=2) for _, held in folds])
    assert np.ptp(counts, axis=0).max() <= 1
    assert np.ptp(counts.sum(axis=1)) <= 1


def test_folds_depend_on_the_seed_alone():
    y = make_labels(50)
    first, again, other = (
        label_folds(y, None, None, np.random.default_rng(seed)).folds for seed in (1, 1, 2)
    )
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a[1], b[1]) for a, b in zip(first, other, strict=True))


def test_copies_with_different_labels_stay_together():
    y, groups = np.array([0, 1, 0, 1]), np.array([7, 7, 1, 2])
    result = label_folds(y, groups, None, np.random.default_rng(0))
    assert sorted(len(held) for _, held in result.folds) == [1, 1, 2]
    assert not result.unseen.any()


def test_cross_fit_gives_each_label_its_own_row():
    y = make_labels(40)
    seen = []

    def predict(train, held):
        assert not set(train) & set(held)
        assert (y[train] >= 0).all()
        seen.append(held)
        return np.eye(200)[held]  # a row that names the image

    folds = label_folds(y, None, None, np.random.default_rng(0))
    proba = cross_fit(predict, y, folds)
    np.testing.assert_array_equal(proba.argmax(axis=1), folds.labeled)
    assert len(seen) == 10


def test_a_model_that_remembers_gains_nothing():
    y = make_labels(60, 2)

    def remember(train, held):
        known = set(train.tolist())
        return np.array([np.eye(2)[y[i]] if i in known else [0.5, 0.5] for i in held])

    folds = label_folds(y, None, None, np.random.default_rng(0))
    np.testing.assert_array_equal(cross_fit(remember, y, folds), 0.5)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda rng: label_folds([-1, -1, 0], None, None, rng), "at least two .* Got 1 instead"),
        (lambda rng: label_folds([0, 1], [3, 3], None, rng), "at least two distinct"),
        (lambda rng: label_folds([-1, -1], None, None, rng), "Got 0 instead: label more images"),
        (lambda rng: label_folds([0, 1], None, 1, rng), "'n_folds' parameter must be at least 2"),
        (lambda rng: label_folds([0.0, 1.0], None, 2, rng), "whole numbers"),
        (lambda rng: label_folds([0, 1], [1], 2, rng), r"Got shapes \(2,\) and \(1,\)"),
    ],
)
def test_bad_labels_are_named(call, text):
    with pytest.raises(UsageError, match=text):
        call(np.random.default_rng(0))


@pytest.mark.parametrize(
    ("predict", "text"),
    [
        (lambda train, held: np.full((len(held) + 1, 2), 0.5), r"Got \(2, 2\) instead"),
        (lambda train, held: np.full((1, 2 + held[0]), 1 / (2 + held[0])), "the same classes"),
        (lambda train, held: np.full((1, 2), np.nan), r"predict\(train, held\)' .* nan"),
        (lambda train, held: np.zeros(1), r"Got \(1,\) instead"),
    ],
)
def test_bad_predictions_are_named(predict, text):
    y = np.array([0, 1, 0])
    folds = label_folds(y, None, None, np.random.default_rng(0))
    with pytest.raises(UsageError, match=text):
        cross_fit(predict, y, folds)


def test_other_labels_than_those_of_the_folds_are_refused():
    folds = label_folds(np.array([0, 1, -1]), None, None, np.random.default_rng(0))
    with pytest.raises(UsageError, match="labels that the folds were dealt from"):
        cross_fit(lambda train, held: np.full((1, 2), 0.5), np.array([0, 1, 1]), folds)
