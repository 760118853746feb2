"""The largest scores, tile by tile: exact, whatever the tiles and however candidates arrive."""

import numpy as np
import pytest

from fewlabel.cluster import topk
from fewlabel.cluster.neighbors import nearest_neighbors
from tests.cluster.examples import assert_nearest, clustered, truth


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize(("k", "flush_at"), [(1, 6_000_000), (7, 3), (60, 6_000_000)])
def test_exact_is_exact(monkeypatch, metric, k, flush_at):
    monkeypatch.setattr(topk, "_QUERY_ROWS", 100)
    monkeypatch.setattr(topk, "_TILE_COLUMNS", 144)
    monkeypatch.setattr(topk._TopScores, "_FLUSH_AT", flush_at)
    X, Q = clustered(500, 12) + 3, clustered(130, 12, seed=1) + 3
    for queries in (None, Q):
        found = nearest_neighbors(X, k, queries=queries, metric=metric, method="exact")
        assert [a.dtype for a in found] == [np.int64, np.float32]
        assert_nearest(*found, truth(X, queries, metric), k, atol=2e-5)
