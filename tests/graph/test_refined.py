import numpy as np
import pytest

from fewlabel.data import SingleLabel
from fewlabel.graph.graph_model import _GraphModel
from fewlabel.graph.neighbor_graph import spread
from fewlabel.graph.refined import _Discriminant, _RefinedGraph

TASK = SingleLabel()
PRIOR = np.full(2, 0.5)
SCORERS = {
    "regression": lambda X, proba: _Discriminant(X).regress(proba),
    "network": lambda X, proba: _Discriminant(X).train(proba, seed=0),
}
# A network needs more rows than these.
GAIN = {"regression": 0.01, "network": -0.005}


def problem(n=600, seed=0):
    """Two classes that one feature of twenty tells apart; the others are louder together."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(2, size=n)
    X = rng.normal(size=(n, 20)).astype(np.float32)
    X[:, 0] += 4 * truth - 2
    seeds = np.zeros((n, 2), np.float32)
    seeds[np.arange(40), truth[:40]] = 1
    return X, truth, seeds


def refined(X, seeds, fit_scorer):
    base = _GraphModel(X, 10, 0)
    scores = spread(base.graph, seeds, 0.97)
    before = TASK.normalize(scores, scores.sum(axis=0), None, PRIOR)
    graph = _RefinedGraph(base, fit_scorer(X, before))
    return before, graph, graph.spread(seeds, 0.97, PRIOR, [False])[0]


@pytest.mark.parametrize("scorer", SCORERS)
def test_features_that_tell_classes_apart_weigh_more(scorer):
    X, truth, seeds = problem()
    before, graph, after = refined(X, seeds, SCORERS[scorer])
    right = [(proba.argmax(axis=1)[40:] == truth[40:]).mean() for proba in (before, after)]
    assert right[1] > right[0] + GAIN[scorer]
    np.testing.assert_allclose(after.sum(axis=1), 1, atol=1e-6)
    # New rows, whatever their length.
    new, their_truth, _ = problem(seed=1)
    proba = graph.predict_proba(3 * new)
    assert (proba.argmax(axis=1) == their_truth).mean() > right[0] + min(0, GAIN[scorer])
    np.testing.assert_allclose(proba.sum(axis=1), 1)


@pytest.mark.parametrize("scorer", SCORERS)
def test_few_rows_of_many_features_and_rows_of_zeros(scorer):
    X = np.zeros((4, 50), np.float32)
    X[1:3, :2] = np.eye(2)
    seeds = np.zeros((4, 2), np.float32)
    seeds[[1, 2], [0, 1]] = 1
    _, graph, after = refined(X, seeds, SCORERS[scorer])
    assert after[1:3].argmax(axis=1).tolist() == [0, 1]
    assert np.isfinite(graph.predict_proba(np.zeros((3, 50), np.float32))).all()
