"""Binary experts: a multi-class network, fine-tuned into one expert a class, labels the rest."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted

from fewlabel.compute import as_generator
from fewlabel.data import task_of
from fewlabel.data.targets import encode_labels
from fewlabel.errors import UsageError
from fewlabel.evaluate import LabelFolds, choose_candidate, label_folds
from fewlabel.nets import Network, NetworkClassifier
from fewlabel.semisupervised.agreement import AgreementRule
from fewlabel.semisupervised.binary_heads import (
    BALANCES,
    TRUNKS,
    ClaimScale,
    HeadSettings,
    head_logits,
)
from fewlabel.semisupervised.expert_rounds import ExpertRounds, ExpertSettings
from fewlabel.semisupervised.expert_store import ExpertRound, Multiclass, RoundFolder, RoundState
from fewlabel.semisupervised.inputs import check_rows, check_rows_and_labels, demand, digest_of
from fewlabel.semisupervised.ledger import PseudoLabelLedger

Progress = Callable[[str, int, int], None]

_OF_FOLDS = 5


class BinaryExperts(ClassifierMixin, BaseEstimator):
    """A multi-class network whose binary experts give pseudo-labels, in rounds.

    One multi-class network is trained on the labels. Each round turns a copy of it into one
    binary expert a class, which share its trunk; an unlabelled row that exactly one expert
    claims gets a pseudo-label; the network is trained further on labels and pseudo-labels; and
    all pseudo-labels are judged again. A part of the labels is held out to calibrate the
    experts and to say when to stop; the final network is given those labels, too. If no round
    does better on the held-out labels, the network trained on the labels alone is kept and
    ``helped_`` is false.

    Parameters
    ----------
    estimator : NetworkClassifier or FineTuning, optional
        How the multi-class network is made. By default a fully connected network for rows, and
        the small CNN for images.
    agreement : {"vote", "veto", "margin"}
        ``"veto"``: one expert claims the row with confidence ``threshold``, and no other claims
        it at all. ``"vote"``: so, and the multi-class network says the same. ``"margin"``: the
        most confident expert is ``margin`` ahead of the next.
    threshold : float
        Least calibrated confidence of the expert that claims.
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
    labeled_share : float
        Share of the rows of a retraining that are true labels, which are repeated for it.
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
    classes_ : ndarray of shape (n_classes,)
        Classes.
    multiclass_ : NetworkClassifier or FineTuning
        The final multi-class network, which predicts.
    experts_ : Network or None
        The experts of the last round that was kept; None where no round was.
    scale_ : ClaimScale or None
        Calibrates them.
    n_rounds_ : int
        Rounds that were kept; 0 is training on the labels alone.
    helped_ : bool
        Whether that beat training on the labels alone.
    rounds_ : list of ExpertRound
        What every round accepted, rejected and revoked, by class.
    held_out_accuracy_ : ndarray of shape (rounds tried + 1,)
        Accuracy on held-out labels by round; empty without such labels.
    confusion_ : ndarray of shape (n_classes, n_classes)
        Share of the held-out rows of each class (rows) that each expert claims (columns): those
        of the last round that was kept, or of the first one where none was.
    held_claims_ : ndarray of shape (m, n_classes), dtype bool
        Whether each of these experts claims each held-out row; no rows where there are none.
    held_codes_ : ndarray of shape (m,)
        Class numbers of these rows.
    folds_ : LabelFolds
        The folds.
    ledger_ : PseudoLabelLedger
        Every pseudo-label of the rounds that were kept, with its round and perhaps its
        revocation.
    accepted_ : list of tuple
        Rows, class numbers and confidence of the pseudo-labels after each round.
    notes_ : list of str
        What the user must know: experts that claimed nothing, a collapse that was rolled back.
    n_features_in_ : int
        Number of features seen in ``fit``; for rows only.

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

    def __init__(
        self,
        estimator: Multiclass | None = None,
        *,
        agreement: str = "vote",
        threshold: float = 0.9,
        margin: float = 0.5,
        trunk: str = "fine-tuned",
        balance: str = "loss",
        expert_epochs: int = 10,
        pseudo_weight: float = 0.7,
        labeled_share: float = 0.25,
        retrain_steps: int = 400,
        max_rounds: int = 5,
        patience: int = 2,
        n_folds: int = 1,
        checkpoint: str | Path | None = None,
        progress: Progress | None = None,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.estimator = estimator
        self.agreement = agreement
        self.threshold = threshold
        self.margin = margin
        self.trunk = trunk
        self.balance = balance
        self.expert_epochs = expert_epochs
        self.pseudo_weight = pseudo_weight
        self.labeled_share = labeled_share
        self.retrain_steps = retrain_steps
        self.max_rounds = max_rounds
        self.patience = patience
        self.n_folds = n_folds
        self.checkpoint = checkpoint
        self.progress = progress
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any, *, classes: Any = None) -> BinaryExperts:
        """Train on labelled and unlabelled rows.

        Parameters
        ----------
        X : array-like of shape (n, d), or uint8 images of shape (n, H, W) or (n, H, W, C)
            All rows or images.
        y : array-like of shape (n,)
            Labels; -1 is unlabelled.
        classes : array-like, optional
            Classes that there must be a label of.

        Returns
        -------
        BinaryExperts
            Itself.

        Raises
        ------
        UsageError
            If a parameter is out of range, or a class has no label.
        TrainingError
            If a loss is no longer a number.
        """
        self._check_parameters()
        X, y = check_rows_and_labels(self, X, y)
        self.classes_, codes = encode_labels(y, "BinaryExperts")
        if len(self.classes_) < 2:
            raise UsageError(
                "BinaryExperts needs labels of at least two classes. Got one class instead: label "
                "rows of another one."
            )
        _check_classes(self.classes_, classes)
        rng = as_generator(self.random_state)
        seed = int(rng.integers(2**31))
        self.folds_: LabelFolds = label_folds(task_of(codes), codes, None, _OF_FOLDS, rng)
        self.notes_: list[str] = []
        if len(self.classes_) == 2:
            self.notes_.append(
                "There are two classes: one expert suffices to tell them apart, the other one "
                "says the opposite."
            )
        runs = [
            self._rounds(X, codes, number, seed)
            for number in range(min(self.n_folds, len(self.folds_.folds)))
        ]
        if not runs:
            runs = [self._rounds(X, codes, None, seed)]
        self._run(runs)
        self._finish(runs[0], codes)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict class probabilities by the multi-class network.

        Parameters
        ----------
        X : array-like of shape (m, d), or uint8 images
            Rows.

        Returns
        -------
        ndarray of shape (m, n_classes)
            Rows that sum to 1, float64.
        """
        check_is_fitted(self, "multiclass_")
        return self.multiclass_.predict_proba(check_rows(self, X))

    def predict(self, X: Any) -> np.ndarray:
        """Predict classes by the multi-class network.

        Parameters
        ----------
        X : array-like of shape (m, d), or uint8 images
            Rows.

        Returns
        -------
        ndarray of shape (m,)
            Classes.
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def claims(self, X: Any) -> np.ndarray:
        """Say what each expert claims.

        Parameters
        ----------
        X : array-like of shape (m, d), or uint8 images
            Rows.

        Returns
        -------
        ndarray of shape (m, n_classes)
            Calibrated probability that a row is of the class, by each expert alone; rows need
            not sum to 1.

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
        return self.scale_(head_logits(self.experts_, check_rows(self, X)))

    def _rounds(
        self, X: np.ndarray, codes: np.ndarray, fold: int | None, seed: int
    ) -> ExpertRounds:
        """Prepare rounds without the labels of a fold."""
        held = np.empty(0, dtype=np.int64)
        if fold is not None:
            held = np.setdiff1d(self.folds_.folds[fold][1], self.folds_.labeled[self.folds_.unseen])
        known = codes.copy()
        known[held] = -1
        settings = ExpertSettings(
            rule=self._rule(),
            heads=HeadSettings(self.trunk, self.balance, self.expert_epochs),
            pseudo_weight=self.pseudo_weight,
            labeled_share=self.labeled_share,
            retrain_steps=self.retrain_steps,
        )
        folder = None if self.checkpoint is None else Path(self.checkpoint)
        if folder is not None and fold:
            folder = folder / f"fold-{fold}"
        template = self._template(X)
        about = digest_of(X, known, held, settings, repr(template.get_params()), seed)
        return ExpertRounds(
            X,
            known,
            len(self.classes_),
            held,
            codes[held],
            template,
            settings,
            seed,
            RoundFolder(folder, about),
            self.progress,
        )

    def _run(self, runs: list[ExpertRounds]) -> None:
        """Run all folds in step until the accuracy on held-out labels has stopped growing."""
        truth = np.concatenate([run.truth for run in runs])
        by_round: dict[str, np.ndarray] = {}
        reached: list[float] = []
        best = 0
        # Without an unlabelled row there is nothing to agree on.
        most = self.max_rounds if len(runs[0].pool) else 0
        for number in range(most + 1):
            states = [run.run(number) for run in runs]
            if self._has_ended(states[0].record):
                break
            if not len(truth):
                best = number
                continue
            proba = np.concatenate([state.held_proba for state in states])
            by_round[str(number)] = proba
            reached.append(float(np.mean(proba.argmax(axis=1) == truth)))
            # Held-out labels are few: among rounds that are as accurate within the error, the
            # one with the least log loss.
            best = int(choose_candidate(task_of(truth), truth, by_round).name)
            if number - best >= self.patience:
                break
        self.held_out_accuracy_ = np.array(reached)
        self.n_rounds_ = best
        self.helped_ = best > 0
        if not self.helped_:
            self.notes_.append(
                "The experts' pseudo-labels did not help: the network trained on the labels "
                "alone does at least as well on held-out labels and is kept."
            )

    def _has_ended(self, record: ExpertRound) -> bool:
        if record.outcome == "no claims":
            self.notes_.append(
                f"In round {record.round} the experts agreed on nothing: the last network is "
                "kept. Label more, or lower the threshold."
            )
        elif record.outcome == "collapsed":
            self.notes_.append(
                f"In round {record.round} one class swallowed nearly all of "
                f"{record.n_accepted:,} pseudo-labels: the round was rolled back."
            )
        return record.outcome != "trained"

    def _finish(self, run: ExpertRounds, codes: np.ndarray) -> None:
        """Give the kept network all labels."""
        state = run.states[self.n_rounds_]
        self.rounds_ = [kept.record for kept in run.states]
        self.ledger_ = _ledger(run.states[1 : self.n_rounds_ + 1], len(codes))
        self.experts_: Network | None = state.experts
        self.scale_: ClaimScale | None = state.scale
        self._test_claims(run, run.states[min(max(self.n_rounds_, 1), len(run.states) - 1)])
        if self.n_rounds_:
            self.multiclass_ = run.retrain(state, codes, "final")
        elif len(run.held):
            self.multiclass_ = run.with_all_labels(codes).run(0).multiclass
        else:
            self.multiclass_ = state.multiclass
        self.accepted_ = [(kept.rows, kept.codes, kept.confidence) for kept in run.states]

    def _test_claims(self, run: ExpertRounds, state: RoundState) -> None:
        """Ask the experts for the labels that none of them was trained on."""
        n_classes = len(self.classes_)
        self.held_codes_ = np.empty(0, dtype=np.int64)
        self.held_claims_ = np.empty((0, n_classes), dtype=bool)
        if state.experts is not None and state.scale is not None and len(run.held):
            self.held_codes_ = run.truth
            self.held_claims_ = state.scale(head_logits(state.experts, run.X[run.held])) >= 0.5
        table = np.zeros((n_classes, n_classes))
        np.add.at(table, self.held_codes_, self.held_claims_)
        counts = np.bincount(self.held_codes_, minlength=n_classes)
        self.confusion_ = table / np.maximum(counts, 1)[:, None]

    def _template(self, X: np.ndarray) -> Multiclass:
        if self.estimator is not None:
            return clone(self.estimator)
        if X.ndim == 2:
            return NetworkClassifier("mlp", device=self.device)
        return NetworkClassifier("cnn", min_steps=400, augment="mild", device=self.device)

    def _rule(self) -> AgreementRule:
        return AgreementRule(self.agreement, self.threshold, self.margin)

    def _check_parameters(self) -> None:
        self._rule().check("BinaryExperts")
        for name, allowed in (("trunk", TRUNKS), ("balance", BALANCES)):
            value = getattr(self, name)
            demand(value in allowed, name, f"one of {', '.join(allowed)}", self)
        for name in ("pseudo_weight", "labeled_share"):
            value = getattr(self, name)
            fine = isinstance(value, numbers.Real) and 0 < float(value) <= 1
            demand(fine, name, "a float in (0, 1]", self)
        demand(self.labeled_share < 1, "labeled_share", "below 1", self)
        least = {"expert_epochs": 0, "retrain_steps": 1, "max_rounds": 0, "patience": 1}
        for name, smallest in (least | {"n_folds": 0}).items():
            value = getattr(self, name)
            fine = isinstance(value, numbers.Integral) and int(value) >= smallest
            demand(fine, name, f"an int of at least {smallest}", self)
        demand(self.n_folds <= _OF_FOLDS, "n_folds", f"an int of at most {_OF_FOLDS}", self)


def _ledger(kept: list[RoundState], n_rows: int) -> PseudoLabelLedger:
    """Enter the rounds that were kept: what later ones believed is in no network."""
    ledger = PseudoLabelLedger(n_rows)
    for state in kept:
        ledger.judge(state.record.round, state.rows, state.codes, state.confidence)
    return ledger


def _check_classes(found: np.ndarray, wanted: Any) -> None:
    if wanted is None:
        return
    missing = [str(name) for name in np.asarray(wanted).tolist() if name not in found.tolist()]
    if missing:
        raise UsageError(
            f"No row is labelled {', '.join(missing[:5])}{', …' if len(missing) > 5 else ''}: an "
            "expert needs at least one label of its class."
        )
