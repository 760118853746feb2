import numpy as np
import pytest

from fewlabel.data import MultiLabel, SingleLabel
from fewlabel.evaluate import Problem, candidate_names, make_candidates
from fewlabel.evaluate.registry import REGISTRY
from fewlabel.graph import FewLabelClassifier, deal_folds, fit_main, spread_entropy
from fewlabel.graph.candidates import _preferred_methods
from fewlabel.graph.predictor import METHODS
from tests.graph.examples import groups

TASK = SingleLabel()


def test_what_is_preferred_follows_the_number_of_labels():
    assert _preferred_methods(TASK, 20, 0.5)[:2] == ("refined", "graph")
    assert _preferred_methods(TASK, 21, 0.05)[:2] == ("refined", "blend")
    assert _preferred_methods(TASK, 21, 0.06)[:2] == ("blend", "refined")
    assert _preferred_methods(MultiLabel(), 20, 0.5) == ()
    for n in (1, 10, 100):
        assert sorted(_preferred_methods(TASK, n, 0.5)) == sorted(METHODS)


@pytest.mark.usefixtures("min_trained")
@pytest.mark.parametrize("task", [TASK, MultiLabel()])
def test_registered_candidates_do_what_the_classifier_does(task):
    X, y = groups(90)
    if not task.exclusive:
        y = np.where(y[:, None] >= 0, y[:, None] == np.arange(3), -1).astype(np.int8)
    classifier = FewLabelClassifier(random_state=5).fit(X, y)

    def problem():
        folds = deal_folds(y, None, 5)
        return Problem(task, None, "extractor", X, y, n_classes=3, folds=folds, seed=5)

    one, names = problem(), [name for name in candidate_names(task) if name in METHODS]
    fitted = {c.name: c.fit(one) for c in make_candidates(task, names)}
    assert list(fitted) == [row.name for row in classifier.choice_.table]
    # The first of them has made the fit that all share.
    assert set(one.shared) == {("graph", 10), "graph and linear models"}
    for kept in (fitted[classifier.method_], fit_main(problem()).kept):
        assert (kept.name, kept.extractor) == (classifier.method_, "extractor")
        np.testing.assert_array_equal(kept.proba, classifier.proba_)
        np.testing.assert_array_equal(kept.oof_proba, classifier.oof_proba_)
        np.testing.assert_array_equal(kept.tested, classifier.folds_.labeled)
    for name, found in fitted.items():
        again = REGISTRY[name].from_state(*found.to_state())
        expected = found.predict_proba(X[:9] + 0.1)
        np.testing.assert_allclose(again.predict_proba(X[:9] + 0.1), expected, atol=1e-6)


@pytest.mark.parametrize("method", ["auto", *METHODS])
def test_what_is_asked_for_is_fitted_beside_the_baseline_and_kept(method):
    X, y = groups(90)
    problem = Problem(TASK, None, None, X, y, n_classes=3, folds=deal_folds(y, None, 0))
    main = fit_main(problem, method, n_neighbors=6, alphas=(0.5,))
    names = [row.name for row in main.comparison.choice.table]
    assert set(names) == ({*METHODS} if method == "auto" else {"supervised", method})
    assert main.kept.name == method or method == "auto"
    assert main.comparison.baseline.name == "supervised"
    assert main.kept.settings["alpha"] == 0.5
    assert main.shared.graph.n_neighbors == 6
    assert (main.shared.scores is not None) == (
        main.kept.name in ("propagated", "refined", "blend")
    )


@pytest.mark.parametrize("task", [TASK, MultiLabel()])
def test_labels_spread_with_less_doubt_over_rows_that_they_suit(task):
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=300)
    known = truth if task.exclusive else np.eye(3, dtype=np.int8)[truth]
    y = np.full_like(known, -1)
    y[:60] = known[:60]
    entropies = []
    for noise in (0.1, 0.5, 2.0):
        rows = (np.eye(3)[truth] + noise * rng.normal(size=(300, 3))).astype(np.float32)
        entropies.append(spread_entropy(Problem(task, None, None, rows, y, n_classes=3, seed=0)))
    assert entropies == sorted(entropies)
    assert entropies[0] < entropies[2] / 2
