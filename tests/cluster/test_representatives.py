import numpy as np
import pytest
from scipy.spatial.distance import cdist
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
    # A label that is given twice counts once.
    again = pick_representatives(X, 2, method=method, labeled=[*labeled] * 2, random_state=0)
    np.testing.assert_array_equal(again.indices, picks.indices)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_rows(method):
    X = load_digits().data[:300]
    a, b, c = (pick_representatives(X, 15, method=method, random_state=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(a.indices, b.indices)
    assert set(a.indices.tolist()) != set(c.indices.tolist())


def test_the_largest_cluster_comes_first():
    X, _ = directions(n_groups=3, per_group=30)
    X = np.concatenate([X[:30], X[30:45], X[60:65]])
    picks = pick_representatives(X, 3, random_state=0)
    assert picks.cluster_sizes.tolist() == [30, 15, 5]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("rows", "copies", "budget"),
    [(np.ones((1, 4)), 30, 10), (np.eye(4), 10, 12), (np.zeros((1, 3)), 5, 3), (np.eye(1), 1, 1)],
)
def test_different_rows_come_first(method, rows, copies, budget):
    X = np.repeat(rows.astype(np.float32), copies, axis=0)
    picks = pick_representatives(X, budget, method=method, random_state=0)
    assert len(np.unique(picks.indices)) == budget
    if method != "random":
        first = picks.indices[: len(rows)]
        assert len(np.unique(first // copies)) == len(rows)


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
    X = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    expected = 1 / np.sort(cdist(unit, unit), axis=1)[:, 1:8].mean(axis=1)
    np.testing.assert_allclose(typicality(X, n_neighbors=7), expected, rtol=1e-3)
    assert typicality(np.ones((1, 2), np.float32)).tolist() == [1]
    assert np.isfinite(typicality(np.ones((2, 2), np.float32))).all()


@pytest.mark.parametrize("method", ["medoids", "typiclust", "representatives"])
def test_the_row_that_scores_best_stands_for_its_cluster(method):
    X, group = directions()
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    means = np.stack([unit[group == label].mean(axis=0) for label in range(6)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    closeness = (unit * means[group]).sum(axis=1)
    # Representatives weigh the center and the density equally.
    ranks = closeness.argsort().argsort() + typicality(X).argsort().argsort()
    score = {"medoids": closeness, "typiclust": typicality(X), "representatives": ranks}[method]
    for row in pick_representatives(X, 6, method=method, random_state=0).indices:
        assert score[row] == pytest.approx(score[group == group[row]].max(), rel=1e-5)


# Representatives


def test_the_estimator_chooses_what_the_function_chooses():
    X, group = directions()
    model = Representatives(6, random_state=4).fit(X)
    picks = pick_representatives(X, 6, random_state=4)
    np.testing.assert_array_equal(model.indices_, picks.indices)
    np.testing.assert_array_equal(model.cluster_sizes_, picks.cluster_sizes)
    np.testing.assert_array_equal(model.representatives_, X[model.indices_])
    # Each row goes to its nearest representative.
    np.testing.assert_array_equal(group[model.indices_][model.labels_], group)
    np.testing.assert_array_equal(model.predict(3 * X), model.labels_)
    np.testing.assert_array_equal(model.labels_[model.indices_], np.arange(6))


def test_more_representatives_than_rows():
    model = Representatives(10, random_state=0).fit(np.eye(4))
    assert sorted(model.indices_.tolist()) == [0, 1, 2, 3]
