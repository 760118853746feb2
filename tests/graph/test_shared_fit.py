import numpy as np
import pytest

from fewlabel.data import SingleLabel
from fewlabel.evaluate import label_folds
from fewlabel.graph.graph_model import _GraphModel
from fewlabel.graph.linear_model import PENALTIES, _confident_targets, _labeled_rows
from fewlabel.graph.shared_fit import _preferred_spread, _SharedFit
from tests.graph.examples import groups

TASK = SingleLabel()
ALPHAS = (0.5, 0.9, 0.99)


def make():
    X, codes = groups(90)
    folds = label_folds(TASK, codes, None, 4, np.random.default_rng(0))
    return _SharedFit(TASK, X, codes, 3, folds, _GraphModel(X, 6, 0))


def test_the_baseline_is_cross_fitted_on_the_shared_folds():
    shared = make().fit(("supervised",), (0.9,))
    for train, held in shared.folds.folds:
        rows = _labeled_rows(TASK, shared.X[train], shared.y[train], 3)
        model = rows.fit(np.arange(len(train)), shared.settings["C"])
        np.testing.assert_allclose(
            shared.oof["supervised"][np.searchsorted(shared.folds.labeled, held)],
            model.predict_proba(shared.X[held]),
            atol=1e-6,
        )


@pytest.mark.usefixtures("min_trained")
def test_what_is_propagated_for_a_fold_sees_nothing_of_its_labels():
    """Whatever the labels of a fold are, the predictions for it are the same."""
    before, after = make(), make()
    fold = before.folds.folds[0][1]
    after.y = before.y.copy()
    after.y[fold] = (after.y[fold] + 1) % 3
    results = []
    for shared in (before, after):
        # The settings are chosen with all labels: keep them fixed.
        shared.settings |= {"class_prior": "uniform"}
        scores = shared._solve(shared.folds, 0.9, keep=True)
        shared.propagated = scores.full("uniform")
        shared.settings["alpha"] = 0.9
        shared._on_propagated(scores)
        shared._on_refined(scores)
        at = np.searchsorted(shared.folds.labeled, fold)
        results.append([shared.oof[name][at] for name in ("propagated", "refined")])
    np.testing.assert_allclose(results[0], results[1], atol=1e-3)


def test_one_candidate_is_trained_on_confident_propagated_labels():
    shared = make().fit(("propagated", "supervised"), (0.9,))
    rows, targets, weights = _confident_targets(
        shared.propagated, shared.y, fraction=0.5, at_most=8_000
    )
    prepared = _labeled_rows(TASK, shared.X[rows], targets, 3)
    model = prepared.fit(np.arange(len(rows)), PENALTIES[0], weights)
    np.testing.assert_allclose(
        shared.predictor.predict_proba(shared.X, "propagated"),
        model.predict_proba(shared.X),
        atol=1e-6,
    )


@pytest.mark.parametrize("winner", ALPHAS)
def test_the_spread_that_is_kept_is_that_of_the_chosen_alpha(winner, monkeypatch):
    """Also where the last comparison brings back a value that had been dropped before."""
    rounds, shared = [], make()

    def best(by_name, **options):
        rounds.append(list(by_name))
        # Always the newest, until all are there.
        return f"{winner} labels" if len(rounds) == len(ALPHAS) else rounds[-1][-1]

    monkeypatch.setattr(shared, "best", best)
    scores = shared._spread(ALPHAS, keep=False)
    assert shared.settings == {"alpha": winner, "class_prior": "labels"}
    expected = shared._solve(shared.folds, winner, keep=False)
    np.testing.assert_array_equal(scores.full("labels"), expected.full("labels"))
    assert rounds[-1] == [f"{a} {p}" for a in ALPHAS for p in ("uniform", "labels")]


def test_few_labels_want_a_large_alpha_and_those_of_many_digits_are_kept_apart():
    assert _preferred_spread(5, ALPHAS, TASK.class_priors)[0] == "0.99 uniform"
    assert _preferred_spread(200, ALPHAS, TASK.class_priors)[0] == "0.9 uniform"
    assert len(set(_preferred_spread(10, ALPHAS, TASK.class_priors))) == 2 * len(ALPHAS)
    shared = make()
    shared._spread((0.9999991, 0.9999999), keep=False)
    assert shared.settings["alpha"] in (0.9999991, 0.9999999)


def test_new_rows_are_predicted_by_graph_and_baseline():
    shared = make().fit(("blend", "supervised"), (0.9,))
    predictor, X = shared.predictor, shared.X[:7] + 0.1
    both = (predictor.predict_proba(X, name) for name in ("graph", "supervised"))
    np.testing.assert_allclose(predictor.predict_proba(X, "blend"), TASK.combine(*both))
    np.testing.assert_array_equal(predictor.transduce(shared.X, "graph"), predictor.probabilities)
