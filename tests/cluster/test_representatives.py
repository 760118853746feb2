"""Which rows are chosen: each GROUP, each budget, and what is labeled already."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from fewlabel.cluster.representatives import Representatives, _pick_representatives
from fewlabel.cluster.strategies import strategy_names
from fewlabel.errors import UsageError
from tests.cluster.examples import GROUP, X

METHODS = strategy_names()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("budget", [1, 5, 6, 7, 40, 119, 120])
def test_the_budget_is_spent_exactly_and_no_row_twice(method, budget):
    picks = _pick_representatives(X, budget, method=method, random_state=0)
    assert picks.indices.shape == picks.cluster_sizes.shape == (budget,)
    assert picks.indices.dtype == picks.cluster_sizes.dtype == np.int64
    assert len(np.unique(picks.indices)) == budget
    assert picks.indices.min() >= 0
    assert picks.indices.max() < 120


@pytest.mark.parametrize("method", METHODS)
def test_labeled_and_excluded_rows_are_never_chosen(method):
    given = {"method": method, "labeled": np.arange(0, 120, 7), "exclude": np.arange(1, 120, 5)}
    barred = set(given["labeled"].tolist()) | set(given["exclude"].tolist())
    rest = 120 - len(barred)
    for budget in (3, 30, rest):
        picks = _pick_representatives(X, budget, random_state=1, **given)
        assert len(set(picks.indices.tolist()) - barred) == budget
    with pytest.raises(UsageError, match=f"between 1 and {rest}, the images that can"):
        _pick_representatives(X, rest + 1, **given)


@pytest.mark.parametrize("method", ["medoids", "typiclust", "representatives"])
def test_every_group_is_represented_those_with_a_label_last(method):
    picks = _pick_representatives(X, 6, method=method, random_state=0)
    assert sorted(GROUP[picks.indices]) == list(range(6))
    assert picks.cluster_sizes.tolist() == [20] * 6
    labeled = np.flatnonzero(GROUP < 4)[::20]
    picks = _pick_representatives(X, 2, method=method, labeled=labeled, random_state=0)
    assert sorted(GROUP[picks.indices]) == [4, 5]
    # A label that is given twice counts once.
    again = _pick_representatives(X, 2, method=method, labeled=[*labeled] * 2, random_state=0)
    np.testing.assert_array_equal(again.indices, picks.indices)
    # The largest cluster comes first.
    some = np.concatenate([X[:5], X[20:40], X[40:52]])
    picks = _pick_representatives(some, 3, method=method, random_state=0)
    assert picks.cluster_sizes.tolist() == [20, 12, 5]


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_rows(method):
    rows = load_digits().data[:300]
    a, b, c = (_pick_representatives(rows, 15, method=method, random_state=s) for s in (0, 0, 1))
    np.testing.assert_array_equal(a.indices, b.indices)
    assert set(a.indices.tolist()) != set(c.indices.tolist())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("rows", "copies", "budget"),
    [(np.ones((1, 4)), 30, 10), (np.eye(4), 10, 12), (np.zeros((1, 3)), 5, 3), (np.eye(1), 1, 1)],
)
def test_different_rows_come_first(method, rows, copies, budget):
    repeated = np.repeat(rows.astype(np.float32), copies, axis=0)
    picks = _pick_representatives(repeated, budget, method=method, random_state=0)
    assert len(np.unique(picks.indices)) == budget
    if method != "random":
        first = picks.indices[: len(rows)]
        assert len(np.unique(first // copies)) == len(rows)


@pytest.mark.parametrize("budget", [0, -1, 121, 2.0, "5", None])
def test_budgets_out_of_range(budget):
    with pytest.raises(UsageError, match=r"budget must be between 1 and 120, .* Got"):
        _pick_representatives(X, budget)


def test_the_estimator_chooses_what_the_function_chooses():
    model = Representatives(6, random_state=4).fit(X)
    picks = _pick_representatives(X, 6, random_state=4)
    np.testing.assert_array_equal(model.indices_, picks.indices)
    np.testing.assert_array_equal(model.cluster_sizes_, picks.cluster_sizes)
    np.testing.assert_array_equal(model.representatives_, X[model.indices_])
    # Each row goes to its nearest representative.
    np.testing.assert_array_equal(GROUP[model.indices_][model.labels_], GROUP)
    np.testing.assert_array_equal(model.predict(3 * X), model.labels_)
    np.testing.assert_array_equal(model.labels_[model.indices_], np.arange(6))
    assert sorted(Representatives(10, random_state=0).fit(np.eye(4)).indices_) == [0, 1, 2, 3]


def test_noise_beyond_the_leading_directions_does_not_decide():
    """Many quiet directions, in which no two rows are alike, are not looked at."""
    rng = np.random.default_rng(0)
    truth = np.arange(800) % 8
    X = rng.normal(size=(800, 200)).astype(np.float32) * 0.3
    X[:, :8] += 3 * np.eye(8, dtype=np.float32)[truth]
    noisier = np.hstack([X, rng.normal(size=(800, 56)).astype(np.float32) * 0.3])
    for rows in (X, noisier):
        picks = _pick_representatives(rows, 8, random_state=0)
        assert sorted(truth[picks.indices]) == list(range(8))
