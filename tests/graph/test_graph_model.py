from functools import partial

import numpy as np
import pytest

from fewlabel.data import MultiLabel, SingleLabel
from fewlabel.data.targets import one_hot
from fewlabel.evaluate import label_folds
from fewlabel.graph import graph_model, spread
from fewlabel.graph.graph_model import _GraphModel
from fewlabel.graph.neighbor_graph import _class_mass_normalize

ALPHA = 0.9
TASK = SingleLabel()
deal = partial(label_folds, TASK)


def problem(n=80, n_labeled=24, n_classes=3, seed=0):
    """Overlapping groups, unevenly labeled."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(n_classes, size=n)
    X = rng.normal(size=(n, 6)) + 3 * np.eye(n_classes, 6)[truth]
    codes = np.full(n, -1)
    labeled = rng.permutation(n)[:n_labeled]
    codes[labeled] = truth[labeled]
    return X.astype(np.float32), codes


def exact_scores(model, codes, n_classes):
    S = model.graph.toarray().astype(np.float64)
    return np.linalg.solve(np.eye(len(codes)) - ALPHA * S, one_hot(codes, n_classes))


def refitted_without(model, codes, held, n_classes, class_prior):
    others = codes.copy()
    others[held] = -1
    counts = np.bincount(others[others >= 0], minlength=n_classes).astype(float)
    shares = counts if class_prior == "labels" else (counts > 0).astype(float)
    return _class_mass_normalize(exact_scores(model, others, n_classes), shares / shares.sum())


@pytest.mark.parametrize("class_prior", ["uniform", "labels"])
@pytest.mark.parametrize("n_folds", [3, 24])
@pytest.mark.parametrize(("tol", "atol"), [(1e-6, 1e-4), (1e-3, 0.02)])
def test_one_solve_gives_what_refitting_without_each_fold_gives(
    class_prior, n_folds, tol, atol, monkeypatch
):
    monkeypatch.setattr(graph_model, "spread", lambda *args: spread(*args, tol=tol))
    X, codes = problem()
    # A class with a single label: no prior is left for it when it is held out.
    codes[codes == 2] = -1
    codes[np.flatnonzero(codes < 0)[0]] = 2
    folds = deal(codes, None, min(n_folds, (codes >= 0).sum()), np.random.default_rng(1))
    model = _GraphModel(X, 8, seed=0)
    scores = model.solve(TASK, codes, folds, 3, ALPHA)
    cross_fitted = scores.cross_fitted(class_prior)
    for number, (_, held) in enumerate(folds.folds):
        exact = refitted_without(model, codes, held, 3, class_prior)
        np.testing.assert_allclose(scores.without(number, class_prior), exact, atol=atol)
        rows = np.searchsorted(folds.labeled, held)
        np.testing.assert_allclose(cross_fitted[rows], exact[held], atol=atol)
        # Where all rows are computed and where only the held ones are, it is the same.
        np.testing.assert_allclose(
            cross_fitted[rows], scores.without(number, class_prior)[held], atol=1e-5
        )


@pytest.mark.parametrize("class_prior", ["uniform", "labels"])
def test_all_folds_together_give_the_full_prediction(class_prior):
    X, codes = problem(seed=1)
    model = _GraphModel(X, 8, seed=0)
    folds = deal(codes, None, 4, np.random.default_rng(0))
    full = model.solve(TASK, codes, folds, 3, ALPHA).full(class_prior)
    exact = refitted_without(model, codes, [], 3, class_prior)
    np.testing.assert_allclose(full, exact, atol=0.02)
    np.testing.assert_allclose(full.sum(axis=1), 1)


def test_a_held_out_label_does_not_help_itself():
    X, codes = problem(seed=2)
    folds = deal(codes, None, 5, np.random.default_rng(0))
    model = _GraphModel(X, 8, seed=0)
    before = model.solve(TASK, codes, folds, 3, ALPHA).cross_fitted("uniform")
    row = int(folds.labeled[0])
    fold = next(held for _, held in folds.folds if row in held)
    changed = codes.copy()
    changed[row] = (codes[row] + 1) % 3
    after = model.solve(TASK, changed, folds, 3, ALPHA).cross_fitted("uniform")
    same = np.isin(folds.labeled, fold)
    np.testing.assert_allclose(after[same], before[same], atol=1e-4)
    assert np.abs(after[~same] - before[~same]).max() > 1e-3


def test_duplicates_share_a_fold_and_do_not_predict_each_other():
    rng = np.random.default_rng(0)
    distinct = rng.normal(size=(30, 5)).astype(np.float32)
    groups = np.repeat(np.arange(30), 2)
    X = distinct[groups]
    codes = np.full(60, -1)
    codes[:40] = rng.integers(2, size=20).repeat(2)
    folds = deal(codes, groups, 5, rng)
    scores = _GraphModel(X, 3, seed=0).solve(TASK, codes, folds, 2, ALPHA)
    np.testing.assert_array_equal(scores.at_labels.fold_of[0::2], scores.at_labels.fold_of[1::2])
    # The labels are random: without its copy's label a row is guessed, not looked up.
    right = scores.cross_fitted("uniform").argmax(axis=1) == codes[:40]
    assert right.mean() < 0.8


def test_the_prior_of_a_fold_is_that_of_the_other_folds():
    X, codes = problem(seed=3)
    folds = deal(codes, None, 4, np.random.default_rng(0))
    scores = _GraphModel(X, 8, seed=0).solve(TASK, codes, folds, 3, ALPHA)
    for number, (train, _) in enumerate(folds.folds):
        counts = np.bincount(codes[train], minlength=3)
        others = np.setdiff1d(np.arange(4), [number])
        prior = scores.at_labels.prior(others, "labels")
        np.testing.assert_allclose(prior, counts / counts.sum())


def test_one_row_has_no_graph():
    model = _GraphModel(np.ones((1, 3), np.float32), 10, seed=0)
    assert model.graph is None
    proba = model.predict(np.ones((2, 3), np.float32), TASK, np.array([[0.25, 0.75]]))
    assert proba.tolist() == [[0.25, 0.75]] * 2


def test_new_rows_take_after_their_neighbors():
    X, codes = problem(seed=4)
    model = _GraphModel(X, 5, seed=0)
    folds = deal(codes, None, 4, np.random.default_rng(0))
    full = model.solve(TASK, codes, folds, 3, ALPHA).full("uniform")
    near = model.predict(X * 2, TASK, full)
    assert (near.argmax(axis=1) == full.argmax(axis=1)).mean() > 0.9
    np.testing.assert_allclose(near.sum(axis=1), 1)


def test_a_model_for_prediction_predicts_the_same():
    X, _ = problem(seed=5)
    model = _GraphModel(X, 5, seed=0)
    proba = np.random.default_rng(0).dirichlet(np.ones(3), size=len(X))
    again = _GraphModel(X, 5, 0, graph=False)
    expected = model.predict(X[:10], TASK, proba)
    np.testing.assert_allclose(again.predict(X[:10], TASK, proba), expected)


def several(n=120, n_labeled=60):
    """Three labels a row, some of which are unknown."""
    rng = np.random.default_rng(0)
    truth = (rng.random((n, 3)) < 0.4).astype(np.int8)
    X = rng.normal(size=(n, 8)) + 3 * truth @ np.eye(3, 8)
    y = np.where(np.arange(n)[:, None] < n_labeled, truth, -1).astype(np.int8)
    y[:10, 1] = -1
    return X.astype(np.float32), y


def test_cross_fitting_several_labels_is_fitting_without_the_fold():
    X, y = several()
    task, model = MultiLabel(), _GraphModel(X, 10, 0)
    folds = label_folds(task, y, None, 4, np.random.default_rng(0))
    crossed = model.solve(task, y, folds, 3, ALPHA).cross_fitted("labels")
    held = folds.folds[0][1]
    without = task.without(y, held)
    others = label_folds(task, without, None, 2, np.random.default_rng(0))
    alone = model.solve(task, without, others, 3, ALPHA).full("labels")
    at = np.searchsorted(folds.labeled, held)
    assert np.abs(crossed[at] - alone[held]).max() < 0.05
    known = y[held] >= 0
    assert np.abs(crossed[at] - y[held])[known].mean() > 0.01


@pytest.mark.parametrize("task", [SingleLabel(), MultiLabel()])
def test_a_solve_in_pieces_gives_the_same(task, monkeypatch):
    X, y = problem() if task.exclusive else several()
    model = _GraphModel(X, 8, 0)
    folds = label_folds(task, y, None, 3, np.random.default_rng(0))
    whole = model.solve(task, y, folds, 3, ALPHA)
    monkeypatch.setattr(graph_model, "_AT_ONCE", 3 * len(X))
    pieces = model.solve(task, y, folds, 3, ALPHA)
    assert pieces._scores is None
    for name in ("full", "cross_fitted"):
        a, b = (getattr(scores, name)("labels") for scores in (whole, pieces))
        np.testing.assert_allclose(a, b, atol=5e-3)
