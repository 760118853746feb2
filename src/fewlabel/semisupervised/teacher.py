"""Teacher and student: bagged networks label the rest, and a student learns of both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from fewlabel.compute import as_generator
from fewlabel.nets import NetworkClassifier
from fewlabel.semisupervised.inputs import check_rows, demand, digest_of
from fewlabel.semisupervised.ledger import PseudoLabelLedger
from fewlabel.semisupervised.soft_labels import AUTO, EnsembleView, Thresholds, combine
from fewlabel.semisupervised.teacher_inputs import (
    ME,
    check_parameters,
    check_rows_or_table,
    hold_out,
    known_labels,
    make_templates,
)
from fewlabel.semisupervised.teacher_records import TeacherRound, TeacherSettings
from fewlabel.semisupervised.teacher_rounds import TeacherRounds
from fewlabel.semisupervised.voices import Voices


class TeacherStudent(ClassifierMixin, BaseEstimator):
    """Networks on bootstrap samples label the unlabelled rows, and teach one student.

    Each member is trained on its own bootstrap sample of the labels. What they say on average
    of the unlabelled rows, where they agree and are sure, is what a student learns beside the
    labels. Then the student teaches the next one (Noisy Student, Xie et al. 2020). A part of
    the labels is held out to measure what each round gains over one network trained on the
    labels alone; where no round gains anything, that network is kept and ``helped_`` is false.
    The student alone predicts: one pass, whatever the number of members.

    It takes one label a row, or several: then ``y`` is a table, and a label may be believed
    present or absent while nothing is believed of the next.

    Parameters
    ----------
    members : estimator or list of estimator, optional
        One is repeated (single-model bagging); several are taken in turn (multiple-model
        bagging). `fewlabel.NetworkClassifier` or any classifier with ``sample_weight`` for one
        label a row, `fewlabel.NetworkClassifier` for several. By default a fully connected
        network for rows, and the small CNN for images.
    student : estimator, optional
        How a student is made; by default as the first member. Its ``augment`` is the noise.
    n_members : int, optional
        Number of members; by default as many as ``members`` lists, 5 for a single one.
    positive : float, array-like of shape (K,) or "auto"
        Least probability of a label that is believed present. ``"auto"`` chooses one for each
        label on what members say of labelled rows outside their bootstrap sample.
    negative : float, array-like of shape (K,) or "auto"
        Greatest probability of a label that is believed absent, for several labels a row.
    precision : float
        Share of right pseudo-labels that ``"auto"`` keeps on such rows.
    agreement : float
        Least share of the members that say the same. In later rounds: of a student and its
        teacher.
    pseudo_weight : float
        Weight of a pseudo-label beside a label's 1.
    labeled_share : float
        Share of the rows of a student's sample that are labelled, at least.
    sample : {"bootstrap", "all"}
        Whether a student is trained on a bootstrap sample of labels and pseudo-labels, or on
        all of them.
    max_rounds : int
        Students to train, at most; the last one by the student before.
    held_out_share : float
        Share of the labelled rows held out to measure rounds, at most 2,000 rows; 0 measures
        nothing and keeps the last round.
    checkpoint : str or Path, optional
        Folder that keeps every member and student; an interrupted ``fit`` goes on there, and
        one model at a time is in memory. `ensemble_proba` and `uncertainty` read it.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to train and predict, for the default network.
    random_state : int, RandomState or None
        Seed of every random choice.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        Classes, or names of the labels.
    student_ : estimator
        The distilled student, which predicts.
    n_rounds_ : int
        The round that was kept; 0 is training on the labels alone.
    helped_ : bool
        Whether a round beat that.
    rounds_ : list of TeacherRound
        What every round believed and gained.
    ensemble_accuracy_ : float or None
        Accuracy of the members' mean on held-out labels; exact match, for several labels.
    member_accuracy_ : list of float
        That of each member.
    thresholds_ : Thresholds
        What was sure enough, label by label.
    held_ : ndarray of shape (h,)
        Rows that were held out.
    held_proba_ : ndarray of shape (h, K)
        What the kept round said of them before the student was given their labels.
    ledger_ : PseudoLabelLedger
        Every label that was believed present, with its round and perhaps its revocation.
    notes_ : list of str
        What the user must know.
    n_features_in_ : int
        Number of features seen in ``fit``; for rows only.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from fewlabel import NetworkClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> few = np.where(np.arange(len(y)) % 10 == 0, y, -1)
    >>> network = NetworkClassifier(options={"widths": (64,)}, n_epochs=40, learning_rate=1e-2)
    >>> model = TeacherStudent(network, n_members=2, max_rounds=1, random_state=0)
    >>> model = model.fit(X / 16, few)
    >>> bool(model.score(X[few < 0] / 16, y[few < 0]) > 0.75)
    True
    """

    def __init__(
        self,
        members: Any = None,
        student: Any = None,
        *,
        n_members: int | None = None,
        positive: Any = AUTO,
        negative: Any = AUTO,
        precision: float = 0.98,
        agreement: float = 0.8,
        pseudo_weight: float = 0.7,
        labeled_share: float = 0.25,
        sample: str = "bootstrap",
        max_rounds: int = 2,
        held_out_share: float = 0.2,
        checkpoint: str | Path | None = None,
        progress: Callable[[str, int, int], None] | None = None,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.members = members
        self.student = student
        self.n_members = n_members
        self.positive = positive
        self.negative = negative
        self.precision = precision
        self.agreement = agreement
        self.pseudo_weight = pseudo_weight
        self.labeled_share = labeled_share
        self.sample = sample
        self.max_rounds = max_rounds
        self.held_out_share = held_out_share
        self.checkpoint = checkpoint
        self.progress = progress
        self.device = device
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        listed = self.members if isinstance(self.members, list) else [self.members]
        first = listed[0] if listed else None
        tags.classifier_tags.multi_label = first is None or isinstance(first, NetworkClassifier)
        return tags

    def fit(self, X: Any, y: Any) -> TeacherStudent:
        """Train on labelled and unlabelled rows.

        Parameters
        ----------
        X : array-like of shape (n, d), or uint8 images of shape (n, H, W) or (n, H, W, C)
            All rows or images.
        y : array-like of shape (n,) or (n, L)
            Classes, -1 is unlabelled. Or a table: 1 present, 0 absent, -1 not known.

        Returns
        -------
        TeacherStudent
            Itself.

        Raises
        ------
        UsageError
            If a parameter is out of range, or no row is labelled.
        TrainingError
            If a loss is no longer a number.

        Warns
        -----
        UserWarning
            If one of several labels is always absent or never known; it is named.
        """
        check_parameters(self)
        X, y = check_rows_or_table(self, X, y)
        rng = as_generator(self.random_state)
        seed = int(rng.integers(2**31))
        members, student = make_templates(self, X, is_multilabel=y.ndim == 2)
        self.classes_, labels, self.notes_ = known_labels(y, student)
        self.held_ = hold_out(labels, self.held_out_share, rng)
        settings = TeacherSettings(
            self._threshold("positive"),
            self._threshold("negative"),
            self.precision,
            self.agreement,
            self.pseudo_weight,
            self.labeled_share,
            self.sample,
        )
        told = [repr(model.get_params()) for model in (*members, student)]
        about = digest_of(X, labels.targets, labels.known, self.held_, repr(settings), told, seed)
        self._voices = Voices(
            X,
            self.classes_,
            is_multilabel=labels.is_multilabel,
            folder=None if self.checkpoint is None else Path(self.checkpoint),
            about=about,
            seed=seed,
            progress=self.progress,
        )
        run = TeacherRounds(labels, self.held_, self._voices, members, student, settings)
        self._run(run)
        # The rows of the training are the caller's; only the models stay.
        self._voices.X = X[:0]
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict probabilities by the student.

        Parameters
        ----------
        X : array-like of shape (m, d), or uint8 images
            Rows.

        Returns
        -------
        ndarray of shape (m, K)
            Of the classes, rows that sum to 1; or of each label by itself. Float64.
        """
        check_is_fitted(self, "student_")
        rows = check_rows(self, X)
        proba = self._voices.ask(self.student_, rows).astype(np.float64)
        if self._is_multilabel:
            return proba
        return proba / proba.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> np.ndarray:
        """Predict classes or labels by the student.

        Parameters
        ----------
        X : array-like of shape (m, d), or uint8 images
            Rows.

        Returns
        -------
        ndarray of shape (m,) or (m, L)
            Classes; or 1 for every label that is present and else 0.
        """
        proba = self.predict_proba(X)
        return self._task.decode(self._task.predict(proba), self.classes_)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Give the share of rows that are predicted right.

        Parameters
        ----------
        X : array-like of shape (m, d), or uint8 images
            Rows.
        y : array-like of shape (m,) or (m, L)
            Classes, or a table of 1, 0 and -1.
        sample_weight : array-like of shape (m,), optional
            Weight of each row.

        Returns
        -------
        float
            Accuracy; for several labels the exact match of those that are known.
        """
        proba = self.predict_proba(X)
        codes = self._task.recode(y, self.classes_, len(proba), ME)
        rows = self._task.labeled(codes)
        if not len(rows):
            return float("nan")
        weights = None if sample_weight is None else np.asarray(sample_weight)[rows]
        return float(np.average(self._task.correct(codes[rows], proba[rows]), weights=weights))

    def ensemble_proba(self, X: Any) -> np.ndarray:
        """Give the mean of what all members say, at a pass for each.

        Parameters
        ----------
        X : array-like of shape (m, d), or uint8 images
            Rows.

        Returns
        -------
        ndarray of shape (m, K)
            Probabilities, float64.

        Raises
        ------
        ModelFormatError
            If the folder ``checkpoint`` no longer holds a member.
        """
        return self._ensemble(X).proba

    def uncertainty(self, X: Any) -> np.ndarray:
        """Say how far the members disagree.

        Parameters
        ----------
        X : array-like of shape (m, d), or uint8 images
            Rows.

        Returns
        -------
        ndarray of shape (m,)
            Mutual information between the label and the member, in nats, summed over several
            labels; 0 where all members say the same.

        Raises
        ------
        ModelFormatError
            If the folder ``checkpoint`` no longer holds a member.
        """
        return self._ensemble(X).disagreement

    def _ensemble(self, X: Any) -> EnsembleView:
        check_is_fitted(self, "student_")
        rows = check_rows(self, X)
        return combine(
            (self._voices.ask(self._voices.model(name), rows) for name in self._members),
            is_multilabel=self._is_multilabel,
        )

    def _run(self, run: TeacherRounds) -> None:
        run.bag()
        run.alone()
        if not len(run.pool):
            self.notes_.append("No row is unlabelled: the student is trained on the labels alone.")
        for number in range(1, self.max_rounds + 1 if len(run.pool) else 1):
            record = run.run(number)
            if record.outcome == "nothing believed":
                self.notes_.append(
                    f"In round {number} nothing was believed of the unlabelled rows: the last "
                    "student is kept. Label more, or lower agreement or precision."
                )
            elif record.outcome == "collapsed":
                self.notes_.append(
                    f"In round {number} one class swallowed nearly all of "
                    f"{record.n_accepted:,} pseudo-labels: the round was rolled back."
                )
            if record.outcome != "trained":
                break
        self.n_rounds_ = run.choose()
        self.helped_ = self.n_rounds_ > 0
        self.rounds_: list[TeacherRound] = run.records
        self.ensemble_accuracy_ = run.ensemble_accuracy
        self.member_accuracy_ = [value for value in run.member_accuracy if value is not None]
        self.thresholds_: Thresholds = run.thresholds
        self.ledger_: PseudoLabelLedger = run.ledger()
        self._members = run.names
        self._is_multilabel = run.labels.is_multilabel
        self._task = run.labels.task
        self.held_proba_ = run.said_of_held(self.n_rounds_)
        self._tell(len(run.believed) - 1)
        self.student_ = run.finish(self.n_rounds_)

    def _tell(self, n_trained: int) -> None:
        if n_trained and not self.helped_:
            self.notes_.append(
                "The teacher's pseudo-labels did not help: the network trained on the labels "
                "alone does at least as well on held-out labels and is kept."
            )
        elif self.n_rounds_ < n_trained:
            self.notes_.append(
                f"Round {self.n_rounds_} does best on held-out labels: the students after it "
                "are left."
            )
        kept = self.rounds_[self.n_rounds_].accuracy
        if kept is not None and self.ensemble_accuracy_ is not None:
            behind = 100 * (self.ensemble_accuracy_ - kept)
            if behind > 0.5:
                self.notes_.append(
                    f"The {len(self._members)} members together are {behind:.1f} points above "
                    "the student on held-out labels: ensemble_proba gives what they say, at a "
                    "pass for each."
                )

    def _threshold(self, name: str) -> Any:
        value = getattr(self, name)
        if isinstance(value, str) or not np.ndim(value):
            return value
        shares = np.asarray(value, dtype=np.float64)
        demand(shares.shape == self.classes_.shape, name, "one number a label", self)
        return shares.tolist()
