"""Binary experts: a multi-class network, fine-tuned into one expert a class, labels the rest."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from fewlabel.data.task import SingleLabel
from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.evaluate import LabelFolds, label_folds, register
from fewlabel.nets import Network, NetworkClassifier
from fewlabel.params import choice, integer, number
from fewlabel.persist import load_bundle
from fewlabel.semisupervised.acceptance import AGREEMENTS, AgreementRule, PseudoLabels
from fewlabel.semisupervised.base import SemiSupervisedClassifier, _check_rows, _check_takes
from fewlabel.semisupervised.binary_heads import (
    BALANCES,
    TRUNKS,
    _head_logits,
    _HeadScale,
    _HeadSettings,
)
from fewlabel.semisupervised.checkpoints import _Checkpoints
from fewlabel.semisupervised.expert_track import Multiclass, _ExpertTrack, _restore
from fewlabel.semisupervised.history import ExpertVotes
from fewlabel.semisupervised.models import _Models
from fewlabel.semisupervised.network_problem import NetworkProblem
from fewlabel.semisupervised.network_training import Trained, TrainingInputs
from fewlabel.semisupervised.networks import NetworkCandidate
from fewlabel.semisupervised.rounds import _notes, _run_rounds

_WHO = "BinaryExperts"
# A fifth is held out: fewer labels calibrate badly, more are missed in training.
_OF_FOLDS = 5
_NOTHING = (
    "the experts agreed on nothing: the last network is kept. Label more, or lower the threshold."
)
_TWO_CLASSES = (
    "There are two classes: one expert suffices to tell them apart, the other one votes for the "
    "opposite."
)
_OPEN = number(0, 1, closed="neither")


@dataclass(eq=False, repr=False)
class BinaryExperts(SemiSupervisedClassifier):
    """A multi-class network whose binary experts give pseudo-labels, in rounds.

    One multi-class network is trained on the labels. Each round turns a copy of it into one
    binary expert a class, which share its trunk; an unlabeled row that exactly one expert votes
    for gets a pseudo-label; the network is trained further on labels and pseudo-labels; and all
    pseudo-labels are chosen anew. A part of the labels is held out to calibrate the experts and to
    decide when to stop; the final network is given those labels, too. If no round does better on
    the held-out labels, the network trained without pseudo-labels is kept and ``helped_`` is false.

    Parameters
    ----------
    estimator : NetworkClassifier or FineTuning, optional
        How the multi-class network is made. By default a fully connected network for rows, and
        the small CNN for images.
    agreement : {"vote", "veto", "margin"}
        ``"veto"``: one expert votes for the row with confidence ``threshold``, and no other votes
        for it at all. ``"vote"``: so, and the multi-class network predicts the same.
        ``"margin"``: the most confident expert is ``margin`` ahead of the next.
    threshold : float
        Least calibrated confidence of the expert that votes.
    margin : float
        Least lead, for ``"margin"``.
    trunk : {"fine-tuned", "frozen"}
        Whether the last third of the trunk is trained with the heads at a small rate.
    balance : {"loss", "over-sampling", "under-sampling", "none"}
        How an expert's few rows count beside all the others: by a balanced loss, or by
        resampling, or not.
    expert_epochs : int
        Passes over the labels for the last third of the trunk.
    pseudo_weight : float
        Weight of a pseudo-label beside a label's 1.
    labeled_fraction : float
        Fraction of the rows of a retraining that are true labels, which are repeated for it.
    retrain_steps : int
        Steps of a retraining; more where one pass over the accepted rows takes more.
    max_rounds : int
        Most rounds.
    patience : int
        Rounds that do no better on held-out labels after which to stop.
    n_folds : int
        Of five folds of the labels, how many are held out, each in a run of rounds of its own;
        0 holds out nothing, runs ``max_rounds`` rounds and calibrates by class shares alone.
    checkpoint : str or Path, optional
        Folder that keeps both networks of every round; an interrupted ``fit`` goes on there.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to train and predict, for the default network.
    random_state : int, RandomState or None
        Seed of every random choice.

    Attributes
    ----------
    multiclass_ : NetworkClassifier or FineTuning
        The final multi-class network, which predicts.
    experts_ : Network or None
        The experts of the last round that was kept; None where no round was.
    scale_ : _HeadScale or None
        Calibrates them.
    n_rounds_ : int
        Rounds that were kept; 0 is training without pseudo-labels.
    helped_ : bool
        Whether that beat training without pseudo-labels.
    rounds_ : list of Round
        What every round accepted and revoked; ``extra`` holds ``n_rejected`` and
        ``accepted_by_class``, ``rejected_by_class`` (by the most confident expert) and
        ``revoked_by_class``.
    val_accuracy_ : ndarray of shape (rounds tried + 1,)
        Accuracy on held-out labels by round; empty without such labels.
    confusion_ : ndarray of shape (n_classes, n_classes)
        Share of the held-out rows of each class (rows) that each expert votes for (columns): the
        experts of the last round that was kept, or of the first one where none was.
    val_votes_ : ndarray of shape (m, n_classes), dtype bool
        Whether each of these experts votes for each held-out row; no rows where there are none.
    val_codes_ : ndarray of shape (m,)
        Class numbers of these rows.
    folds_ : LabelFolds
        The folds.
    ledger_ : PseudoLabelLedger
        Every pseudo-label of the rounds that were kept, with its round and perhaps its
        revocation.
    accepted_ : list of tuple
        Rows, class numbers and confidence of the pseudo-labels after each round.
    notes_ : list of str
        What the user must know: experts that agreed on nothing, a collapse that was rolled back.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> few = np.full(len(y), -1)
    >>> few[:150] = y[:150]
    >>> network = NetworkClassifier(options={"widths": (64,)}, min_steps=300, learning_rate=0.01)
    >>> model = BinaryExperts(network, max_rounds=1, retrain_steps=100, random_state=0)
    >>> bool(model.fit(X / 16, few).score(X[150:] / 16, y[150:]) > 0.7)
    True
    """

    estimator: Multiclass | None = None
    _: KW_ONLY
    agreement: str = "vote"
    threshold: float = 0.9
    margin: float = 0.5
    trunk: str = "fine-tuned"
    balance: str = "loss"
    expert_epochs: int = 10
    pseudo_weight: float = 0.7
    labeled_fraction: float = 0.25
    retrain_steps: int = 400
    max_rounds: int = 5
    patience: int = 2
    n_folds: int = 1
    checkpoint: str | Path | None = None
    progress: Callable[[str, int, int], None] | None = None
    device: str = "auto"
    random_state: int | np.random.RandomState | None = None

    _model_name = "multiclass_"
    _parameter_constraints = SemiSupervisedClassifier._parameter_constraints | {
        "agreement": [choice(AGREEMENTS)],
        "threshold": [_OPEN],
        "margin": [_OPEN],
        "trunk": [choice(TRUNKS)],
        "balance": [choice(BALANCES)],
        "expert_epochs": [integer(0)],
        "pseudo_weight": [number(0, 1, closed="right")],
        "labeled_fraction": [_OPEN],
        "retrain_steps": [integer(1)],
        "patience": [integer(1)],
        "n_folds": [integer(0, _OF_FOLDS)],
    }

    def fit(self, X: Any, y: Any, *, groups: Any = None) -> Self:
        """Train the network and its experts in rounds, then once more with all labels."""
        template = self._template(X)
        X, y, rng, seed = self._begin(X, y, template)
        if self.task_.codes(y) is None:
            raise UsageError(
                f"{_WHO} takes one label a row. Got a table of labels instead: take SelfTraining "
                "or TeacherStudent."
            )
        _check_takes(self.task_, [template], _WHO)
        self.folds_: LabelFolds = label_folds(self.task_, y, groups, _OF_FOLDS, rng)
        unseen = self.folds_.labeled[self.folds_.unseen]
        # A class with one label has no expert without it: such labels are trained on.
        held = [np.setdiff1d(rows, unseen) for _, rows in self.folds_.folds[: self.n_folds]]
        tracks = [
            self._track(fold, X, y, rows, template, seed)
            for fold, rows in enumerate(held or [unseen[:0]])
        ]
        chosen = _run_rounds(tracks, max_rounds=self.max_rounds, patience=self.patience)
        self._keep_round(tracks[0], chosen.best)
        self.val_accuracy_ = chosen.accuracy
        self.notes_ = _notes(self.rounds_, chosen.best, _NOTHING)
        if len(self.classes_) == 2:
            self.notes_.insert(0, _TWO_CLASSES)
        self.accepted_ = [pseudo.entries() for pseudo in tracks[0].accepted]
        kept = tracks[0].experts.get(chosen.best)
        self.experts_: Network | None = None if kept is None else kept[0]
        self.scale_: _HeadScale | None = None if kept is None else kept[1]
        self._measure_votes(tracks[0])
        # Of several folds the first one is gone on with: the others only test the rounds.
        self.multiclass_ = tracks[0].finish(chosen.best)
        return self

    def expert_proba(self, X: Any) -> np.ndarray:
        """Predict by each expert alone.

        Parameters
        ----------
        X : array-like of shape (m, d), or uint8 images
            Rows.

        Returns
        -------
        ndarray of shape (m, n_classes)
            Calibrated probability that a row is of the class, by each expert; rows need not sum
            to 1.

        Raises
        ------
        UsageError
            If no round was run.
        """
        check_is_fitted(self, "multiclass_")
        if self.experts_ is None or self.scale_ is None:
            raise UsageError(
                "This BinaryExperts has no experts: no round was kept. Predict with the "
                "multi-class network, or give more labels."
            )
        return self.scale_(_head_logits(self.experts_, _check_rows(self, X)))

    def _template(self, X: Any) -> Multiclass:
        if self.estimator is not None:
            return clone(self.estimator)
        if np.ndim(X) < 3:
            return NetworkClassifier("mlp", device=self.device)
        return NetworkClassifier("cnn", min_steps=400, augment="mild", device=self.device)

    def _track(
        self,
        fold: int,
        X: np.ndarray,
        y: np.ndarray,
        held: np.ndarray,
        template: Multiclass,
        seed: int,
    ) -> _ExpertTrack:
        folder = None if self.checkpoint is None else Path(self.checkpoint)
        if folder is not None and fold:
            folder = folder / f"fold-{fold}"
        heads = _HeadSettings(self.trunk, self.balance, self.expert_epochs)
        rule = AgreementRule(self.agreement, self.threshold, self.margin)
        fractions = [self.pseudo_weight, self.labeled_fraction, self.retrain_steps]
        about = [X, y, held, heads, rule, fractions, repr(template.get_params()), seed]
        models = _Models(
            X,
            np.arange(len(self.classes_)),
            _Checkpoints(folder, about),
            seed=seed,
            stage="experts",
            progress=self.progress,
        )
        return _ExpertTrack(self, y, held, models, template, heads, rule)

    def _measure_votes(self, track: _ExpertTrack) -> None:
        """Let experts vote for the labels that none of them was trained on."""
        n_classes = len(self.classes_)
        # Where no round was kept, the first one shows why.
        number = max(self.n_rounds_, 1)
        held = track.held if number in track.experts else track.held[:0]
        self.val_codes_ = track.y[held]
        self.val_votes_ = np.empty((0, n_classes), dtype=bool)
        if len(held):
            experts, scale = track.experts[number]
            self.val_votes_ = scale(_head_logits(experts, track.models.X[held])) >= 0.5
        table = ExpertVotes("", number, self.val_codes_, self.val_votes_).counts()
        counts = np.bincount(self.val_codes_, minlength=n_classes)
        self.confusion_ = table / np.maximum(counts, 1)[:, None]


@register
class ExpertTaught(NetworkCandidate):
    """Binary experts pseudo-label what they agree on."""

    name = "experts"
    summary = "Binary experts, one a class, that vote on pseudo-labels"
    tasks = (SingleLabel(),)

    def suits(self, problem: NetworkProblem) -> bool:
        """Return False: it is tried where it is asked for."""
        return False

    def train(self, inputs: TrainingInputs, pseudo: PseudoLabels) -> Trained:
        """Run the rounds of the experts."""
        n_labeled, third = int((inputs.y >= 0).sum()), inputs.settings.n_steps // 3
        model = BinaryExperts(
            inputs.settings.network(n_labeled, min_steps=third, n_epochs=1),
            retrain_steps=third,
            checkpoint=inputs.folder,
            progress=inputs.progress,
            random_state=inputs.seed,
        ).fit(inputs.pixels, inputs.y, groups=inputs.problem.groups)
        votes = None
        if len(model.val_codes_):
            number = max(model.n_rounds_, 1)
            votes = ExpertVotes(self.name, number, model.val_codes_, model.val_votes_)
        return Trained(
            model.multiclass_,
            rounds=model.rounds_,
            kept=set(range(model.n_rounds_ + 1)),
            accepted=model.accepted_,
            ledger=model.ledger_,
            votes=votes,
            notes=model.notes_,
        )


def load_experts(folder: str | Path) -> tuple[Network, _HeadScale]:
    """Read the experts of a round.

    Parameters
    ----------
    folder : str or Path
        The folder ``experts-1`` of the first round, and so on.

    Returns
    -------
    experts : Network
        Its outputs are logits, one for each class against all others.
    scale : _HeadScale
        Calibrates them.

    Raises
    ------
    ModelFormatError
        If the folder is no such model, or damaged.
    """
    bundle = load_bundle(folder, kind="checkpoint")
    if "scale" not in bundle.meta:
        raise ModelFormatError(
            f"{folder} holds no experts of a round: give a folder such as RUN/rounds/experts-1."
        )
    return _restore(bundle.arrays, bundle.meta)
