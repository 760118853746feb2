"""Rounds: accept pseudo-labels, train on them, predict, and all of it again.

Methods differ in what they accept, in what they train and on what: that is a `_Track`. All else is
the same loop, for estimators and for the networks of a search.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from fewlabel.data.task import Task
from fewlabel.evaluate import choose_candidate
from fewlabel.semisupervised.acceptance import PseudoLabels, _has_collapsed
from fewlabel.semisupervised.ledger import PseudoLabelLedger

Preference = Literal["earlier", "later", "loss"]

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
        """Return all figures by name, those of ``extra`` among them."""
        figures = dict(vars(self))
        return figures | figures.pop("extra")


class _Track(ABC):
    """The rounds of one method on one set of labels: what is accepted, and what is trained."""

    def __init__(self, task: Task, y: np.ndarray, held: np.ndarray, n_classes: int) -> None:
        self.task, self.y, self.held, self.n_classes = task, y, held, n_classes
        self.train_y = task.without(y, held)
        self.labeled = task.labeled(self.train_y)
        # Held-out rows get no pseudo-labels: they would count as unlabeled, and are not.
        self.pool = np.setdiff1d(np.arange(len(y)), task.labeled(y))
        # Of all labels: the final training is given those that were held out, too.
        self.targets, self.known = task.evidence(y, n_classes)
        counts = self.targets[self.labeled].sum(axis=0)
        self.shares = counts / counts.sum() if counts.any() else counts
        none = np.empty(0, dtype=np.int64)
        self.accepted = [PseudoLabels._of_classes(none, none, np.empty(0), n_classes)]
        self.rounds: list[Round] = []
        self._ledger = PseudoLabelLedger()

    @abstractmethod
    def accept(self, number: int) -> PseudoLabels | None:
        """Return the pseudo-labels of a round, all chosen anew; None if it trains without any."""

    @abstractmethod
    def train(self, number: int, pseudo: PseudoLabels) -> None:
        """Train what a round trains, and keep it."""

    @abstractmethod
    def held_proba(self) -> np.ndarray:
        """Return what the rounds so far predict for the held-out rows."""

    def figures(self, pseudo: PseudoLabels) -> dict[str, Any]:
        """Return figures of a round that only this method has."""
        return {}

    def ledger(self, number: int) -> PseudoLabelLedger:
        """Return the ledger of the rounds up to one: what later ones assumed is in no model."""
        ledger = PseudoLabelLedger()
        for k, pseudo in enumerate(self.accepted[1 : number + 1], start=1):
            ledger.enter(k, *pseudo.entries())
        return ledger

    def _outcome(self, pseudo: PseudoLabels | None) -> str:
        if pseudo is None:
            return TRAINED
        if not len(pseudo.rows):
            return NOTHING
        return COLLAPSED if _has_collapsed(pseudo.present, self.shares) else TRAINED

    def _record(self, number: int, pseudo: PseudoLabels, outcome: str, start: float) -> None:
        """Enter a round into the ledger and the records."""
        new = revoked = 0
        mean = accuracy = None
        if outcome == TRAINED and number:
            rows, labels, confidence = pseudo.entries()
            new, revoked = self._ledger.enter(number, rows, labels, confidence)
            mean = float(confidence.mean()) if len(confidence) else None
        if number:
            # The model that stays was trained on what the round before had accepted.
            self.accepted.append(pseudo if outcome == TRAINED else self.accepted[-1])
        if len(self.held):
            correct = self.task.correct(self.y[self.held], self.held_proba())
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


def _run_rounds(
    tracks: Sequence[_Track],
    *,
    first: int = 0,
    max_rounds: int,
    patience: int | None = None,
    stop: Callable[[], bool] | None = None,
    n_se: float = 0.0,
    prefer: Preference = "earlier",
    leave: Any = (),
) -> _Outcome:
    """Run tracks in step, such as folds, until held-out labels gain no more; choose a round.

    Round 0 trains without pseudo-labels. ``stop`` is asked behind each round whether it is the
    last. Of rounds within ``n_se`` standard errors of the most accurate one, that is kept which
    ``prefer`` names; without held-out labels, the last one. Rows in ``leave``, which no round
    could predict, are not counted.
    """
    task, y = tracks[0].task, tracks[0].y
    held = np.concatenate([track.held for track in tracks])
    # In the order of the rows: calibration within the choice must not depend on the folds.
    order = np.argsort(held)
    counted = ~np.isin(held[order], leave)
    scored = y[held[order][counted]]
    by_round: list[np.ndarray] = []
    best = first
    for number in range(first, max_rounds + 1 if len(tracks[0].pool) else first + 1):
        for track in tracks:
            start = time.perf_counter()
            found = track.accept(number) if number else None
            outcome = track._outcome(found)
            pseudo = track.accepted[0] if found is None else found
            # One that is rolled back changes nothing but the records.
            if outcome == TRAINED:
                track.train(number, pseudo)
            track._record(number, pseudo, outcome, start)
        # A fold in which nothing was accepted keeps its model, and waits for the others.
        if all(track.rounds[-1].outcome != TRAINED for track in tracks):
            break
        by_round.append(np.concatenate([track.held_proba() for track in tracks])[order])
        tests = [proba[counted] for proba in by_round]
        best = first + _best_round(task, scored, tests, n_se, prefer) if len(scored) else number
        if patience is not None and number - best >= patience:
            break
        if stop is not None and stop():
            break
    accuracy = [
        float(task.correct(scored, proba[counted]).mean()) for proba in by_round if len(scored)
    ]
    return _Outcome(best, np.array(accuracy), by_round[best - first].astype(np.float64))


def _best_round(
    task: Task, y: np.ndarray, by_round: Sequence[np.ndarray], n_se: float, prefer: Preference
) -> int:
    """Return the position of the round that predicts held-out labels best."""
    names = [str(position) for position in range(len(by_round))]
    # By log loss where none is preferred, as `choose_candidate` does it.
    order = {"earlier": names, "later": names[::-1], "loss": []}[prefer]
    named = dict(zip(names, by_round, strict=True))
    return int(choose_candidate(task, y, named, prefer=order, n_se=n_se).name)


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
