"""The loop of rounds: what is trained, entered, revoked, rolled back and kept."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from fewlabel.data.task import MultiLabel, SingleLabel
from fewlabel.semisupervised.acceptance import AcceptanceRule
from fewlabel.semisupervised.checkpoints import _Checkpoints
from fewlabel.semisupervised.models import _Models, _ModelTrack, _Training
from fewlabel.semisupervised.rounds import _best_round, _run_rounds

PROBA = np.array([[0.9, 0.1], [0.15, 0.85], [0.6, 0.4], [0.3, 0.7]])
Y = np.array([0, 1, 0, 1, -1, -1, -1, -1])
RIGHT = np.array([[0.9, 0.1], [0.1, 0.9]])


class Played(BaseEstimator):
    """Predicts what it is given."""

    def __init__(self, proba=None):
        self.proba = proba

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.array([0, 1])
        return self

    def predict_proba(self, X):
        return self.proba


class PlayedTrack(_ModelTrack):
    """Rounds whose predictions, for the rows held out and for the pool, are written down."""

    def __init__(self, plays, held=(2, 3), threshold=0.8):
        models = _Models(
            np.zeros((8, 1)), np.array([0, 1]), _Checkpoints(None), seed=0, stage="played"
        )
        super().__init__(SingleLabel(), Y, np.array(held, dtype=int), models)
        self.plays, self.seen = plays, []
        self.rule = AcceptanceRule("threshold", threshold, align=False)

    def accept(self, number):
        return self.rule.accept(self.task, self.proba[self.pool], Y, number).at(self.pool)

    def training(self, number, pseudo):
        sample = self.sample(self.labeled, pseudo, 0.25)
        self.seen.append((sample["rows"].tolist(), sample["weights"].tolist()))
        held, pool = self.plays[number]
        proba = np.concatenate([RIGHT, held, pool])
        return _Training(f"round-{number}", Played(proba), **sample)

    def figures(self, pseudo):
        return {"n": len(pseudo.rows)}


def test_a_round_trains_on_labels_and_accepted_rows_with_their_weights():
    track = PlayedTrack([(RIGHT, PROBA)] * 2)
    _run_rounds([track], max_rounds=1)
    assert track.seen == [([0, 1], [1, 1]), ([0, 1, 4, 5], [1, 1, 0.25, 0.25])]
    first, second = track.rounds
    assert (first.n_accepted, second.n_accepted, second.n_new) == (0, 2, 2)
    assert second.mean_confidence == pytest.approx(PROBA[:2].max(axis=1).mean())
    assert (first.accuracy, first.extra) == (1.0, {})
    assert second.to_dict()["n"] == 2


def test_a_pseudo_label_is_revoked_when_the_model_predicts_another():
    changed = np.array([[0.9, 0.1], [0.5, 0.5], [0.1, 0.9], [0.5, 0.5]])
    track = PlayedTrack([(RIGHT, PROBA), (RIGHT, changed), (RIGHT, PROBA)], held=())
    outcome = _run_rounds([track], max_rounds=2)
    assert [record.n_revoked for record in track.rounds] == [0, 0, 1]
    assert [record.n_accepted for record in track.rounds] == [0, 2, 2]
    columns = track.ledger(2).columns()
    assert columns["row"].tolist() == [4, 5, 6]
    assert columns["revoked"].tolist() == [-1, 2, -1]
    # What a later round assumed is in no earlier model.
    assert track.ledger(1).row == [4, 5]
    assert track.ledger(1).revoked == [-1, -1]
    # Nothing is held out: the last round is kept.
    assert outcome.best == 2
    assert outcome.accuracy.size == 0


def test_rounds_end_when_nothing_is_accepted_and_the_one_before_is_kept():
    track = PlayedTrack([(RIGHT, PROBA), (RIGHT, np.full((4, 2), 0.5))], held=())
    assert _run_rounds([track], max_rounds=5).best == 1
    assert [record.outcome for record in track.rounds] == ["trained", "trained", "nothing accepted"]
    assert track.ledger(2).row == [4, 5]


def test_rounds_end_when_patience_runs_out():
    worse = RIGHT[::-1]
    track = PlayedTrack([(RIGHT, PROBA)] + [(worse, PROBA)] * 5)
    outcome = _run_rounds([track], max_rounds=5, patience=2)
    assert (outcome.best, outcome.accuracy.tolist()) == (0, [1, 0, 0])
    np.testing.assert_allclose(outcome.proba, RIGHT, rtol=1e-6)


def test_rounds_may_begin_with_pseudo_labels_and_end_for_lack_of_time():
    track = PlayedTrack([(RIGHT, PROBA)] * 5)
    track.proba = np.concatenate([RIGHT, RIGHT, PROBA])
    outcome = _run_rounds(
        [track], first=1, max_rounds=4, stop=lambda: len(track.rounds) == 2, prefer="later"
    )
    assert [record.round for record in track.rounds] == [1, 2]
    assert (outcome.best, len(outcome.accuracy)) == (2, 2)


def test_folds_run_in_step_and_labels_that_nobody_could_predict_do_not_count():
    first, second = (np.array([row, row]) for row in RIGHT)
    tracks = [PlayedTrack([(first, PROBA), (second, PROBA)], held=[row]) for row in (2, 3)]
    outcome = _run_rounds(tracks, max_rounds=1)
    # Row 2 is right at first, and row 3 in round 1.
    assert outcome.accuracy.tolist() == [0.5, 0.5]
    again = [PlayedTrack([(first, PROBA), (second, PROBA)], held=[row]) for row in (2, 3)]
    assert _run_rounds(again, max_rounds=1, leave=[2]).best == 1


def test_of_rounds_as_accurate_within_the_error_the_least_loss_is_kept():
    y = np.arange(40) % 2
    sure = np.where(np.eye(2)[y] > 0, 0.9, 0.1)
    timid = sure.copy()
    # One more is right, and many are nearly wrong.
    sure[0] = sure[0, ::-1]
    timid[::2] = np.where(np.eye(2)[y[::2]] > 0, 0.51, 0.49)
    assert _best_round(SingleLabel(), y, [timid, sure], 1.0, "loss") == 1
    # Without that margin the more accurate one is.
    assert _best_round(SingleLabel(), y, [timid, sure], 0.0, "earlier") == 0
    assert _best_round(SingleLabel(), y, [sure, sure], 1.0, "loss") == 0
    # Of those within the margin the earliest or the latest may be preferred.
    assert _best_round(SingleLabel(), y, [sure, timid], 1.0, "earlier") == 0
    assert _best_round(SingleLabel(), y, [sure, timid], 1.0, "later") == 1
    several = MultiLabel()
    assert _best_round(several, np.eye(2, dtype=int)[y], [1 - timid, timid], 1.0, "loss") == 1
