"""Teacher and student: bagged networks label the rest, and a student learns from both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from fewlabel.data.checks import _warn_of_unlearnable
from fewlabel.data.task import Task
from fewlabel.errors import UsageError
from fewlabel.evaluate import label_folds, register
from fewlabel.nets import NetworkClassifier
from fewlabel.params import choice, integer, number
from fewlabel.semisupervised.acceptance import PseudoLabels
from fewlabel.semisupervised.base import SemiSupervisedClassifier, _check_rows, _check_takes
from fewlabel.semisupervised.checkpoints import _Checkpoints
from fewlabel.semisupervised.ensemble import AUTO, _combine, _EnsembleView
from fewlabel.semisupervised.models import _Models, _predict_classes
from fewlabel.semisupervised.network_problem import MIN_STEPS, NetworkProblem
from fewlabel.semisupervised.network_training import Trained, TrainingInputs
from fewlabel.semisupervised.networks import NetworkCandidate
from fewlabel.semisupervised.rounds import _notes, _Outcome, _run_rounds
from fewlabel.semisupervised.teacher_track import _WHO, _TeacherTrack

_MEMBERS = 5
# More held-out rows would measure rounds no better than this, within a percent.
_MAX_HELD = 2_000
# So many points the members together must be ahead before it is worth a note.
_BEHIND = 0.5
_NOTHING = (
    "nothing was accepted of the unlabeled rows: the last student is kept. Label more, or lower "
    "agreement or precision."
)
_FRACTION = [number(0, 1, closed="right")]
_THRESHOLD = [choice([AUTO]), number(0, 1, closed="neither"), "array-like"]


@dataclass(eq=False, repr=False)
class TeacherStudent(SemiSupervisedClassifier):
    """Networks on bootstrap samples label the unlabeled rows, and teach one student.

    Each member is trained on its own bootstrap sample of the labels, or, without ``bagging``, on
    all of them and with weights of its own. What they predict on average
    for the unlabeled rows, where they agree and are confident, is what a student learns beside the
    labels. Then the student teaches the next one (Noisy Student, Xie et al. 2020). A part of the
    labels is held out to measure what each round gains over one network trained without
    pseudo-labels; where no round gains anything, that network is kept and ``helped_`` is false. The
    student alone predicts: one pass, whatever the number of members.

    It takes one label a row, or several: then ``y`` is a table, and a label may be assumed present
    or absent while nothing is assumed of the next.

    Parameters
    ----------
    members : estimator or list of estimator, optional
        One is repeated (single-model bagging); several are taken in turn (multiple-model
        bagging): `fewlabel.NetworkClassifier`, or any classifier with ``sample_weight`` for one
        label a row. By default a fully connected network for rows, and the small CNN for images.
    student : estimator, optional
        How a student is made; by default as the first member. Its ``augment`` is the noise.
    n_members : int, optional
        Number of members; by default as many as ``members`` lists, 5 for a single one.
    bagging : bool
        Whether members are trained on bootstrap samples. A sample lacks a third of the labels,
        which costs much where they are few; but ``"auto"`` needs them: without, it is 0.9 and 0.05.
    positive : float, array-like of shape (K,) or "auto"
        Least probability of a label that is assumed present. ``"auto"`` chooses one for each
        label on what members predict for labeled rows outside their bootstrap sample.
    negative : float, array-like of shape (K,) or "auto"
        Greatest probability of a label that is assumed absent, for several labels a row.
    precision : float
        Fraction of right pseudo-labels that ``"auto"`` keeps on such rows.
    agreement : float
        Least fraction of the members that decide alike. In later rounds: of a student and its
        teacher.
    pseudo_weight : float
        Weight of a pseudo-label beside a label's 1.
    labeled_fraction : float
        Fraction of the rows of a student's sample that are labeled, at least.
    soft : bool
        Whether students learn the probabilities that the teacher predicts, or what they decide.
    balance : bool
        Whether every label counts alike among the pseudo-labels, however often it was accepted.
    sample : {"bootstrap", "all"}
        Whether a student is trained on a bootstrap sample of labels and pseudo-labels, or on
        all of them.
    max_rounds : int
        Students to train, at most; the last one by the student before.
    val_fraction : float
        Fraction of the labeled rows held out to measure rounds, at most 2,000 rows; 0 measures
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
    student_ : estimator
        The distilled student, which predicts.
    n_rounds_ : int
        The round that was kept; 0 is training without pseudo-labels.
    helped_ : bool
        Whether a round beat that.
    rounds_ : list of Round
        What every round accepted and reached; ``extra`` holds ``teacher`` (``"ensemble"`` or
        ``"student"``), ``n_present`` and ``n_absent`` (labels assumed to be so).
    ensemble_accuracy_ : float or None
        Accuracy of the members' mean on held-out labels; exact match, for several labels.
    member_accuracy_ : list of float
        That of each member.
    thresholds_ : Thresholds
        What was confident enough, label by label.
    val_rows_ : ndarray of shape (h,)
        Rows that were held out.
    val_proba_ : ndarray of shape (h, K)
        Predictions for them in the kept round, before the student was given their labels.
    ledger_ : PseudoLabelLedger
        Every label that a kept round assumed present, with its round and perhaps its revocation.
    notes_ : list of str
        What the user must know.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> few = np.where(np.arange(len(y)) % 10 == 0, y, -1)
    >>> network = NetworkClassifier(options={"widths": (64,)}, n_epochs=40, learning_rate=1e-2)
    >>> model = TeacherStudent(network, n_members=2, max_rounds=1, random_state=0)
    >>> model = model.fit(X / 16, few)
    >>> bool(model.score(X[few < 0] / 16, y[few < 0]) > 0.75)
    True
    """

    members: Any = None
    student: Any = None
    _: KW_ONLY
    n_members: int | None = None
    bagging: bool = True
    positive: Any = AUTO
    negative: Any = AUTO
    precision: float = 0.98
    agreement: float = 0.8
    pseudo_weight: float = 0.7
    labeled_fraction: float = 0.25
    soft: bool = True
    balance: bool = False
    sample: str = "bootstrap"
    max_rounds: int = 2
    val_fraction: float = 0.2
    checkpoint: str | Path | None = None
    progress: Callable[[str, int, int], None] | None = None
    device: str = "auto"
    random_state: int | np.random.RandomState | None = None

    _model_name = "student_"
    _parameter_constraints = SemiSupervisedClassifier._parameter_constraints | {
        "n_members": [integer(1), None],
        "bagging": [bool],
        "soft": [bool],
        "balance": [bool],
        "positive": _THRESHOLD,
        "negative": _THRESHOLD,
        "precision": _FRACTION,
        "agreement": _FRACTION,
        "pseudo_weight": _FRACTION,
        "labeled_fraction": [number(0, 1, closed="neither")],
        "sample": [choice(["bootstrap", "all"])],
        "val_fraction": [number(0, 1)],
    }

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        first = self._first()
        tags.classifier_tags.multi_label = first is None or isinstance(first, NetworkClassifier)
        return tags

    def fit(self, X: Any, y: Any, *, groups: Any = None) -> TeacherStudent:
        """Train the members, then students in rounds, and the best once more with all labels.

        It warns of labels that are always absent or never known.
        """
        X, y, rng, seed = self._begin(X, y, self._first())
        members, student = self._templates(X, self.task_)
        self.notes_ = self._look_at(y, student)
        self.val_rows_ = _hold_out(self.task_, y, groups, self.val_fraction, rng)
        templates = [repr(model.get_params()) for model in (*members, student)]
        about = [X, y, self.val_rows_, repr(self._settings()), templates, seed]
        self._models = _Models(
            X,
            self.classes_,
            _Checkpoints(self.checkpoint, about),
            seed=seed,
            stage="teacher",
            progress=self.progress,
        )
        track = _TeacherTrack(self, y, members, student)
        track.bag()
        # Students differ by the luck of their samples: within the error the least loss decides.
        chosen = _run_rounds([track], max_rounds=self.max_rounds, n_se=1.0, prefer="loss")
        self._keep(track, chosen)
        self.student_ = track.finish(self.n_rounds_)
        # The rows of the training are the caller's; only the models stay.
        self._models.X = X[:0]
        return self

    def ensemble_proba(self, X: Any) -> np.ndarray:
        """Return the mean of what all members predict, at a pass for each.

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
        """Return how far the members disagree.

        Parameters
        ----------
        X : array-like of shape (m, d), or uint8 images
            Rows.

        Returns
        -------
        ndarray of shape (m,)
            Mutual information between the label and the member, in nats, summed over several
            labels; 0 where all members predict the same.

        Raises
        ------
        ModelFormatError
            If the folder ``checkpoint`` no longer holds a member.
        """
        return self._ensemble(X).disagreement

    def _ensemble(self, X: Any) -> _EnsembleView:
        check_is_fitted(self, "student_")
        rows, models = _check_rows(self, X), self._models
        return _combine(
            self.task_,
            (_predict_classes(models.model(name), rows, self.classes_) for name in self._members),
        )

    def _first(self) -> Any:
        listed = self.members if isinstance(self.members, Sequence) else [self.members]
        return listed[0] if listed else None

    def _templates(self, X: np.ndarray, task: Task) -> tuple[list[Any], Any]:
        """Return how each member and the student are made."""
        given = self.members
        if given is None:
            given = NetworkClassifier(device=self.device)
            if X.ndim > 2:
                given.set_params(architecture="cnn", min_steps=400, augment="mild")
        listed = list(given) if isinstance(given, Sequence) else [given]
        if not listed:
            raise UsageError(f"The 'members' parameter of {_WHO} must list at least one estimator.")
        n_members = self.n_members or (len(listed) if len(listed) > 1 else _MEMBERS)
        members = [clone(listed[k % len(listed)]) for k in range(n_members)]
        student = clone(listed[0] if self.student is None else self.student)
        _check_takes(task, (*members, student), _WHO)
        return members, student

    def _look_at(self, y: np.ndarray, student: Any) -> list[str]:
        """Name the labels, and return what the user must know of them."""
        present, known = self.task_.evidence(y, len(self.classes_))
        if getattr(student, "labels", None) is not None:
            if len(student.labels) != len(self.classes_):
                raise UsageError(
                    f"The student's 'labels' must name {len(self.classes_)} labels, one a column. "
                    f"Got {len(student.labels)} instead."
                )
            self.classes_ = np.asarray(student.labels)
        notes = self.task_.unlearnable(y, self.classes_.tolist())
        _warn_of_unlearnable(notes, _WHO, stacklevel=4)
        bare = int((known.all(axis=1) & ~present.any(axis=1)).sum())
        if bare:
            notes.append(
                f"{bare:,} labeled {'row has' if bare == 1 else 'rows have'} none of the labels: "
                "they teach absence. Where that is not known, write -1."
            )
        return notes

    def _keep(self, track: _TeacherTrack, chosen: _Outcome) -> None:
        self._keep_round(track, chosen.best)
        self.ensemble_accuracy_ = track.ensemble_accuracy
        self.member_accuracy_ = track.member_accuracy
        self.thresholds_ = track.thresholds
        self.val_proba_ = chosen.proba
        self._members = track.names
        if not len(track.pool):
            self.notes_.append("No row is unlabeled: the student is trained on the given labels.")
        self.notes_ += _notes(self.rounds_, chosen.best, _NOTHING)
        kept = self.rounds_[self.n_rounds_].accuracy
        if kept is not None and self.ensemble_accuracy_ is not None:
            behind = 100 * (self.ensemble_accuracy_ - kept)
            if behind > _BEHIND:
                self.notes_.append(
                    f"The {len(self._members)} members together are {behind:.1f} points above "
                    "the student on held-out labels: ensemble_proba gives what they predict, at a "
                    "pass for each."
                )


@register
class Taught(NetworkCandidate):
    """Bagged networks teach a student what they agree on."""

    name = "teacher-student"
    summary = "Bagged networks that pseudo-label for a student, which then teaches itself"

    def suits(self, problem: NetworkProblem) -> bool:
        """Return whether networks are trained from scratch."""
        return not problem.has_backbone

    def train(self, inputs: TrainingInputs, pseudo: PseudoLabels) -> Trained:
        """Train members, and a student on what they agree on."""
        n_labeled = len(inputs.problem.task.labeled(inputs.y))
        steps = max(MIN_STEPS // 2, inputs.settings.n_steps // 4)
        member, student = (
            inputs.settings.network(n_labeled, min_steps=n_steps, n_epochs=1)
            for n_steps in (steps, 2 * steps)
        )
        model = TeacherStudent(
            member,
            student,
            n_members=3,
            max_rounds=2,
            checkpoint=inputs.folder,
            progress=inputs.progress,
            random_state=inputs.seed,
        ).fit(inputs.pixels, inputs.y, groups=inputs.problem.groups)
        kept = {model.n_rounds_}
        return Trained(
            model.student_, model.rounds_, kept, ledger=model.ledger_, notes=model.notes_
        )


def _hold_out(
    task: Task, y: np.ndarray, groups: Any, fraction: float, rng: np.random.Generator
) -> np.ndarray:
    """Return labeled rows to measure rounds on, of all classes alike, in rising order."""
    labeled = task.labeled(y)
    n = min(round(fraction * len(labeled)), _MAX_HELD, len(labeled) - 1)
    if n < 1:
        return np.empty(0, dtype=np.int64)
    # Dealt as folds are: every class keeps a label to train on, and copies stay together.
    folds = label_folds(task, y, groups, max(2, round(len(labeled) / n)), rng)
    return np.setdiff1d(folds.folds[0][1], folds.labeled[folds.unseen])
