"""Rounds: accept pseudo-labels, train on them, predict, and all of it again.

Self-training, binary experts and teacher and student differ in what they accept and in what they
train on: that is a `_Track`. All else is the same loop.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fewlabel.data.task import Task
from fewlabel.evaluate import choose_candidate
from fewlabel.semisupervised.acceptance import PseudoLabels, _has_collapsed
from fewlabel.semisupervised.ledger import PseudoLabelLedger
from fewlabel.semisupervised.models import _Models, _Training

TRAINED, NOTHING, COLLAPSED = "trained", "nothing accepted", "collapsed"


@dataclass(frozen=True)
class Round:
    """What a round did.

    Attributes
    ----------
    round : int
        Number of the round; 0 is training on the labels without pseudo-labels.
    n_accepted : int
        Rows whose pseudo-labels the round trained on.
    n_new, n_revoked : int
        Pseudo-labels that the round before did not have, and those of it that were taken back.
    mean_confidence : float or None
        Mean confidence of the labels assumed present; None where there are none.
    accuracy : float or None
        Accuracy on held-out labels after the round, exact match for several labels; None without.
    outcome : {"trained", "nothing accepted", "collapsed"}
        Whether a model was trained, or why the round was rolled back.
    seconds : float
        Time of the round.
    extra : dict
        Figures that only one method has.
    """

    round: int
    n_accepted: int = 0
    n_new: int = 0
    n_revoked: int = 0
    mean_confidence: float | None = None
    accuracy: float | None = None
    outcome: str = TRAINED
    seconds: float = 0.0
    extra: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return all figures in one dict.

        Returns
        -------
        dict
            By name, those of ``extra`` among them.
        """
        figures = dict(vars(self))
        return figures | figures.pop("extra")


class _Track(ABC):
    """The rounds of one method on one set of labels: what is accepted, and what is trained."""

    def __init__(self, task: Task, y: np.ndarray, held: np.ndarray, models: _Models) -> None:
        self.task, self.models = task, models
        self.y, self.held = y, held
        self.train_y = task.without(y, held)
        self.labeled = task.labeled(self.train_y)
        self.pool = np.setdiff1d(np.arange(len(y)), task.labeled(y))
        self.n_classes = len(models.classes)
        present, known = task.evidence(y, self.n_classes)
        self.targets, self.known = present, known
        counts = present[self.labeled].sum(axis=0)
        self.shares = counts / counts.sum() if counts.any() else counts
        none = np.empty(0, dtype=np.int64)
        self.accepted = [PseudoLabels._of_classes(none, none, np.empty(0), self.n_classes)]
        self.proba = np.empty((0, self.n_classes), dtype=np.float32)
        self.rounds: list[Round] = []
        self._ledger = PseudoLabelLedger()

    @abstractmethod
    def accept(self, number: int) -> PseudoLabels:
        """Return the pseudo-labels of a round from 1, chosen among all rows of the pool anew."""

    @abstractmethod
    def training(self, number: int, pseudo: PseudoLabels) -> _Training:
        """Return what a round trains, and on what."""

    def figures(self, pseudo: PseudoLabels) -> dict[str, Any]:
        """Return figures of a round that only this method has."""
        return {}

    def sample(
        self, labeled: np.ndarray, pseudo: PseudoLabels, weight: float
    ) -> dict[str, np.ndarray]:
        """Return labeled and pseudo-labeled rows as a `Training` takes them."""
        return {
            "rows": np.concatenate([labeled, pseudo.rows]),
            "targets": np.concatenate([self.targets[labeled], pseudo.targets]),
            "mask": np.concatenate([self.known[labeled], pseudo.mask]),
            "weights": np.concatenate([np.ones(len(labeled)), np.full(len(pseudo.rows), weight)]),
        }

    def ledger(self, number: int) -> PseudoLabelLedger:
        """Return the ledger of the rounds up to one: what later ones assumed is in no model."""
        ledger = PseudoLabelLedger()
        for k, pseudo in enumerate(self.accepted[1 : number + 1], start=1):
            ledger.enter(k, *pseudo.entries())
        return ledger

    def _outcome(self, number: int, pseudo: PseudoLabels) -> str:
        if number == 0:
            return TRAINED
        if not len(pseudo.rows):
            return NOTHING
        return COLLAPSED if _has_collapsed(pseudo.present, self.shares) else TRAINED

    def _record(self, number: int, pseudo: PseudoLabels, outcome: str, start: float) -> None:
        """Enter a round into the ledger and the records; what was rolled back changes nothing."""
        new = revoked = 0
        mean = None
        if outcome == TRAINED and number:
            rows, labels, confidence = pseudo.entries()
            new, revoked = self._ledger.enter(number, rows, labels, confidence)
            mean = float(confidence.mean()) if len(confidence) else None
        if number:
            self.accepted.append(pseudo if outcome == TRAINED else self.accepted[-1])
        accuracy = None
        if len(self.held):
            correct = self.task.correct(self.y[self.held], self.proba[self.held])
            accuracy = float(correct.mean())
        self.rounds.append(
            Round(
                number,
                len(pseudo.rows),
                new,
                revoked,
                mean,
                accuracy,
                outcome,
                time.perf_counter() - start,
                self.figures(pseudo) if number else {},
            )
        )


@dataclass(frozen=True, eq=False)
class _Outcome:
    """What rounds led to."""

    best: int
    accuracy: np.ndarray
    proba: np.ndarray


def run_rounds(
    tracks: Sequence[_Track],
    *,
    max_rounds: int,
    patience: int | None = None,
    n_se: float = 0.0,
    leave: Any = (),
) -> _Outcome:
    """Run tracks in step, such as folds, until held-out labels gain no more; choose a round.

    Parameters
    ----------
    tracks : sequence of _Track
        Tracks of the same rows, each without its own held-out labels.
    max_rounds : int
        Most rounds behind the one without pseudo-labels.
    patience : int, optional
        Rounds that do no better after which to stop; by default none is too many.
    n_se : float
        Rounds within so many standard errors of the most accurate one count as nearly equal, and
        the one of the least log loss is kept among them.
    leave : array-like of int
        Held-out rows that no round could predict: they are not counted.

    Returns
    -------
    _Outcome
        The round to keep. Without held-out labels it is the last one.
    """
    task, y = tracks[0].task, tracks[0].y
    held = np.concatenate([track.held for track in tracks])
    order = np.argsort(held)
    counted = ~np.isin(held[order], leave)
    by_round: list[np.ndarray] = []
    best = 0
    for number in range(max_rounds + 1 if len(tracks[0].pool) else 1):
        for track in tracks:
            start = time.perf_counter()
            pseudo = track.accept(number) if number else track.accepted[0]
            outcome = track._outcome(number, pseudo)
            if outcome == TRAINED:
                track.proba = track.models.fit(track.training(number, pseudo))
            track._record(number, pseudo, outcome, start)
        if all(track.rounds[-1].outcome != TRAINED for track in tracks):
            break
        by_round.append(np.concatenate([track.proba[track.held] for track in tracks])[order])
        if not counted.any():
            best = number
            continue
        scored = y[held[order][counted]]
        best = _best_round(task, scored, [proba[counted] for proba in by_round], n_se)
        if patience is not None and number - best >= patience:
            break
    accuracy = [
        float(task.correct(y[held[order]], proba)[counted].mean())
        for proba in by_round
        if counted.any()
    ]
    return _Outcome(best, np.array(accuracy), by_round[best].astype(np.float64))


def _best_round(task: Task, y: np.ndarray, by_round: Sequence[np.ndarray], n_se: float) -> int:
    """Return the round that predicts held-out labels best; of equally accurate ones the first."""
    if len(by_round) == 1:
        return 0
    named = {str(number): proba for number, proba in enumerate(by_round)}
    prefer = () if n_se else tuple(named)
    return int(choose_candidate(task, y, named, prefer=prefer, n_se=n_se).name)


def _notes(rounds: Sequence[Round], best: int, nothing: str) -> list[str]:
    """Return what the user must know of rounds; ``nothing`` is what ends them and what to do."""
    notes, last = [], rounds[-1]
    if last.outcome == NOTHING:
        notes.append(f"In round {last.round} {nothing}")
    elif last.outcome == COLLAPSED:
        notes.append(
            f"In round {last.round} one class swallowed nearly all of {last.n_accepted:,} "
            "pseudo-labels: the round was rolled back."
        )
    n_trained = last.round - (last.outcome != TRAINED)
    if n_trained and not best:
        notes.append(
            "The pseudo-labels did not help: the network trained without them does at least as "
            "well on held-out labels and is kept."
        )
    elif best < n_trained:
        notes.append(f"Round {best} does best on held-out labels: those after it are left.")
    return notes
