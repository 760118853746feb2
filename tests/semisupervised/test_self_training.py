"""Self-training as an estimator."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from fewlabel import NetworkClassifier, SelfTraining, TeacherStudent
from fewlabel.errors import UsageError
from fewlabel.semisupervised.self_training import _SelfTrack
from tests.semisupervised.conftest import few_digits, follow, start, sums_of_digits, train


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32), y


def few(y, n, seed=0, n_rows=500):
    """Labels of some of the first rows."""
    labeled = np.random.default_rng(seed).choice(n_rows, size=n, replace=False)
    known = np.full(n_rows, -1)
    known[labeled] = y[labeled]
    return known


def test_it_beats_the_labels_alone_on_unseen_digits(digits):
    X, y = digits
    gains = []
    for seed in range(3):
        known = few(y, 40, seed, n_rows=900)
        labeled = known >= 0
        alone = LogisticRegression(max_iter=200).fit(X[:900][labeled], known[labeled])
        model = SelfTraining(random_state=seed).fit(X[:900], known)
        gains.append(model.score(X[900:], y[900:]) - alone.score(X[900:], y[900:]))
    assert np.mean(gains) > 0.02


@pytest.mark.parametrize("selection", ["adaptive", "threshold", "top-k", "curriculum"])
@pytest.mark.parametrize("several", [False, True])
def test_every_selection_works_with_one_label_a_row_and_with_several(digits, selection, several):
    X, y = digits
    known = few(y, 60)
    if several:
        X, known, y, _ = sums_of_digits(800, 800, 100)
        known[0, 3] = -1
    n, given = len(known), known >= 0
    model = SelfTraining(selection=selection, threshold=0.7, max_rounds=2, random_state=0)
    model.fit(X[:n], known)
    alone = SelfTraining(max_rounds=0, random_state=0).fit(X[:n], known)
    rest = slice(100 if several else 900, None)
    assert model.score(X[rest], y[rest]) > alone.score(X[rest], y[rest]) - 0.05
    assert several or model.score(X[rest], y[rest]) > 0.75
    assert model.predict(X[:5]).shape == (5, *y.shape[1:])
    assert model.oof_proba_.shape == (100 if several else 60, 10)
    np.testing.assert_array_equal(model.transduction_[given], known[given])
    assert model.transduction_.min() >= 0
    entries = model.ledger_.columns()
    rows, labels = entries["row"], entries["label"]
    assert not np.isin(rows, np.flatnonzero(given.reshape(n, -1).all(axis=1))).any()
    right = y[rows, labels] == 1 if several else y[rows] == labels
    held = entries["revoked"] < 0
    assert not held.any() or right[held].mean() > 0.7


@pytest.mark.filterwarnings("ignore:.*takes -1 for unlabeled, which leaves one class")
def test_one_class_and_a_model_of_one_label_a_row_are_refused():
    X, few, _, _ = sums_of_digits()
    for kind in (SelfTraining, TeacherStudent):
        with pytest.raises(UsageError, match=f"{kind.__name__} needs labels of at least two cl"):
            kind().fit(X, np.where(few[:, 0] > 0, 3, -1))
    with pytest.raises(UsageError, match="give a NetworkClassifier"):
        SelfTraining(LogisticRegression()).fit(X, few)


def test_pseudo_labels_join_from_an_epoch_on(digits, monkeypatch):
    X, y = digits
    X, few = X[:400], np.where(np.arange(400) < 80, y[:400], -1)
    seen, fit = [], NetworkClassifier.fit_soft

    def watched(self, rows, *args, **settings):
        seen.append((len(rows), self.n_epochs, not hasattr(self, "network_")))
        return fit(self, rows, *args, **settings)

    monkeypatch.setattr(NetworkClassifier, "fit_soft", watched)
    network = NetworkClassifier(options={"widths": (32,)}, n_epochs=3, learning_rate=5e-3)
    settings = {"start_epoch": 12, "max_rounds": 3, "patience": 3, "n_folds": 2}
    model = SelfTraining(network, **settings, random_state=0).fit(X, few)
    folds, final = seen[:8], seen[8:]
    # Each network is made once, learns the labels for twelve epochs, then goes on by one each.
    assert [fresh for *_, fresh in folds] == [True, True] + [False] * 6
    assert {n for n, _, fresh in folds if fresh} == {40}
    assert {epochs for _, epochs, fresh in folds} == {12, 1}
    assert all(n > 40 for n, _, fresh in folds if not fresh)
    assert final[0][1:] == (12, True)
    assert len(final) == model.n_rounds_ + 1
    assert model.score(X[80:], y[80:400]) > 0.6
    assert [record.round for record in model.rounds_] == list(range(model.n_rounds_ + 1))


def test_the_chosen_round_is_among_the_best_in_cross_fitting():
    model, known = train("self-training")[0], few_digits()[1]
    right = model.classes_[model.oof_proba_.argmax(1)] == known[model.folds_.labeled]
    assert right.mean() == pytest.approx(model.val_accuracy_[model.n_rounds_])
    assert model.val_accuracy_[model.n_rounds_] > model.val_accuracy_.max() - 0.1
    # It stopped as soon as patience ran out.
    assert len(model.val_accuracy_) - 1 in (3, model.n_rounds_ + 2)


def test_a_search_accepts_anew_in_every_round_by_the_track_of_the_estimator(task, monkeypatch):
    accepted, accept = [], _SelfTrack.accept

    def watched(self, number):
        accepted.append(number)
        assert self.settings.get_params() == SelfTraining().get_params()
        return accept(self, number)

    monkeypatch.setattr(_SelfTrack, "accept", watched)
    kept = follow(task, "self-training", seconds=600.0)
    assert accepted == sorted(accepted)
    assert set(accepted) == set(range(1, accepted[-1] + 1))
    assert len(accepted) >= kept.n_networks - 1
    assert kept.history.rounds[0]["n_accepted"] == 0
    assert all(record["n_accepted"] > 0 for record in kept.history.rounds[1:])
    given = set(task.labeled(start(task)[0].y).tolist())
    # The last round was given all labels; those before could not know the held-out ones.
    assert not given & set(kept.history.accepted[-1].rows.tolist())
