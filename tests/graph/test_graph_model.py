import numpy as np
import pytest

from fewlabel.data import MultiLabel, SingleLabel
from fewlabel.evaluate import label_folds
from fewlabel.graph import graph_model
from fewlabel.graph.graph_model import _GraphModel
from tests.graph.examples import groups, tables

ALPHA = 0.9
TASK = SingleLabel()


def test_one_row_has_no_graph():
    model = _GraphModel(np.ones((1, 3), np.float32), 10, seed=0)
    assert model.graph is None
    proba = model.predict(np.ones((2, 3), np.float32), TASK, np.array([[0.25, 0.75]]))
    assert proba.tolist() == [[0.25, 0.75]] * 2


def test_new_rows_take_after_their_neighbors():
    X, codes = groups(seed=4)
    model = _GraphModel(X, 5, seed=0)
    folds = label_folds(TASK, codes, None, 4, np.random.default_rng(0))
    full = model.solve(TASK, codes, folds, 3, ALPHA).full("uniform")
    near = model.predict(X * 2, TASK, full)
    assert (near.argmax(axis=1) == full.argmax(axis=1)).mean() > 0.9
    np.testing.assert_allclose(near.sum(axis=1), 1)
    # A saved model has the rows and no graph, and predicts the same.
    again = _GraphModel(X, 5, 0, graph=False)
    np.testing.assert_allclose(again.predict(X * 2, TASK, full), near)


@pytest.mark.parametrize("task", [SingleLabel(), MultiLabel()])
def test_a_solve_in_pieces_gives_the_same(task, monkeypatch):
    X, y = groups() if task.exclusive else tables()
    model = _GraphModel(X, 8, 0)
    folds = label_folds(task, y, None, 3, np.random.default_rng(0))
    whole = model.solve(task, y, folds, 3, ALPHA)
    for name in ("_AT_ONCE", "_SAMPLED", "_VALUES_A_SOLVE"):
        monkeypatch.setattr(graph_model, name, 3 * len(X))
    pieces = model.solve(task, y, folds, 3, ALPHA)
    assert pieces.scores is None
    sampled = model.solve(task, y, folds, 3, ALPHA, keep=True)
    rows = sampled.rows
    assert len(rows) < 0.6 * len(X)
    assert np.isin(folds.labeled, rows).all()
    for fold in range(3):
        a, b = whole.without(fold, "labels")[rows], sampled.without(fold, "labels")
        np.testing.assert_allclose(a, b, atol=5e-3)
    for name in ("full", "cross_fitted"):
        a, b = (getattr(scores, name)("labels") for scores in (whole, pieces))
        np.testing.assert_allclose(a, b, atol=5e-3)
