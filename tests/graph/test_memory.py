"""What many rows take: blocks of them, never a copy of all, and no number for each fold and row."""

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from fewlabel.cluster import cells, neighbors
from fewlabel.cluster.neighbors import NeighborIndex
from fewlabel.cluster.strategies import clusters
from fewlabel.data import SingleLabel
from fewlabel.evaluate import label_folds
from fewlabel.graph import graph_model, linear_model, neighbor_graph
from fewlabel.graph.graph_model import _GraphModel
from fewlabel.graph.linear_model import LinearModel
from fewlabel.graph.refined import _LinearScores, _RefinedGraph
from tests.test_reading import resident

N, D, K = 20_000, 48, 6


def peak(work):
    """Return the most bytes of numpy's arrays that a piece of work holds beyond what there was."""
    tracemalloc.start()
    work()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    rng = np.random.default_rng(0)
    X = 4 * rng.normal(size=(200, D))[rng.integers(200, size=N)]
    X += rng.normal(size=(N, D))
    file = np.memmap(tmp_path_factory.mktemp("rows") / "a.rows", np.float16, "w+", shape=(N, D))
    file[:] = X
    return file


@pytest.fixture(scope="module")
def graph(rows):
    return _GraphModel(rows, 5, seed=0)


def in_blocks(monkeypatch, size):
    for module in (cells, neighbors):
        monkeypatch.setattr(module, "BLOCK_ROWS", size)
    for module in (clusters, linear_model):
        monkeypatch.setattr(module, "_BLOCK_ROWS", size)
    monkeypatch.setattr("fewlabel.graph.refined._BLOCK_ROWS", size)


def test_neighbors_of_mapped_rows_take_the_rows_once_and_blocks(rows, monkeypatch):
    found = {}
    for size in (N, 1_000):
        in_blocks(monkeypatch, size)

        def search(size=size):
            found[size] = NeighborIndex(rows, random_state=0).graph(40)

        found[f"peak {size}"] = peak(search)
    held = N * D * 4 + N * 40 * 12
    assert found["peak 1000"] - held < 0.5 * (found[f"peak {N}"] - held)
    same = found[N][0] == found[1_000][0]
    assert same.mean() > 0.99


def test_what_is_linear_in_the_rows_takes_blocks_of_them(rows, monkeypatch):
    in_blocks(monkeypatch, 1_000)
    model = LinearModel(np.ones((D, K), np.float32), np.zeros(K, np.float32), SingleLabel())
    # The probabilities, and not the rows in float32, let alone several times.
    assert peak(lambda: model.predict_proba(rows)) < N * K * 8 + 20 * 1_000 * D * 4
    monkeypatch.setattr(clusters, "_MIN_LEADING", 8)
    monkeypatch.setattr(clusters, "_LEADING_FRACTION", 0.0)
    assert peak(lambda: clusters._leading(rows)) < N * 8 * 4 + 20 * 1_000 * D * 4


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_was_read_of_mapped_rows_is_given_back(rows, graph):
    file, coef = Path(rows.filename), np.ones((D, K), np.float32)
    for read in (
        lambda: NeighborIndex(rows),
        lambda: LinearModel(coef, np.zeros(K, np.float32), SingleLabel()).predict_proba(rows),
        lambda: _RefinedGraph(graph, _LinearScores(coef)),
    ):
        assert rows.max() > 0
        assert resident(file) > 0
        read()
        assert resident(file) == 0


def test_a_refined_graph_takes_a_few_numbers_an_edge(graph, monkeypatch):
    in_blocks(monkeypatch, 1_000)
    coef = np.random.default_rng(0).normal(size=(D, K)).astype(np.float32)
    refined = _RefinedGraph(graph, _LinearScores(coef))
    seeds = np.zeros((N, K), np.float32)
    seeds[np.arange(60), np.arange(60) % K] = 1
    edges, scores = graph.graph.nnz * 8, N * K * 8
    limit = 6 * edges + 8 * scores
    assert peak(lambda: refined.spread(seeds, 0.9, np.full(K, 1 / K), [False])) < limit


def test_a_solve_takes_a_few_numbers_a_class_whatever_the_folds(graph, monkeypatch):
    task, y = SingleLabel(), np.full(N, -1)
    y[:240] = np.arange(240) % K
    for module in (graph_model, neighbor_graph):
        monkeypatch.setattr(module, "_VALUES_A_SOLVE", K * N)
    peaks = {}
    for n_folds in (4, 40):
        folds = label_folds(task, y, None, n_folds, np.random.default_rng(0))
        for at_once in (10**9, 10**5):
            for name in ("_AT_ONCE", "_SAMPLED"):
                monkeypatch.setattr(graph_model, name, at_once)
            peaks[n_folds, at_once] = peak(
                lambda folds=folds: graph.solve(task, y, folds, K, 0.9, keep=True)
            )
    bounded, whole = (peaks[40, at_once] for at_once in (10**5, 10**9))
    assert whole > 40 * K * N * 4
    assert bounded < 0.2 * whole
    assert bounded < 1.5 * peaks[4, 10**5]
