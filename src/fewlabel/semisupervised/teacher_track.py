"""Rounds of a teacher: members teach a student, and the student teaches the next."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fewlabel.semisupervised.acceptance import PseudoLabels
from fewlabel.semisupervised.ensemble import (
    _accept_agreed,
    _choose_thresholds,
    _combine,
    _EnsembleView,
    _given_thresholds,
)
from fewlabel.semisupervised.models import _ModelTrack, _seed_of, _Training

if TYPE_CHECKING:
    from fewlabel.semisupervised.teacher_student import TeacherStudent

_WHO = "TeacherStudent"


class _TeacherTrack(_ModelTrack):
    """The members teach a student, and the student teaches the next."""

    def __init__(
        self, settings: TeacherStudent, y: np.ndarray, members: list[Any], student: Any
    ) -> None:
        super().__init__(settings.task_, y, settings.val_rows_, settings._models)
        self.settings, self.members, self.student = settings, members, student
        self.names = [f"member-{number}" for number in range(1, len(members) + 1)]

    def bag(self) -> None:
        """Train the members in turn, each on its own sample of the labels."""
        total = np.zeros((len(self.labeled), self.n_classes))
        count = np.zeros(len(self.labeled))
        self.member_accuracy: list[float] = []
        for name, template in zip(self.names, self.members, strict=True):
            rows = self._bootstrap(name) if self.settings.bagging else self.labeled
            sample = self.sample(rows, self.accepted[0], 1.0)
            proba = self.models.fit(_Training(name, template, **sample))
            # Each row is tested by the members whose sample left it out, at the cost of no label.
            unseen = ~np.isin(self.labeled, rows)
            total[unseen] += proba[self.labeled[unseen]]
            count += unseen
            if len(self.held):
                self.member_accuracy.append(self._accuracy(proba[self.held]))
        view = self._view(self.names, self.held)
        self.ensemble_accuracy = self._accuracy(view.proba) if len(self.held) else None
        tested = count > 0
        rows = self.labeled[tested]
        chosen = _choose_thresholds(
            self.task,
            total[tested] / count[tested, None],
            self.targets[rows],
            self.known[rows],
            precision=self.settings.precision,
        )
        self.thresholds = _given_thresholds(_WHO, self.settings, chosen)

    def accept(self, number: int) -> PseudoLabels:
        if number == 1:
            view = self._view(self.names, self.pool)
        else:
            # The student teaches. It has no members to agree with but its own teacher: where
            # the two predict different labels, neither is accepted.
            before = self.names if number == 2 else [f"student-{number - 2}"]
            student = self.proba[self.pool]
            teacher = self._view(before, self.pool).proba
            both = _combine(self.task, [student, teacher])
            view = _EnsembleView(student.astype(np.float64), both.votes, both.disagreement)
        found = _accept_agreed(self.task, view, self.thresholds, self.settings.agreement)
        return found.at(self.pool)

    def training(self, number: int, pseudo: PseudoLabels) -> _Training:
        name = f"student-{number}" if number else "alone"
        return self._student(name, self.labeled, pseudo)

    def figures(self, pseudo: PseudoLabels) -> dict[str, Any]:
        return {
            "teacher": "ensemble" if len(self.rounds) == 1 else "student",
            "n_present": int(pseudo.present.sum()),
            "n_absent": int((pseudo.mask & ~pseudo.present).sum()),
        }

    def finish(self, number: int) -> Any:
        """Return the student of a round, which is given the labels that were held out, too."""
        if not len(self.held):
            return self.models.model(f"student-{number}" if number else "alone")
        labeled, name = self.task.labeled(self.y), f"final-{number}"
        self.models.fit(self._student(name, labeled, self.accepted[number]))
        return self.models.last

    def _student(self, name: str, labeled: np.ndarray, pseudo: PseudoLabels) -> _Training:
        """Draw what a student is trained on: labeled and pseudo-labeled rows."""
        if not len(pseudo.rows):
            return _Training(name, self.student, **self.sample(labeled, pseudo, 1.0))
        rng = np.random.default_rng(_seed_of(self.models.seed, f"{name} sample"))
        share, n_pseudo = self.settings.labeled_fraction, len(pseudo.rows)
        if not self.settings.soft:
            pseudo = replace(pseudo, targets=pseudo.present.astype(np.float32))
        counts = _how_much(pseudo.present) if self.settings.balance else None
        weight: Any = self.settings.pseudo_weight
        # Labels are repeated, so that many pseudo-labels do not outvote them.
        n_labeled = max(len(labeled), round(share / (1 - share) * n_pseudo))
        if self.settings.sample == "bootstrap":
            taken = rng.choice(labeled, n_labeled)
            shares = None if counts is None else counts / n_pseudo
            pseudo = pseudo._take(rng.choice(n_pseudo, n_pseudo, p=shares))
        else:
            taken = np.resize(labeled, n_labeled)
            weight = weight if counts is None else weight * counts
        return _Training(name, self.student, **self.sample(taken, pseudo, weight))

    def _bootstrap(self, name: str) -> np.ndarray:
        """Draw the bootstrap sample of a member; by class, so that every class stays in it."""
        # By name, so that a run that was interrupted draws the same samples again.
        rng = np.random.default_rng(_seed_of(self.models.seed, f"{name} bag"))
        strata = self.task.stratify(self.y)[self.labeled]
        groups = [self.labeled[strata == code] for code in np.unique(strata)]
        return np.concatenate([rng.choice(group, len(group)) for group in groups])

    def _view(self, names: list[str], rows: np.ndarray) -> _EnsembleView:
        return _combine(self.task, (self.models.proba(name)[rows] for name in names))

    def _accuracy(self, proba: np.ndarray) -> float:
        return float(self.task.correct(self.y[self.held], proba).mean())


def _how_much(present: np.ndarray) -> np.ndarray:
    """Return how much rows (m,) count, 1 on average, for all labels to count about alike.

    >>> _how_much(np.array([[1, 0], [1, 0], [1, 0], [0, 1]])).tolist()
    [0.666..., 0.666..., 0.666..., 2.0]
    """
    each = present / np.maximum(present.sum(axis=0), 1)
    # Of several labels a row, the mean; rows without any are as the average one.
    total = present.sum(axis=1)
    amount = np.where(total > 0, each.sum(axis=1) / np.maximum(total, 1), 0.0)
    amount[total == 0] = amount[total > 0].mean() if total.any() else 1.0
    return np.asarray(amount / amount.mean())
