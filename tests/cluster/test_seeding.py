"""Starting centers: far from each other, and different rows first."""

import numpy as np
import pytest

from fewlabel.cluster import kmeans
from fewlabel.cluster.kmeans import _kmeans_plus_plus
from tests.cluster.examples import blobs


@pytest.mark.parametrize(("n_features", "at_least"), [(5, 20_000), (8, 400), (300, 400)])
def test_one_center_falls_into_each_far_cluster(monkeypatch, n_features, at_least):
    # Of more rows a sample is looked at, and its projections where it has many features.
    monkeypatch.setattr(kmeans, "_SAMPLE_AT_LEAST", at_least)
    X = 100 * blobs(10, 100, n_features, spread=0.01)
    for seed in range(5):
        chosen = _kmeans_plus_plus(X, 10, np.random.default_rng(seed))
        assert sorted(chosen // 100) == list(range(10))


@pytest.mark.parametrize(("n_different", "copies", "n_clusters"), [(6, 50, 6), (1, 10, 10)])
def test_different_rows_are_taken_before_equal_ones(n_different, copies, n_clusters):
    rows = np.arange(n_different, dtype=np.float32)[:, None] / 7 + 1000
    X = np.repeat(rows, copies, axis=0)
    for seed in range(10):
        chosen = _kmeans_plus_plus(X, n_clusters, np.random.default_rng(seed))
        assert len(np.unique(X[chosen])) == n_different
        assert len(np.unique(chosen)) == n_clusters
