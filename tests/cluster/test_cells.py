"""Neighbors by cells: the recall asked for, in part of the rows."""

import os

import numpy as np
import pytest

from fewlabel.cluster.neighbors import NeighborIndex, nearest_neighbors
from fewlabel.data import load_benchmark
from tests.cluster.examples import clustered, recall, truth


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_they_reach_the_recall_for_rows_and_queries(metric):
    X, Q = clustered(3000, 16), clustered(400, 16, seed=0)
    index = NeighborIndex(X, metric, method="cells", recall=0.99)
    indices, distances = index.graph(10)
    expected = truth(X, metric=metric)
    assert recall(indices, expected) >= 0.99
    np.testing.assert_allclose(distances, np.take_along_axis(expected, indices, 1), atol=1e-5)
    assert (indices != np.arange(3000)[:, None]).all()
    assert recall(index.query(Q, 10)[0], truth(X, Q, metric)) >= 0.99


def test_they_look_into_part_of_the_rows_which_the_seed_decides():
    index = NeighborIndex(clustered(4000, 8), "euclidean", method="cells")
    index.graph(5)
    assert index._n_probes[5] < index._cells.n_cells / 3
    X = clustered(2000, 8)
    one, two, other = (
        nearest_neighbors(X, 5, method="cells", recall=0.8, random_state=s)[0] for s in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


@pytest.mark.data
@pytest.mark.skipif("FEWLABEL_DATA" not in os.environ, reason="FEWLABEL_DATA is not set")
def test_they_reach_the_recall_on_real_images():
    X = load_benchmark("fashion-mnist", "test").read(slice(4000)).reshape(4000, -1)[:, ::4]
    indices, _ = nearest_neighbors(X.astype(np.float32), 15, method="cells")
    assert recall(indices[::40], truth(X, X[::40]) + np.eye(4000)[::40] * 9) >= 0.99
