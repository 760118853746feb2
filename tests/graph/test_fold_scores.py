"""One solve gives what refitting without each fold would give."""

from functools import partial

import numpy as np
import pytest

from fewlabel.data import MultiLabel, SingleLabel
from fewlabel.data.targets import _one_hot
from fewlabel.evaluate import label_folds
from fewlabel.graph import graph_model, spread
from fewlabel.graph.graph_model import _GraphModel
from fewlabel.graph.neighbor_graph import _class_mass_normalize
from tests.graph.examples import groups, tables

ALPHA = 0.9
TASK = SingleLabel()
deal = partial(label_folds, TASK)


def refitted_without(model, codes, held, class_prior):
    others = codes.copy()
    others[held] = -1
    counts = np.bincount(others[others >= 0], minlength=3).astype(float)
    shares = counts if class_prior == "labels" else (counts > 0).astype(float)
    S = model.graph.toarray().astype(np.float64)
    exact = np.linalg.solve(np.eye(len(codes)) - ALPHA * S, _one_hot(others, 3))
    return _class_mass_normalize(exact, shares / shares.sum())


@pytest.mark.parametrize("class_prior", ["uniform", "labels"])
@pytest.mark.parametrize("n_folds", [3, 24])
@pytest.mark.parametrize(("tol", "atol"), [(1e-6, 1e-4), (1e-3, 0.02)])
def test_one_solve_gives_what_refitting_without_each_fold_gives(
    class_prior, n_folds, tol, atol, monkeypatch
):
    monkeypatch.setattr(graph_model, "spread", lambda *args: spread(*args, tol=tol))
    X, codes = groups()
    # A class with a single label: no prior is left for it when it is held out.
    codes[codes == 2] = -1
    codes[np.flatnonzero(codes < 0)[0]] = 2
    folds = deal(codes, None, min(n_folds, (codes >= 0).sum()), np.random.default_rng(1))
    model = _GraphModel(X, 8, seed=0)
    scores = model.solve(TASK, codes, folds, 3, ALPHA)
    cross_fitted = scores.cross_fitted(class_prior)
    for number, (train, held) in enumerate(folds.folds):
        exact = refitted_without(model, codes, held, class_prior)
        without = scores.without(number, class_prior)
        np.testing.assert_allclose(without, exact, atol=atol)
        rows = np.searchsorted(folds.labeled, held)
        np.testing.assert_allclose(cross_fitted[rows], exact[held], atol=atol)
        # Where all rows are computed and where only the held ones are, it is the same.
        np.testing.assert_allclose(cross_fitted[rows], without[held], atol=1e-5)
        counts = np.bincount(codes[train], minlength=3)
        prior = scores.at_labels.prior(np.setdiff1d(np.arange(len(folds.folds)), number), "labels")
        np.testing.assert_allclose(prior, counts / counts.sum())
    full = scores.full(class_prior)
    np.testing.assert_allclose(full, refitted_without(model, codes, [], class_prior), atol=atol)
    np.testing.assert_allclose(full.sum(axis=1), 1)


def test_duplicates_share_a_fold_and_do_not_predict_each_other():
    rng = np.random.default_rng(0)
    distinct = rng.normal(size=(30, 5)).astype(np.float32)
    copies = np.repeat(np.arange(30), 2)
    codes = np.full(60, -1)
    codes[:40] = rng.integers(2, size=20).repeat(2)
    folds = deal(codes, copies, 5, rng)
    scores = _GraphModel(distinct[copies], 3, seed=0).solve(TASK, codes, folds, 2, ALPHA)
    np.testing.assert_array_equal(scores.at_labels.fold_of[0::2], scores.at_labels.fold_of[1::2])
    # The labels are random: without its copy's label a row is guessed, not looked up.
    right = scores.cross_fitted("uniform").argmax(axis=1) == codes[:40]
    assert right.mean() < 0.8


def test_cross_fitting_several_labels_is_fitting_without_the_fold():
    X, y = tables()
    task, model = MultiLabel(), _GraphModel(X, 10, 0)
    folds = label_folds(task, y, None, 4, np.random.default_rng(0))
    crossed = model.solve(task, y, folds, 3, ALPHA).cross_fitted("labels")
    held = folds.folds[0][1]
    without = task.without(y, held)
    others = label_folds(task, without, None, 2, np.random.default_rng(0))
    refitted = model.solve(task, without, others, 3, ALPHA).full("labels")
    at = np.searchsorted(folds.labeled, held)
    assert np.abs(crossed[at] - refitted[held]).max() < 0.05
    known = y[held] >= 0
    assert np.abs(crossed[at] - y[held])[known].mean() > 0.01
