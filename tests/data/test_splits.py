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


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(CASES, st.floats(0.1, 0.9))
@settings(max_examples=80, deadline=None)
def test_groups_never_straddle_a_split(case, fraction: float) -> None:
    y, groups, seed = (np.array(part) for part in case)
    try:
        train, test = stratified_split(y, groups, fraction, rng(int(seed)))
    except DataError:
        return
    assert sorted([*train, *test]) == list(range(len(y)))
    assert not set(groups[train]) & set(groups[test])
    assert np.array_equal(train, np.sort(train))


def test_split_keeps_proportions_exactly_without_duplicates() -> None:
    y = np.repeat([0, 1, 2], [600, 300, 100])
    train, test = stratified_split(y, None, 0.25, rng())
    assert np.bincount(y[test]).tolist() == [150, 75, 25]
    assert len(train) == 750
    # Shares that are not whole sum to the total all the same.
    assert len(stratified_split(np.repeat(np.arange(10), 7), None, 0.3, rng())[1]) == 21


def test_split_depends_on_the_seed_alone() -> None:
    y = np.repeat([0, 1], 50)
    first, second, other = (stratified_split(y, None, 0.2, rng(s))[1] for s in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_a_class_with_one_image_stays_in_training() -> None:
    y = np.array([0] * 20 + [1])
    for seed in range(5):
        _, test = stratified_split(y, None, 0.5, rng(seed))
        assert 20 not in test
        assert len(test) == 10


def test_duplicates_of_a_lone_image_stay_together() -> None:
    y = np.array([0] * 10 + [1] * 4)
    groups = np.array([*range(10), 10, 10, 10, 10])
    _, test = stratified_split(y, groups, 0.4, rng())
    assert not set(test) & {10, 11, 12, 13}


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0, float("nan")])
def test_wrong_fractions(fraction: float) -> None:
    with pytest.raises(DataError, match="test_fraction must lie"):
        stratified_split(np.zeros(4, int), None, fraction, rng())


def test_too_few_to_split() -> None:
    with pytest.raises(DataError, match="1 images are too few to hold out 50%"):
        stratified_split(np.array([0]), None, 0.5, rng())


@pytest.mark.parametrize(("y", "groups"), [([], None), ([[0]], None), ([0, 1], [0])])
def test_wrong_shapes(y, groups) -> None:
    with pytest.raises(DataError, match="shape"):
        stratified_split(np.array(y), groups, 0.5, rng())


def test_random_labels_are_drawn_from_the_known() -> None:
    y = np.array([-1, 0, 1, -1, 2])
    drawn = random_labels(y, 2, rng())
    assert len(set(drawn)) == 2
    assert set(drawn) < {1, 2, 4}
    with pytest.raises(LabelError, match="4 labels were asked for, and 3 are known"):
        random_labels(y, 4, rng())
