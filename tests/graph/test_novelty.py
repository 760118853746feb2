"""Images of a class that nobody labeled, found among pool and new images."""

from types import SimpleNamespace

import numpy as np
import pytest

from fewlabel.data import MultiLabel, SingleLabel
from fewlabel.errors import ModelFormatError
from fewlabel.evaluate import Problem
from fewlabel.graph import deal_folds, fit_main
from fewlabel.graph.novelty import _fit_novelty, _Novelty

N, N_LABELED = 600, 60


def fitted(task, seed=0, own_graph=False):
    """Fit three clusters, of which the last has no label: rows, groups, novelty and scores."""
    rng = np.random.default_rng(seed)
    group = rng.integers(3, size=N)
    X = (6 * np.eye(3, 8)[group] + rng.normal(size=(N, 8))).astype(np.float32)
    labeled = np.flatnonzero(group < 2)[:N_LABELED]
    y = task.empty(N, 2)
    y[labeled] = group[labeled] if y.ndim == 1 else np.eye(2, dtype=int)[group[labeled]]
    folds = deal_folds(y, None, seed)
    problem = Problem(
        task=task, images=None, extractor=None, rows=X, y=y, n_classes=2, folds=folds, seed=seed
    )
    main = fit_main(problem)
    rows = X.copy() if own_graph else X
    audited = np.flatnonzero(group < 2)[-40:]
    return X, group, main.kept, _fit_novelty(problem, main, main.comparison, rows, audited)


@pytest.mark.parametrize("own_graph", [False, True])
@pytest.mark.parametrize("task", [SingleLabel(), MultiLabel()])
def test_a_class_without_labels_is_found(task, own_graph):
    _, group, kept, (novelty, scores) = fitted(task, own_graph=own_graph)
    alarms, free = novelty.alarms, np.arange(N) >= N_LABELED * 2
    assert (scores > alarms.threshold)[free & (group == 2)].mean() > 0.9
    assert (scores > alarms.threshold)[free & (group < 2)].mean() <= alarms.high
    assert alarms.n_labels == N_LABELED + 40
    rng = np.random.default_rng(1)
    new = (6 * np.eye(3, 8)[np.arange(300) % 3] + rng.normal(size=(300, 8))).astype(np.float32)
    scores = novelty.scores(new, task.entropy(kept.predict_proba(new)))
    assert (scores > alarms.threshold)[2::3].mean() > 0.9
    assert np.delete(scores > alarms.threshold, np.s_[2::3]).mean() <= alarms.high


def test_the_rate_of_false_alarms_holds_over_draws():
    rates = []
    for seed in range(8):
        _, group, _, (novelty, scores) = fitted(SingleLabel(), seed)
        known = (np.arange(N) >= N_LABELED * 2) & (group < 2)
        rates.append((scores > novelty.alarms.threshold)[known].mean())
    assert np.mean(rates) <= 0.05 + 2 * np.std(rates) / len(rates) ** 0.5


def test_an_image_of_the_fit_is_as_unlike_as_it_was_there():
    X, _, kept, (novelty, scores) = fitted(SingleLabel())
    free = np.arange(N_LABELED * 2, N)
    again = novelty.scores(X[free], SingleLabel().entropy(kept.proba[free]))
    # What its own fold sends is all that differs: it has no label.
    np.testing.assert_allclose(again, scores[free], rtol=1e-3, atol=1e-3)
    assert novelty._nearest(X[:5])[0].shape == (5, novelty.graph.n_neighbors)


@pytest.mark.parametrize("shared", [False, True])
def test_what_is_saved_scores_alike(shared):
    X, _, _, (novelty, _) = fitted(SingleLabel())
    known = X if shared else None
    arrays, meta = novelty.to_state(known)
    assert ("rows" in arrays) != shared
    loaded = _Novelty.from_state(arrays, meta, known, X.shape[1])
    np.testing.assert_array_equal(
        loaded.scores(X[:9], np.zeros(9)), novelty.scores(X[:9], np.zeros(9))
    )
    assert loaded.alarms == novelty.alarms
    for name, damaged in {"mass": arrays["mass"][1:], "calibration": np.zeros(18)}.items():
        with pytest.raises(ModelFormatError, match=name):
            _Novelty.from_state(arrays | {name: damaged}, meta, known, X.shape[1])
    with pytest.raises(ModelFormatError, match="rows"):
        _Novelty.from_state(arrays, meta, known, X.shape[1] + 1)


def test_a_model_keeps_no_rows_that_are_too_many(monkeypatch):
    _, _, _, (novelty, _) = fitted(SingleLabel())
    monkeypatch.setattr("fewlabel.graph.novelty._MAX_KEPT", 10)
    assert novelty.to_state(None) == ({}, None)


def test_nothing_is_scored_where_fewer_than_19_labels_can_be_tested():
    kept = SimpleNamespace(tested=np.arange(18), unseen=np.zeros(18, bool))
    folds = SimpleNamespace(folds=object())
    assert _fit_novelty(folds, None, kept, None, np.arange(0)) == (None, None)
