import numpy as np
import pytest

from fewlabel.cluster import seeding
from fewlabel.cluster.seeding import _kmeans_plus_plus


def test_one_center_falls_into_each_far_cluster():
    rng = np.random.default_rng(0)
    middles = rng.normal(size=(30, 5)) * 100
    X = np.repeat(middles, 20, axis=0) + rng.normal(size=(600, 5))
    for seed in range(5):
        chosen = _kmeans_plus_plus(X.astype(np.float32), 30, np.random.default_rng(seed))
        assert sorted(chosen // 20) == list(range(30))


def test_different_rows_are_taken_before_equal_ones():
    X = np.repeat(np.arange(6, dtype=np.float32)[:, None] / 7 + 1000, 50, axis=0)
    for seed in range(10):
        chosen = _kmeans_plus_plus(X, 6, np.random.default_rng(seed))
        assert len(np.unique(X[chosen])) == 6


def test_indices_are_distinct_even_when_all_rows_are_equal():
    chosen = _kmeans_plus_plus(np.ones((10, 3), dtype=np.float32), 10, np.random.default_rng(0))
    assert sorted(chosen) == list(range(10))


@pytest.mark.parametrize("n_features", [8, 300])
def test_a_sample_of_projected_rows_still_covers_the_clusters(monkeypatch, n_features):
    monkeypatch.setattr(seeding, "_SAMPLE_AT_LEAST", 400)
    rng = np.random.default_rng(1)
    middles = rng.normal(size=(10, n_features)) * 50
    X = (np.repeat(middles, 100, axis=0) + rng.normal(size=(1000, n_features))).astype(np.float32)
    chosen = _kmeans_plus_plus(X, 10, np.random.default_rng(0))
    assert sorted(chosen // 100) == list(range(10))


def test_a_seed_fixes_the_choice():
    X = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    one, two, other = (_kmeans_plus_plus(X, 9, np.random.default_rng(s)) for s in (5, 5, 6))
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)
