"""What each strategy prefers, and how strategies are found."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from fewlabel.cluster.representatives import _pick_representatives
from fewlabel.cluster.strategies import find_strategy, register_strategy, strategy_names
from fewlabel.cluster.strategies.clusters import _typicality
from fewlabel.errors import UsageError
from tests.cluster.examples import GROUP, X


def test_every_strategy_has_a_summary_and_a_name_of_its_own():
    assert all(find_strategy(name).summary for name in strategy_names())
    with pytest.raises(ValueError, match="two selection strategies of the name 'random'"):
        register_strategy("random")(lambda pool: None)
    known = r"one of representatives, medoids, .* Got 'medoid' instead. Did you mean medoids"
    with pytest.raises(UsageError, match=known):
        find_strategy("medoid")


def test_a_random_draw_stands_for_nothing():
    counts = np.zeros(120)
    for seed in range(60):
        picks = _pick_representatives(X, 60, method="random", random_state=seed)
        assert not picks.cluster_sizes.any()
        counts[picks.indices] += 1
    # Each row is drawn in about half of the cases.
    assert counts.min() > 12
    assert counts.max() < 48


def test_every_row_has_the_same_chance_to_be_in_the_random_part():
    counts, met = np.zeros(120), []
    free = np.delete(np.arange(120), [3, 50])
    for seed in range(300):
        picks = _pick_representatives(
            X, 12, labeled=np.array([3]), exclude=np.array([50]), n_random=6, random_state=seed
        )
        assert len(set(picks.indices.tolist())) == 12
        drawn = picks.indices[-picks.n_random :]
        counts[drawn] += 1
        met.append(len(set(GROUP[drawn].tolist())))
    # Six of 118 rows in 300 draws: 15 each, with a standard deviation of 4.
    assert not counts[[3, 50]].any()
    assert counts[free].min() > 3
    assert counts[free].max() < 32
    # Spread over the clusters: a plain draw meets 4 of the 6.
    assert np.mean(met) > 5.5


def test_typicality_is_the_inverse_of_the_mean_distance_to_neighbors():
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    expected = 1 / np.sort(cdist(unit, unit), axis=1)[:, 1:8].mean(axis=1)
    np.testing.assert_allclose(_typicality(X, n_neighbors=7), expected, rtol=1e-3)
    assert _typicality(np.ones((1, 2), np.float32)).tolist() == [1]
    assert np.isfinite(_typicality(np.ones((2, 2), np.float32))).all()


@pytest.mark.parametrize("method", ["medoids", "typiclust", "representatives"])
def test_the_row_that_scores_best_stands_for_its_cluster(method):
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    means = np.stack([unit[label == GROUP].mean(axis=0) for label in range(6)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    closeness = (unit * means[GROUP]).sum(axis=1)
    # Representatives weigh the center and the density equally.
    ranks = closeness.argsort().argsort() + _typicality(X).argsort().argsort()
    score = {"medoids": closeness, "typiclust": _typicality(X), "representatives": ranks}[method]
    for row in _pick_representatives(X, 6, method=method, random_state=0).indices:
        assert score[row] == pytest.approx(score[GROUP[row] == GROUP].max(), rel=1e-5)
