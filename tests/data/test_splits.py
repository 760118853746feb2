import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewlabel.data import random_labels, stratified_split
from fewlabel.errors import DataError, LabelError

CASES = st.integers(4, 60).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(-1, 4), min_size=n, max_size=n),
        st.lists(st.integers(0, n), min_size=n, max_size=n),
        st.integers(0, 99),
    )
)


def rng(seed=0):
    return np.random.default_rng(seed)


@given(CASES, st.floats(0.1, 0.9))
@settings(max_examples=80, deadline=None)
def test_groups_never_straddle_a_split(case, fraction):
    y, groups, seed = (np.array(part) for part in case)
    try:
        train, test = stratified_split(y, groups, fraction, rng(int(seed)))
    except DataError:
        return
    assert sorted([*train, *test]) == list(range(len(y)))
    assert not set(groups[train]) & set(groups[test])
    assert np.array_equal(train, np.sort(train))


def test_split_keeps_proportions_exactly_without_duplicates():
    y = np.repeat([0, 1, 2], [600, 300, 100])
    train, test = stratified_split(y, None, 0.25, rng())
    assert np.bincount(y[test]).tolist() == [150, 75, 25]
    assert len(train) == 750
    # Shares that are not whole sum to the total all the same.
    assert len(stratified_split(np.repeat(np.arange(10), 7), None, 0.3, rng())[1]) == 21


def test_split_depends_on_the_seed_alone():
    y = np.repeat([0, 1], 50)
    first, second, other = (stratified_split(y, None, 0.2, rng(s))[1] for s in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("n", "copies", "fraction"), [(20, 1, 0.5), (10, 4, 0.4)])
def test_a_class_with_one_image_stays_in_training(n, copies, fraction):
    y = np.array([0] * n + [1] * copies)
    groups = np.array([*range(n), *[n] * copies])
    for seed in range(5):
        _, test = stratified_split(y, groups, fraction, rng(seed))
        assert not set(test) & set(range(n, n + copies))
        assert copies > 1 or len(test) == 10


@pytest.mark.parametrize(
    ("y", "groups", "fraction", "message"),
    [
        *[([0] * 4, None, wrong, "test_fraction must lie") for wrong in (0.0, 1.0, -1.0, np.nan)],
        ([0], None, 0.5, "1 images are too few to hold out 50%"),
        ([], None, 0.5, "shape"),
        ([[0]], None, 0.5, "shape"),
        ([0, 1], [0], 0.5, "shape"),
    ],
)
def test_what_cannot_be_split_is_named(y, groups, fraction, message):
    with pytest.raises(DataError, match=message):
        stratified_split(np.array(y), groups, fraction, rng())


def test_random_labels_are_drawn_from_the_known():
    y = np.array([-1, 0, 1, -1, 2])
    drawn = random_labels(y, 2, rng())
    assert len(set(drawn)) == 2
    assert set(drawn) < {1, 2, 4}
    with pytest.raises(LabelError, match="4 labels were asked for, and 3 are known"):
        random_labels(y, 4, rng())
