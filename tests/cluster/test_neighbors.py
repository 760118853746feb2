import os
import types

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from fewlabel.cluster import descent, exhaustive, neighbors, topk
from fewlabel.cluster.neighbors import NeighborIndex, nearest_neighbors
from fewlabel.data import load_benchmark
from fewlabel.errors import UsageError


def truth(X, queries=None, metric="cosine"):
    """All distances in float64; infinity from a row to itself."""
    own = queries is None
    X = np.asarray(X, dtype=np.float64)
    Q = X if own else np.asarray(queries, dtype=np.float64)
    if metric == "euclidean":
        distances = cdist(Q, X)
    else:
        lengths = np.linalg.norm(Q, axis=1)[:, None] * np.linalg.norm(X, axis=1)
        distances = 1 - np.divide(Q @ X.T, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    if own:
        np.fill_diagonal(distances, np.inf)
    return distances


def clustered(n, d, seed=0, n_middles=40):
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(n_middles, d))
    X = middles[rng.integers(n_middles, size=n)] + 0.5 * rng.normal(size=(n, d))
    return X.astype(np.float32)


def assert_nearest(indices, distances, expected, k, atol=2e-6):
    """The neighbors are the k nearest up to ties, in order, each once, with true distances."""
    nearest = np.sort(expected, axis=1)[:, :k]
    np.testing.assert_allclose(distances, nearest, atol=atol)
    np.testing.assert_allclose(np.take_along_axis(expected, indices, 1), nearest, atol=atol)
    assert (np.diff(distances, axis=1) >= 0).all()
    assert (np.diff(np.sort(indices, axis=1), axis=1) > 0).all()


def recall(indices, expected):
    k = indices.shape[1]
    best = np.argpartition(expected, k, axis=1)[:, :k]
    return np.mean([len(np.intersect1d(a, b)) for a, b in zip(indices, best, strict=True)]) / k


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize(("k", "flush_at"), [(1, 6_000_000), (7, 3), (60, 6_000_000)])
def test_exact_is_exact(monkeypatch, metric, k, flush_at):
    monkeypatch.setattr(exhaustive, "_QUERY_ROWS", 100)
    monkeypatch.setattr(exhaustive, "_TILE_COLUMNS", 144)
    monkeypatch.setattr(topk._TopScores, "_FLUSH_AT", flush_at)
    X = clustered(500, 12) + 3
    indices, distances = nearest_neighbors(X, k, metric=metric, method="exact")
    assert indices.dtype == np.int64
    assert distances.dtype == np.float32
    assert_nearest(indices, distances, truth(X, metric=metric), k, atol=2e-5)
    Q = clustered(130, 12, seed=1) + 3
    indices, distances = nearest_neighbors(X, k, queries=Q, metric=metric, method="exact")
    assert_nearest(indices, distances, truth(X, Q, metric), k, atol=2e-5)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_cells_reach_the_recall_for_rows_and_queries(metric):
    X, Q = clustered(3000, 16), clustered(400, 16, seed=0)
    index = NeighborIndex(X, metric, method="cells", recall=0.99)
    indices, distances = index.graph(10)
    expected = truth(X, metric=metric)
    assert recall(indices, expected) >= 0.99
    found = np.take_along_axis(expected, indices, 1)
    np.testing.assert_allclose(distances, found, atol=1e-5)
    assert (indices != np.arange(3000)[:, None]).all()
    indices, _ = index.query(Q, 10)
    assert recall(indices, truth(X, Q, metric)) >= 0.99


@pytest.mark.parametrize("method", ["exact", "cells"])
def test_bfloat16_products_are_ranked_again_in_float32(monkeypatch, method):
    X = clustered(600, 12)
    for module in (neighbors, topk):
        monkeypatch.setattr(module, "matmul_dtype", lambda device: torch.bfloat16)
    indices, distances = nearest_neighbors(X, 8, method=method, recall=1.0)
    expected = truth(X)
    assert recall(indices, expected) >= 0.995
    np.testing.assert_allclose(distances, np.take_along_axis(expected, indices, 1), atol=2e-6)


def test_cells_look_into_part_of_the_rows_only():
    index = NeighborIndex(clustered(4000, 8), "euclidean", method="cells")
    index.graph(5)
    # With bfloat16 products more neighbors than the five are looked for.
    (n_probes,) = index._n_probes.values()
    assert n_probes < index._cells.n_cells / 3


@pytest.mark.parametrize("method", ["exact", "cells"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_equal_rows_are_neighbors_at_distance_zero_but_no_row_is_its_own(method, metric):
    X = clustered(300, 6)
    X[40:80] = X[40]
    indices, distances = nearest_neighbors(X, 8, metric=metric, method=method, recall=1.0)
    assert (indices != np.arange(300)[:, None]).all()
    twins = indices[40:80]
    assert ((twins >= 40) & (twins < 80)).all()
    assert (distances[40:80] == 0).all()
    assert_nearest(indices, distances, truth(X, metric=metric), 8, atol=2e-4)


@pytest.mark.parametrize("method", ["exact", "cells"])
def test_zero_rows_are_at_cosine_distance_one_from_everything(method):
    X = clustered(200, 5)
    X[[3, 90]] = 0
    indices, distances = nearest_neighbors(X, 4, method=method, recall=1.0)
    assert (distances[[3, 90]] == 1).all()
    assert not np.isin([3, 90], np.delete(indices, [3, 90], axis=0)).any()


def test_tiny_and_huge_rows_have_directions():
    X = np.array([[1e-30, 0], [1e30, 1e29], [0, 1e-30], [-1e30, 1]], dtype=np.float32)
    indices, distances = nearest_neighbors(X, 1)
    assert indices.ravel().tolist() == [1, 0, 1, 2]
    assert np.isfinite(distances).all()


@pytest.mark.parametrize(("X", "k"), [(np.ones((400, 3)), 5), (clustered(20, 3), 19)])
def test_rows_that_are_all_equal_or_all_neighbors(X, k):
    indices, distances = nearest_neighbors(X, k, method="cells")
    assert_nearest(indices, distances, truth(X), k)
    assert (indices != np.arange(len(X))[:, None]).all()


@pytest.mark.parametrize("method", ["exact", "cells"])
def test_one_query_at_a_time_gives_the_same(method):
    X, Q = clustered(1500, 8), clustered(20, 8, seed=3)
    index = NeighborIndex(X, "euclidean", method=method)
    together, _ = index.query(Q, 6)
    alone = np.concatenate([index.query(q[None], 6)[0] for q in Q])
    np.testing.assert_array_equal(together, alone)


def test_the_seed_fixes_the_cells():
    X = clustered(2000, 8)
    one, two = (nearest_neighbors(X, 5, method="cells", recall=0.8) for _ in range(2))
    np.testing.assert_array_equal(one[0], two[0])
    other = nearest_neighbors(X, 5, method="cells", recall=0.8, random_state=1)
    assert not np.array_equal(one[0], other[0])


def test_auto_depends_on_the_number_of_rows(monkeypatch):
    monkeypatch.setattr(neighbors, "_EXACT_UP_TO", 50)
    monkeypatch.setattr(neighbors, "_CELLS_UP_TO", 100)
    X = clustered(101, 3)
    assert NeighborIndex(X[:50]).method == "exact"
    assert NeighborIndex(X[:100]).method == "cells"
    monkeypatch.setattr(neighbors, "is_installed", lambda name: True)
    assert NeighborIndex(X).method == "pynndescent"
    monkeypatch.setattr(neighbors, "is_installed", lambda name: False)
    assert NeighborIndex(X).method == "cells"


class FakeDescent:
    """Stands in for pynndescent, whose compilation takes half a minute; misses some rows."""

    def __init__(self, rows, metric, n_neighbors, random_state):
        self.rows, self.metric = rows, metric
        assert isinstance(random_state, int)

    def query(self, queries, k):
        found = np.argsort(cdist(queries, self.rows), axis=1, kind="stable")[:, :k]
        found[5] = np.roll(found[5], -1)
        found[5, -1] = 200
        found[7, -1] = -1
        return found.astype(np.int32), None


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_pynndescent_drops_the_row_itself_and_fills_gaps(monkeypatch, metric):
    library = types.SimpleNamespace(NNDescent=FakeDescent)
    monkeypatch.setattr(descent, "require", lambda name, purpose: library)
    X = clustered(300, 6)
    index = NeighborIndex(X, metric, method="pynndescent")
    indices, distances = index.graph(6)
    assert_nearest(indices, distances, truth(X, metric=metric), 6, atol=2e-5)
    Q = clustered(30, 6, seed=1)
    indices, _ = index.query(Q, 6)
    keep = np.arange(30) != 5
    exact = nearest_neighbors(X, 6, queries=Q, metric=metric)[0]
    np.testing.assert_array_equal(indices[keep], exact[keep])


@pytest.mark.parametrize(
    ("k", "settings", "message"),
    [
        (10, {}, "k=10 neighbors were asked for, but there are only 9 oth"),
        (11, {"queries": np.zeros((10, 3))}, "only 10 stored rows: ask for fewer neighbors"),
        (0, {}, "'k' parameter of NeighborIndex must be an int of at least 1. Got 0"),
        (2, {"metric": "hamming"}, "'metric' .* must be one of cosine, euclidean. Got 'ham"),
        (2, {"method": "brute"}, "'method' .* must be one of auto, exact"),
        (2, {"recall": 0}, r"'recall' .* must be a float in \(0, 1\]. Got 0"),
        (2, {"queries": np.zeros((1, 4))}, "must have 3 features like the stored rows. Got 4"),
    ],
)
def test_bad_settings(k, settings, message):
    with pytest.raises(UsageError, match=message):
        nearest_neighbors(clustered(10, 3), k, **settings)


def test_rows_that_are_not_finite():
    X = clustered(10, 3)
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match="Input X contains NaN"):
        nearest_neighbors(X, 2)
    with pytest.raises(ValueError, match="Input queries contains NaN"):
        NeighborIndex(clustered(10, 3)).query(X, 2)


@pytest.mark.data
@pytest.mark.skipif("FEWLABEL_DATA" not in os.environ, reason="FEWLABEL_DATA is not set")
def test_cells_reach_the_recall_on_real_images():
    X = load_benchmark("fashion-mnist", "test").read(slice(4000)).reshape(4000, -1)[:, ::4]
    indices, _ = nearest_neighbors(X.astype(np.float32), 15, method="cells")
    assert recall(indices[::40], truth(X, X[::40]) + np.eye(4000)[::40] * 9) >= 0.99
