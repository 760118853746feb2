import numpy as np
import pytest
from sklearn.datasets import load_digits

from fewlabel.cluster.representatives import Representatives, pick_representatives
from fewlabel.cluster.strategies import find_strategy, register_strategy, strategy_names
from fewlabel.cluster.strategies.clusters import typicality
from fewlabel.errors import UsageError

METHODS = strategy_names()
CLUSTERED = [method for method in METHODS if method != "random"]


def directions(n_groups=6, per_group=20, seed=0):
    """Groups of rows around as many directions; their sizes are equal."""
    rng = np.random.default_rng(seed)
    middles = np.linalg.qr(rng.normal(size=(12, n_groups)))[0].T
    X = np.repeat(middles, per_group, axis=0) + 0.08 * rng.normal(size=(n_groups * per_group, 12))
    return X.astype(np.float32), np.repeat(np.arange(n_groups), per_group)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("budget", [1, 5, 6, 7, 40, 119, 120])
def test_the_budget_is_spent_exactly_and_no_row_twice(method, budget):
    X, _ = directions()
    picks = pick_representatives(X, budget, method=method, random_state=0)
    assert picks.indices.shape == picks.cluster_sizes.shape == (budget,)
    assert picks.indices.dtype == picks.cluster_sizes.dtype == np.int64
    assert len(np.unique(picks.indices)) == budget
    assert picks.indices.min() >= 0
    assert picks.indices.max() < 120


@pytest.mark.parametrize("method", CLUSTERED)
def test_every_group_is_represented(method):
    X, group = directions()
    picks = pick_representatives(X, 6, method=method, random_state=0)
    assert sorted(group[picks.indices]) == list(range(6))
    assert picks.cluster_sizes.tolist() == [20] * 6


def test_medoids_are_nearest_to_the_mean_direction():
    X, group = directions()
    picks = pick_representatives(X, 6, method="medoids", random_state=0)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    for row in picks.indices:
        members = np.flatnonzero(group == group[row])
        cosine = unit[members] @ unit[members].mean(axis=0)
        assert row == members[cosine.argmax()]


@pytest.mark.parametrize("method", METHODS)
def test_labeled_and_excluded_rows_are_never_chosen(method):
    X, _ = directions()
    labeled, exclude = np.arange(0, 120, 7), np.arange(1, 120, 5)
    barred = set(labeled.tolist()) | set(exclude.tolist())
    everything_else = 120 - len(barred)
    for budget in (3, 30, everything_else):
        picks = pick_representatives(
            X, budget, method=method, labeled=labeled, exclude=exclude, random_state=1
        )
        assert len(set(picks.indices.tolist()) - barred) == budget
    with pytest.raises(UsageError, match=f"between 1 and {everything_else}, the images that can"):
        pick_representatives(
            X, everything_else + 1, method=method, labeled=labeled, exclude=exclude
        )


@pytest.mark.parametrize("method", CLUSTERED)
def test_groups_with_a_label_come_last(method):
    X, group = directions()
    labeled = np.flatnonzero(group < 4)[::20]
    picks = pick_representatives(X, 2, method=method, labeled=labeled, random_state=0)
    assert sorted(group[picks.indices]) == [4, 5]


def test_the_same_label_given_twice_counts_once():
    X, _ = directions()
    once = pick_representatives(X, 5, labeled=[3, 50], random_state=0)
    twice = pick_representatives(X, 5, labeled=[3, 3, 50, 50, 50], random_state=0)
    np.testing.assert_array_equal(once.indices, twice.indices)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_rows(method):
    X, _ = load_digits(return_X_y=True)
    X = X[:300]
    a, b, c = (
        pick_representatives(X, 15, method=method, random_state=s).indices for s in (0, 0, 1)
    )
    np.testing.assert_array_equal(a, b)
    assert set(a.tolist()) != set(c.tolist())


def test_the_largest_cluster_comes_first():
    X, _ = directions(n_groups=3, per_group=30)
    X = np.concatenate([X[:30], X[30:45], X[60:65]])
    picks = pick_representatives(X, 3, random_state=0)
    assert picks.cluster_sizes.tolist() == [30, 15, 5]


@pytest.mark.parametrize("method", METHODS)
def test_identical_rows(method):
    X = np.ones((30, 4), dtype=np.float32)
    picks = pick_representatives(X, 10, method=method, random_state=0)
    assert len(np.unique(picks.indices)) == 10


@pytest.mark.parametrize("method", METHODS)
def test_fewer_distinct_rows_than_the_budget(method):
    X = np.repeat(np.eye(4, dtype=np.float32), 10, axis=0)
    picks = pick_representatives(X, 12, method=method, random_state=0)
    assert len(np.unique(picks.indices)) == 12
    if method != "random":
        # The different rows come first.
        assert len(np.unique(picks.indices[:4] // 10)) == 4


def test_rows_of_zeros_and_a_single_row():
    X = np.zeros((5, 3), dtype=np.float32)
    for method in METHODS:
        assert len(pick_representatives(X, 3, method=method, random_state=0).indices) == 3
        one = pick_representatives(X[:1], 1, method=method, random_state=0)
        assert one.indices.tolist() == [0]


def test_a_random_draw_stands_for_nothing():
    X, _ = directions()
    picks = pick_representatives(X, 30, method="random", random_state=0)
    assert not picks.cluster_sizes.any()
    counts = np.zeros(120)
    for seed in range(60):
        counts[pick_representatives(X, 60, method="random", random_state=seed).indices] += 1
    # Each row is drawn in about half of the cases.
    assert counts.min() > 12
    assert counts.max() < 48


@pytest.mark.parametrize("budget", [0, -1, 121, 2.0, "5", None])
def test_budgets_out_of_range(budget):
    X, _ = directions()
    with pytest.raises(UsageError, match=r"budget must be between 1 and 120, .* Got"):
        pick_representatives(X, budget)


def test_an_unknown_method():
    known = (
        r"must be one of representatives, medoids, .* Got 'medoid' instead. Did you mean medoids"
    )
    with pytest.raises(UsageError, match=known):
        pick_representatives(np.eye(3), 1, method="medoid")


def test_every_strategy_says_what_it_chooses_and_no_name_comes_twice():
    for name in METHODS:
        assert find_strategy(name).summary
    with pytest.raises(ValueError, match="two selection strategies of the name 'random'"):
        register_strategy("random")(lambda pool: None)


# typicality


def test_typicality_is_the_inverse_of_the_mean_distance_to_neighbors():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 5)).astype(np.float32)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    distance = np.linalg.norm(unit[:, None].astype(np.float64) - unit[None], axis=2)
    expected = 1 / np.sort(distance, axis=1)[:, 1:8].mean(axis=1)
    np.testing.assert_allclose(typicality(X, n_neighbors=7), expected, rtol=1e-3)


def test_dense_regions_are_typical():
    rng = np.random.default_rng(0)
    tight = np.array([1, 0, 0]) + 0.01 * rng.normal(size=(30, 3))
    loose = np.array([0, 1, 0]) + 0.3 * rng.normal(size=(30, 3))
    found = typicality(np.concatenate([tight, loose]).astype(np.float32))
    assert found[:30].min() > found[30:].max()


def test_typicality_of_very_few_rows():
    assert typicality(np.ones((1, 2), np.float32)).tolist() == [1]
    assert np.isfinite(typicality(np.ones((2, 2), np.float32))).all()


def test_typiclust_takes_the_most_typical_row_of_each_cluster():
    X, group = directions()
    picks = pick_representatives(X, 6, method="typiclust", random_state=0)
    score = typicality(X)
    for row in picks.indices:
        assert score[row] == pytest.approx(score[group == group[row]].max(), rel=1e-5)


def test_representatives_weigh_the_center_and_the_density_equally():
    X, group = directions()
    picks = pick_representatives(X, 6, method="representatives", random_state=0)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    score = typicality(X)
    closeness = np.empty(120)
    for label in range(6):
        members = group == label
        mean = unit[members].mean(axis=0)
        closeness[members] = unit[members] @ (mean / np.linalg.norm(mean))
    ranks = closeness.argsort().argsort() + score.argsort().argsort()
    for row in picks.indices:
        assert ranks[row] == ranks[group == group[row]].max()


# Representatives


def test_the_estimator_chooses_what_the_function_chooses():
    X, _ = directions()
    model = Representatives(9, random_state=4).fit(X)
    picks = pick_representatives(X, 9, random_state=4)
    np.testing.assert_array_equal(model.indices_, picks.indices)
    np.testing.assert_array_equal(model.cluster_sizes_, picks.cluster_sizes)
    np.testing.assert_array_equal(model.representatives_, X[model.indices_])


def test_each_row_goes_to_its_nearest_representative():
    X, group = directions()
    model = Representatives(6, random_state=0).fit(X)
    np.testing.assert_array_equal(group[model.indices_][model.labels_], group)
    np.testing.assert_array_equal(model.predict(3 * X), model.labels_)
    np.testing.assert_array_equal(model.labels_[model.indices_], np.arange(6))


def test_more_representatives_than_rows():
    model = Representatives(10, random_state=0).fit(np.eye(4))
    assert sorted(model.indices_.tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize("n", [0, 2.5, "all"])
def test_the_number_of_representatives_is_checked(n):
    with pytest.raises(UsageError, match=r"'n_representatives' .* an int of at least 1. Got"):
        Representatives(n).fit(np.eye(4))
