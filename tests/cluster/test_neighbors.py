"""Neighbors whatever the search: equal rows, zeros, and what is refused."""

import numpy as np
import pytest

from fewlabel.cluster import neighbors
from fewlabel.cluster.neighbors import NeighborIndex, nearest_neighbors
from fewlabel.errors import UsageError
from tests.cluster.examples import assert_nearest, clustered, truth


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
    # One query at a time gives the same.
    index = NeighborIndex(X, metric, method=method)
    one_by_one = [index.query(row[None], 6)[0] for row in X[:20]]
    np.testing.assert_array_equal(index.query(X[:20], 6)[0], np.concatenate(one_by_one))


@pytest.mark.parametrize("method", ["exact", "cells"])
def test_zero_rows_are_far_from_everything_and_tiny_and_huge_ones_have_directions(method):
    X = clustered(200, 5)
    X[[3, 90]] = 0
    indices, distances = nearest_neighbors(X, 4, method=method, recall=1.0)
    assert (distances[[3, 90]] == 1).all()
    assert not np.isin([3, 90], np.delete(indices, [3, 90], axis=0)).any()
    X = np.array([[1e-30, 0], [1e30, 1e29], [0, 1e-30], [-1e30, 1]], dtype=np.float32)
    indices, distances = nearest_neighbors(X, 1, method=method)
    assert indices.ravel().tolist() == [1, 0, 1, 2]
    assert np.isfinite(distances).all()


@pytest.mark.parametrize(("X", "k"), [(np.ones((400, 3)), 5), (clustered(20, 3), 19)])
def test_rows_that_are_all_equal_or_all_neighbors(X, k):
    indices, distances = nearest_neighbors(X, k, method="cells")
    assert_nearest(indices, distances, truth(X), k)
    assert (indices != np.arange(len(X))[:, None]).all()


def test_auto_depends_on_the_number_of_rows(monkeypatch):
    monkeypatch.setattr(neighbors, "_EXACT_UP_TO", 50)
    X = clustered(101, 3)
    assert NeighborIndex(X[:50]).method == "exact"
    assert NeighborIndex(X).method == "cells"


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
def test_settings_and_rows_that_are_refused(k, settings, message):
    X = clustered(10, 3)
    with pytest.raises(UsageError, match=message):
        nearest_neighbors(X, k, **settings)
    hole = np.where(X[3, 1] == X, np.inf, X)
    with pytest.raises(ValueError, match="Input X contains infinity"):
        nearest_neighbors(hole, 2)
    with pytest.raises(ValueError, match="Input queries contains infinity"):
        NeighborIndex(X).query(hole, 2)
