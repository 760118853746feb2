import numpy as np
import pytest

from fewlabel.evaluate import Choice, label_folds
from fewlabel.graph import candidates as candidates_module
from fewlabel.graph.candidates import (
    Candidates,
    Predictor,
    blend,
    preferred_methods,
    preferred_spread,
)
from fewlabel.graph.graph_model import GraphModel
from fewlabel.graph.linear_model import PENALTIES, LinearModel, confident_targets

ALPHAS = (0.5, 0.9, 0.99)


def problem(n=90, n_labeled=24, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, size=n)
    X = (rng.normal(size=(n, 8)) + 2.5 * np.eye(3, 8)[truth]).astype(np.float32)
    codes = np.full(n, -1)
    labeled = rng.permutation(n)[:n_labeled]
    codes[labeled] = truth[labeled]
    return X, codes


def make(n_folds=4, seed=0):
    X, codes = problem(seed=seed)
    folds = label_folds(codes, None, n_folds, np.random.default_rng(0)) if n_folds else None
    return Candidates(X, codes, 3, GraphModel(X, 6, seed=0), folds)


def test_every_candidate_is_fitted_and_cross_fitted():
    candidates = make()
    fitted = candidates.fit(Candidates.NAMES, ALPHAS)
    assert set(fitted.cross_fitted) == set(Candidates.NAMES)
    for name in Candidates.NAMES:
        for proba, n in (
            (fitted.cross_fitted[name], 24),
            (fitted.predictor.predict_proba(candidates.X[:5], name), 5),
            (fitted.predictor.transduce(candidates.X, name), 90),
        ):
            assert proba.shape == (n, 3)
            np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_allclose(fitted.propagated.sum(axis=1), 1)
    assert fitted.settings["alpha"] in ALPHAS
    assert fitted.settings["class_prior"] in ("uniform", "labels")
    assert fitted.settings["C"] in PENALTIES


def test_the_baseline_is_cross_fitted_on_the_shared_folds():
    candidates = make()
    fitted = candidates.fit(("supervised",), (0.9,))
    assert set(fitted.cross_fitted) == {"supervised"}
    for train, held in candidates.folds.folds:
        model = LinearModel.fit(
            candidates.X[train], candidates.codes[train], 3, C=fitted.settings["C"]
        )
        rows = np.searchsorted(candidates.folds.labeled, held)
        np.testing.assert_allclose(
            fitted.cross_fitted["supervised"][rows],
            model.predict_proba(candidates.X[held]),
            atol=1e-6,
        )


def test_the_student_of_a_fold_sees_nothing_of_its_labels():
    """Whatever the labels of a fold are, the predictions for it are the same."""
    before = make()
    # The settings are chosen with all labels: keep them fixed.
    alphas = (0.9,)
    fold = before.folds.folds[0][1]
    after = make()
    after.codes = before.codes.copy()
    after.codes[fold] = (after.codes[fold] + 1) % 3
    for candidates in (before, after):
        candidates.settings |= {"class_prior": "uniform"}
    results = []
    for candidates in (before, after):
        scores = candidates.graph.solve(candidates.codes, candidates.folds, 3, alphas[0])
        _, cross_fitted = candidates._student(scores, scores.full("uniform"))
        results.append(cross_fitted[np.searchsorted(candidates.folds.labeled, fold)])
    np.testing.assert_allclose(results[0], results[1], atol=1e-3)


def test_the_student_is_trained_on_confident_labels_of_the_graph():
    candidates = make()
    fitted = candidates.fit(("student", "supervised"), (0.9,))
    rows, targets, weights = confident_targets(
        fitted.propagated, candidates.codes, share=0.5, most=8_000
    )
    model = LinearModel.fit(candidates.X[rows], targets, 3, C=PENALTIES[0], sample_weight=weights)
    np.testing.assert_allclose(
        fitted.predictor.predict_proba(candidates.X, "student"),
        model.predict_proba(candidates.X),
        atol=1e-6,
    )


def test_without_folds_everything_is_fitted_and_nothing_cross_fitted():
    fitted = make(n_folds=None).fit(Candidates.NAMES, ALPHAS)
    assert all(len(proba) == 0 for proba in fitted.cross_fitted.values())
    assert fitted.settings["alpha"] == ALPHAS[0]
    assert set(fitted.predictor.linear) == {"supervised", "student"}


@pytest.mark.parametrize("winner", ALPHAS)
def test_the_spread_that_is_kept_is_that_of_the_chosen_alpha(winner, monkeypatch):
    """Also where the last comparison brings back a value that had been dropped before."""
    rounds = []

    def choose(by_name, y_true, **options):
        rounds.append(list(by_name))
        # Always the newest, until all are there.
        chosen = f"{winner} labels" if len(rounds) == len(ALPHAS) else rounds[-1][-1]
        return Choice(chosen, ())

    monkeypatch.setattr(candidates_module, "choose_candidate", choose)
    candidates = make()
    scores = candidates._spread(ALPHAS)
    assert candidates.settings == {"alpha": winner, "class_prior": "labels"}
    expected = candidates.graph.solve(candidates.codes, candidates.folds, 3, winner)
    np.testing.assert_array_equal(scores.full("labels"), expected.full("labels"))
    assert rounds[-1] == [f"{a} {p}" for a in ALPHAS for p in ("uniform", "labels")]


def test_alphas_that_differ_in_the_last_digits_are_kept_apart():
    candidates = make()
    candidates._spread((0.9999991, 0.9999999))
    assert candidates.settings["alpha"] in (0.9999991, 0.9999999)


def test_what_is_preferred_follows_the_number_of_labels():
    assert preferred_methods(20)[0] == "graph"
    assert preferred_methods(21)[0] == "blend"
    assert preferred_spread(5, ALPHAS)[0] == "0.99 uniform"
    assert preferred_spread(200, ALPHAS)[0] == "0.9 uniform"
    for n in (1, 10, 100):
        assert sorted(preferred_methods(n)) == sorted(Candidates.NAMES)
        assert len(set(preferred_spread(n, ALPHAS))) == 2 * len(ALPHAS)


def test_the_blend_is_the_geometric_mean():
    rng = np.random.default_rng(0)
    a, b = rng.dirichlet(np.ones(4), size=(2, 10))
    expected = np.sqrt(a * b)
    np.testing.assert_allclose(blend(a, b), expected / expected.sum(axis=1, keepdims=True))
    # A zero on one side does not make a class impossible.
    certain = blend(np.array([[1.0, 0]]), np.array([[0, 1.0]]))
    assert certain.tolist() == [[0.5, 0.5]]


def test_the_predictor_blends_graph_and_baseline():
    candidates = make()
    fitted = candidates.fit(("blend", "supervised"), (0.9,))
    predictor: Predictor = fitted.predictor
    X = candidates.X[:7] + 0.1
    np.testing.assert_allclose(
        predictor.predict_proba(X, "blend"),
        blend(predictor.predict_proba(X, "graph"), predictor.predict_proba(X, "supervised")),
    )
    np.testing.assert_array_equal(
        predictor.transduce(candidates.X, "graph"), predictor.probabilities
    )
