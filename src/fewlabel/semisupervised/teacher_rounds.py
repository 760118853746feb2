"""Members, teachers and students on one set of labels, round by round."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np

from fewlabel.semisupervised.agreement import has_collapsed
from fewlabel.semisupervised.ledger import PseudoLabelLedger
from fewlabel.semisupervised.soft_labels import (
    AUTO,
    EnsembleView,
    SoftLabels,
    Thresholds,
    believe,
    choose_thresholds,
    combine,
)
from fewlabel.semisupervised.teacher_records import KnownLabels, TeacherRound, TeacherSettings
from fewlabel.semisupervised.voices import Voices, seed_of

ALONE = "alone"


class TeacherRounds:
    """Trains members, lets them teach a student, and lets the student teach the next.

    Parameters
    ----------
    labels : KnownLabels
        All labels.
    held : ndarray of shape (h,)
        Labelled rows that are held out, to test each round.
    voices : Voices
        Where models are trained and kept.
    members : list of estimator
        How each member is made.
    student : estimator
        How a student is made.
    settings : TeacherSettings
        How rounds are run.
    """

    def __init__(
        self,
        labels: KnownLabels,
        held: np.ndarray,
        voices: Voices,
        members: list[Any],
        student: Any,
        settings: TeacherSettings,
    ) -> None:
        self.labels = labels
        self.held = held
        self.voices = voices
        self.members = members
        self.student = student
        self.settings = settings
        self.train = np.setdiff1d(labels.labeled, held)
        self.pool = np.flatnonzero(~labels.known.any(axis=1))
        n, self.n_labels = labels.targets.shape
        # One entry for each label of each row: it may be accepted and revoked by itself.
        self._cells = PseudoLabelLedger(n * self.n_labels)
        self.records: list[TeacherRound] = []
        self.believed: list[SoftLabels] = [self._none()]

    @property
    def names(self) -> list[str]:
        """Names of the members, as a list of str."""
        return [f"member-{number}" for number in range(1, len(self.members) + 1)]

    def bag(self) -> None:
        """Train the members in turn, each on its own bootstrap sample of the labels."""
        for name, template in zip(self.names, self.members, strict=True):
            rows = self._bag(name)
            self.voices.ensure(name, template, partial(self._labels_only, rows))
        view = self._view(self.names, self.held)
        self.ensemble_accuracy = self._accuracy(view.proba)
        single = [self._accuracy(self.voices.said(name)[self.held]) for name in self.names]
        self.member_accuracy = single
        self.thresholds = self._thresholds()

    def alone(self) -> TeacherRound:
        """Train one network on all labels that are not held out: what rounds must beat.

        Returns
        -------
        TeacherRound
            Round 0.
        """
        start = time.perf_counter()
        self.voices.ensure(ALONE, self.student, lambda: self._labels_only(self.train))
        reached = self._accuracy(self.voices.said(ALONE)[self.held])
        record = TeacherRound(0, accuracy=reached, seconds=time.perf_counter() - start)
        self.records.append(record)
        return record

    def run(self, number: int) -> TeacherRound:
        """Let the last teacher teach a student.

        Parameters
        ----------
        number : int
            Number of the round, from 1.

        Returns
        -------
        TeacherRound
            What the round did.
        """
        start = time.perf_counter()
        teacher = "ensemble" if number == 1 else "student"
        believed = self._believe(number)
        codes = believed.targets.argmax(axis=1)
        outcome = "trained" if len(believed.rows) else "nothing believed"
        if len(codes) and not self.labels.is_multilabel:
            shares = self.labels.targets[self.train].mean(axis=0)
            outcome = "collapsed" if has_collapsed(codes, shares) else outcome
        if outcome != "trained":
            record = TeacherRound(number, teacher, len(believed.rows), outcome=outcome)
            self.records.append(record)
            return record
        rows, columns = np.nonzero(believed.present)
        confidence = believed.targets[rows, columns].astype(np.float64)
        new, revoked = self._cells.judge(
            number,
            believed.rows[rows] * self.n_labels + columns,
            np.ones(len(rows), dtype=np.int64),
            confidence,
        )
        name = f"student-{number}"
        self.voices.ensure(name, self.student, lambda: self.sample(name, self.train, believed))
        reached = self._accuracy(self.voices.said(name)[self.held])
        before = self.records[-1].accuracy
        record = TeacherRound(
            number,
            teacher,
            n_accepted=len(believed.rows),
            n_present=len(rows),
            n_absent=int(believed.mask.sum()) - len(rows) if self.labels.is_multilabel else 0,
            n_new=new,
            n_revoked=revoked,
            mean_confidence=float(confidence.mean()) if len(confidence) else None,
            accuracy=reached,
            gain=None if reached is None or before is None else reached - before,
            seconds=time.perf_counter() - start,
        )
        self.records.append(record)
        self.believed.append(believed)
        return record

    def choose(self) -> int:
        """Choose the round to keep by the labels that are held out.

        They are few: of rounds that are as accurate within the error, the one with the least
        log loss is taken.

        Returns
        -------
        int
            Number of the round; the last one where nothing is held out.
        """
        names = [ALONE, *(f"student-{number}" for number in range(1, len(self.believed)))]
        if not len(self.held):
            return len(names) - 1
        said = [self.voices.said(name)[self.held] for name in names]
        right = [self.labels.right(proba, self.held).astype(float) for proba in said]
        losses = [float(self.labels.loss(proba, self.held).mean()) for proba in said]
        best = max(range(len(names)), key=lambda k: (right[k].mean(), -losses[k]))
        near = []
        for number, row in enumerate(right):
            gap = right[best] - row
            error = gap.std(ddof=1) / np.sqrt(len(gap)) if len(gap) > 1 else 0.0
            if gap.mean() <= error + 1e-12:
                near.append(number)
        return min(near, key=lambda k: losses[k])

    def said_of_held(self, number: int) -> np.ndarray:
        """Give what a round said of the rows that were held out from it.

        Parameters
        ----------
        number : int
            The round; 0 is the labels alone.

        Returns
        -------
        ndarray of shape (h, K)
            Probabilities, float64.
        """
        name = ALONE if number == 0 else f"student-{number}"
        return self.voices.said(name)[self.held].astype(np.float64)

    def finish(self, number: int) -> Any:
        """Give the student of a round the labels that were held out, too.

        Parameters
        ----------
        number : int
            The round; 0 is the labels alone.

        Returns
        -------
        estimator
            The student.
        """
        kept = ALONE if number == 0 else f"student-{number}"
        if not len(self.held):
            return self.voices.model(kept)
        name, rows = f"final-{number}", self.labels.labeled
        believed = self.believed[number]
        self.voices.ensure(
            name,
            self.student,
            lambda: self.sample(name, rows, believed) if number else self._labels_only(rows),
        )
        return self.voices.model(name)

    def sample(
        self, name: str, labeled: np.ndarray, believed: SoftLabels
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Draw what a student is trained on: labelled and pseudo-labelled rows.

        Parameters
        ----------
        name : str
            Name of the student; the draw depends on it.
        labeled : ndarray of shape (l,)
            Labelled rows.
        believed : SoftLabels
            Pseudo-labels.

        Returns
        -------
        rows : ndarray of shape (m,)
            Row numbers, some of them repeated.
        targets, mask : ndarray of shape (m, K)
            What is said of each label, and how far it counts.
        weights : ndarray of shape (m,)
            Weight of each row.
        """
        rng = np.random.default_rng(seed_of(self.voices.seed, f"{name} sample"))
        share, n_pseudo = self.settings.labeled_share, len(believed.rows)
        n_labeled = max(len(labeled), round(share / (1 - share) * n_pseudo))
        if self.settings.sample == "bootstrap":
            taken = rng.choice(labeled, n_labeled)
            drawn = rng.integers(n_pseudo, size=n_pseudo)
        else:
            taken, drawn = np.resize(labeled, n_labeled), np.arange(n_pseudo)
        weights = np.ones(n_labeled + n_pseudo)
        weights[n_labeled:] = self.settings.pseudo_weight
        return (
            np.concatenate([taken, believed.rows[drawn]]),
            np.concatenate([self.labels.targets[taken], believed.targets[drawn]]),
            np.concatenate([self.labels.known[taken], believed.mask[drawn]]).astype(np.float32),
            weights,
        )

    def ledger(self) -> PseudoLabelLedger:
        """Give every label that was believed present.

        Returns
        -------
        PseudoLabelLedger
            With the row and the label of each.
        """
        cells = np.array(self._cells.row, dtype=np.int64)
        return PseudoLabelLedger(
            len(self.labels.targets),
            row=(cells // self.n_labels).tolist(),
            label=(cells % self.n_labels).tolist(),
            confidence=self._cells.confidence,
            round=self._cells.round,
            revoked=self._cells.revoked,
        )

    def _believe(self, number: int) -> SoftLabels:
        """Judge all unlabelled rows anew."""
        if number == 1:
            view = self._view(self.names, self.pool)
        else:
            # The student teaches. It has no members to agree with but its own teacher: where
            # the two say other things, neither is believed.
            before = self.names if number == 2 else [f"student-{number - 2}"]
            student = self.voices.said(f"student-{number - 1}")[self.pool]
            teacher = self._view(before, self.pool).proba
            both = combine([student, teacher], is_multilabel=self.labels.is_multilabel)
            view = EnsembleView(student.astype(np.float64), both.votes, both.disagreement)
        found = believe(
            view,
            self.thresholds,
            agreement=self.settings.agreement,
            is_multilabel=self.labels.is_multilabel,
        )
        return SoftLabels(self.pool[found.rows], found.targets, found.mask)

    def _view(self, names: list[str], rows: np.ndarray) -> EnsembleView:
        return combine(
            (self.voices.said(name)[rows] for name in names),
            is_multilabel=self.labels.is_multilabel,
        )

    def _thresholds(self) -> Thresholds:
        """Take the given thresholds, or choose them on what members say of rows left out."""
        total = np.zeros((len(self.train), self.n_labels))
        count = np.zeros(len(self.train))
        for name in self.names:
            unseen = ~np.isin(self.train, self._bag(name))
            total[unseen] += self.voices.said(name)[self.train[unseen]]
            count += unseen
        told = count > 0
        rows = self.train[told]
        chosen = choose_thresholds(
            total[told] / count[told, None],
            self.labels.targets[rows],
            self.labels.known[rows],
            precision=self.settings.precision,
            is_multilabel=self.labels.is_multilabel,
        )
        given = []
        for value, auto in (
            (self.settings.positive, chosen.positive),
            (self.settings.negative, chosen.negative),
        ):
            is_auto = isinstance(value, str) and value == AUTO
            given.append(auto if is_auto else np.broadcast_to(value, (self.n_labels,)))
        return Thresholds(*given)

    def _bag(self, name: str) -> np.ndarray:
        """Draw the bootstrap sample of a member; by class, so that every class stays in it."""
        rng = np.random.default_rng(seed_of(self.voices.seed, f"{name} bag"))
        if self.labels.is_multilabel:
            return rng.choice(self.train, len(self.train))
        codes = self.labels.targets[self.train].argmax(axis=1)
        groups = [self.train[codes == code] for code in np.unique(codes)]
        return np.concatenate([rng.choice(group, len(group)) for group in groups])

    def _labels_only(
        self, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        known = self.labels.known[rows].astype(np.float32)
        return rows, self.labels.targets[rows], known, np.ones(len(rows))

    def _accuracy(self, proba: np.ndarray) -> float | None:
        if not len(self.held):
            return None
        return float(self.labels.right(proba, self.held).mean())

    def _none(self) -> SoftLabels:
        empty = np.empty((0, self.n_labels))
        return SoftLabels(np.empty(0, np.int64), empty.astype(np.float32), empty.astype(bool))
