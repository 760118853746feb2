"""Self-training: a classifier's confident predictions become labels, and are chosen anew."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, fields
from functools import singledispatch
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression

from fewlabel.data.logistic import _fit_labels
from fewlabel.data.task import SingleLabel, Task
from fewlabel.errors import UsageError
from fewlabel.evaluate import label_folds, register
from fewlabel.params import choice, integer, number
from fewlabel.semisupervised.acceptance import SELECTIONS, AcceptanceRule, PseudoLabels
from fewlabel.semisupervised.base import SemiSupervisedClassifier, _check_takes
from fewlabel.semisupervised.checkpoints import _Checkpoints
from fewlabel.semisupervised.models import Progress, _Models, _ModelTrack, _Training
from fewlabel.semisupervised.network_problem import NetworkProblem
from fewlabel.semisupervised.network_training import Trained, TrainingInputs
from fewlabel.semisupervised.networks import NetworkCandidate
from fewlabel.semisupervised.rounds import _run_rounds


@dataclass(eq=False, repr=False)
class SelfTraining(SemiSupervisedClassifier):
    """Train on labels, then in rounds on the model's own confident predictions as well.

    Every round looks at every unlabeled row anew: a pseudo-label that no longer holds is revoked,
    unlike in scikit-learn's ``SelfTrainingClassifier``, where it stays for good. The number of
    rounds is the one that predicts left-out labels best in cross-fitting; if no round beats
    training without pseudo-labels, that model is kept and ``helped_`` is false.

    Parameters
    ----------
    estimator : classifier, optional
        With ``fit(X, y, sample_weight)`` and ``predict_proba``, or with ``fit_soft``; for several
        labels a row `fewlabel.NetworkClassifier`. Logistic regression by default.
    selection : {"adaptive", "threshold", "top-k", "curriculum"}
        FreeMatch's self-adaptive thresholds (Wang et al. 2023); a fixed threshold (Lee 2013);
        the ``k`` most confident predictions of each class times the round; a fraction of all that
        grows by ``fraction`` a round (Cascante-Bonilla et al. 2021).
    threshold : float
        Least confidence for ``"threshold"``.
    k : int
        Rows of each class that a round adds for ``"top-k"``.
    fraction : float
        Fraction of the unlabeled rows that a round adds for ``"curriculum"``.
    soft : bool
        Train on probabilities in place of the most probable class. A linear model learns next to
        nothing from its own probabilities, which it fits already.
    align : bool
        Align predictions with the class shares among the labels, against the collapse into a
        few classes (Berthelot et al. 2020). For labels that do not show these shares, such as
        one image of each class, turn it off.
    pseudo_weight : float
        Weight of a pseudo-label beside a label's 1.
    start_epoch : int, optional
        Epochs on the labels, after which pseudo-labels join: one network then goes on, each round
        is one epoch more, and the pseudo-labels are chosen anew before it. For networks with
        ``warm_start``; the optimizer begins each epoch anew. By default every round trains from
        the start.
    max_rounds : int
        Most rounds; with ``start_epoch``, most epochs with pseudo-labels.
    patience : int
        Rounds that predict left-out labels no better after which to stop.
    n_folds : int
        Folds of the labels for cross-fitting.
    checkpoint : str or Path, optional
        Folder for the state of a run, to go on from after an interruption; emptied at the end.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.
    random_state : int, RandomState or None
        Seed of the folds and of the estimator.

    Attributes
    ----------
    estimator_ : classifier
        The final model.
    n_rounds_ : int
        Rounds that it was trained for; 0 is training without pseudo-labels.
    helped_ : bool
        Whether self-training beat that.
    val_accuracy_ : ndarray of shape (rounds tried + 1,)
        Accuracy on labels that were left out, by round; exact match for several labels a row.
    oof_proba_ : ndarray of shape (n_labeled, n_classes)
        Predictions of each labeled row without its own fold, in the chosen round.
    folds_ : LabelFolds
        The folds.
    rounds_ : list of Round
        What each round of the final model accepted and revoked.
    ledger_ : PseudoLabelLedger
        Every pseudo-label of the final model, with its round and perhaps its revocation.
    transduction_ : ndarray of shape (n,) or (n, n_classes)
        Given labels, and predictions for the others.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> few = np.full(len(y), -1)
    >>> few[:100] = y[:100]
    >>> model = SelfTraining(max_rounds=4, n_folds=3, random_state=0).fit(X / 16, few)
    >>> bool(model.score(X[100:] / 16, y[100:]) > 0.85)
    True
    """

    estimator: Any = None
    _: KW_ONLY
    selection: str = "adaptive"
    threshold: float = 0.95
    k: int = 20
    fraction: float = 0.2
    soft: bool = False
    align: bool = True
    pseudo_weight: float = 0.5
    start_epoch: int | None = None
    max_rounds: int = 6
    patience: int = 2
    n_folds: int = 5
    checkpoint: str | Path | None = None
    progress: Progress | None = None
    random_state: int | np.random.RandomState | None = None

    _parameter_constraints = SemiSupervisedClassifier._parameter_constraints | {
        "selection": [choice(SELECTIONS)],
        "threshold": [number(0, 1, closed="right")],
        "k": [integer(1)],
        "fraction": [number(0, 1, closed="right")],
        "soft": ["boolean"],
        "align": ["boolean"],
        "pseudo_weight": [number(0, closed="neither")],
        "start_epoch": [integer(1), None],
        "patience": [integer(1)],
        "n_folds": [integer(2)],
    }

    def fit(self, X: Any, y: Any, *, groups: Any = None) -> SelfTraining:
        """Cross-fit rounds, then train as many with all labels as did best without some."""
        X, y, rng, seed = self._begin(X, y, self.estimator)
        self.folds_ = label_folds(self.task_, y, groups, int(self.n_folds), rng)
        # What a network has learned so far is not kept by epoch: it begins anew.
        folder = None if self.start_epoch else self.checkpoint
        checkpoints = _Checkpoints(folder, [X, y, repr(self._settings("patience")), seed])
        tracks = [
            self._track(f"fold-{k}", X, y, held, seed, checkpoints)
            for k, (_, held) in enumerate(self.folds_.folds)
        ]
        unseen = self.folds_.labeled[self.folds_.unseen]
        # Without a label to test them by, no round is kept but that without pseudo-labels.
        most = self.max_rounds if not self.folds_.unseen.all() else 0
        chosen = _run_rounds(tracks, max_rounds=most, patience=self.patience, leave=unseen)
        self.val_accuracy_, self.oof_proba_ = chosen.accuracy, chosen.proba
        # With all labels: as many rounds as did best without some of them.
        final = self._track("final", X, y, unseen[:0], seed, checkpoints)
        _run_rounds([final], max_rounds=chosen.best)
        self._keep_round(final, chosen.best)
        self.estimator_ = final.models.last
        found = self.task_.predict(self.task_.keep_given(final.proba, y))
        self.transduction_ = self.task_.decode(found, self.classes_)
        checkpoints.clear()
        return self

    def _track(
        self,
        name: str,
        X: np.ndarray,
        y: np.ndarray,
        held: np.ndarray,
        seed: int,
        checkpoints: _Checkpoints,
    ) -> _SelfTrack:
        models = _Models(
            X,
            self.classes_,
            checkpoints,
            seed=seed,
            stage="self-training",
            progress=self.progress,
            # Of the folds only the predictions count.
            keeps_models=name == "final",
        )
        return _SelfTrack(name, self, self._template(self.task_), self.task_, y, held, models)

    def _template(self, task: Task) -> Any:
        template = clone(_default_estimator(task) if self.estimator is None else self.estimator)
        _check_takes(task, [template], "SelfTraining")
        if self.start_epoch is None:
            return template
        if not {"warm_start", "n_epochs", "min_steps"} <= set(template.get_params()):
            raise UsageError(
                "The 'start_epoch' parameter of SelfTraining is for networks, such as "
                "NetworkClassifier or FineTuning, which go on with warm_start. Got "
                f"{type(template).__name__} instead: leave it out."
            )
        return template.set_params(n_epochs=self.start_epoch, min_steps=1)


class _SelfTrack(_ModelTrack):
    """Accept what the model of the round before is confident of."""

    def __init__(
        self,
        name: str,
        settings: SelfTraining,
        template: Any,
        task: Task,
        y: np.ndarray,
        held: np.ndarray,
        models: _Models,
    ) -> None:
        super().__init__(task, y, held, models)
        self.name, self.settings, self.template = name, settings, template
        self.rule = AcceptanceRule(
            **{each.name: getattr(settings, each.name) for each in fields(AcceptanceRule)}
        )

    def accept(self, number: int) -> PseudoLabels:
        found = self.rule.accept(self.task, self.proba[self.pool], self.train_y, number)
        return found.at(self.pool)

    def training(self, number: int, pseudo: PseudoLabels) -> _Training:
        sample = self.sample(self.labeled, pseudo, self.settings.pseudo_weight)
        template, former = self.template, None
        # One network that goes on, an epoch a round, and sees new pseudo-labels in each.
        if self.settings.start_epoch is not None and number:
            former = self.models.last
            template = clone(template).set_params(warm_start=True, n_epochs=1)
        return _Training(f"{self.name}-round-{number}", template, **sample, former=former)


@register
class SelfTrained(NetworkCandidate):
    """A network trains on the labels, then on its own confident predictions as well."""

    # As `SelfTraining`: it accepts and samples by the same track, in the same loop. What differs
    # is the test: of the graph joined with the network, on the labels held out for all networks of
    # a search, since five folds would cost five trainings a round. These labels are few, so of
    # rounds within the error the latest is kept, and not the first of the most accurate; and with
    # all labels one more network is trained, not all rounds again.
    name = "self-training"
    summary = "A network trained on its own confident predictions, chosen anew each round"
    max_rounds = 4
    patience = SelfTraining().patience
    retrains = True
    joins_all = False

    def suits(self, problem: NetworkProblem) -> bool:
        """Return whether there is a pretrained network: from scratch it was no better."""
        return problem.has_backbone

    def accept(self, inputs: TrainingInputs) -> PseudoLabels | None:
        """Accept pseudo-labels anew; the first round has none."""
        # Nor has the network with all labels, if pseudo-labels were tested and did not help.
        if not inputs.networks or (inputs.n_left and len(inputs.networks) == 1):
            return None
        track = _track_of(inputs)
        track.proba = np.empty((len(inputs.y), track.n_classes), dtype=np.float32)
        own = inputs.networks[-1].predict_proba(inputs.pixels[track.pool])
        # Alone it confirms its own mistakes; the graph on its embeddings makes others (Iscen et
        # al. 2019). From scratch that was not measured.
        if inputs.problem.has_backbone:
            own = inputs.problem.task.combine(own, inputs.proba[track.pool])
        track.proba[track.pool] = own
        return track.accept(inputs.number - 1)

    def train(self, inputs: TrainingInputs, pseudo: PseudoLabels) -> Trained:
        """Train on the labels and on what was accepted."""
        sample = _track_of(inputs).training(inputs.number - 1, pseudo)
        return inputs.train_on(sample.rows, sample.targets, sample.mask, sample.weights)


def _track_of(inputs: TrainingInputs) -> _SelfTrack:
    """Return the track of `SelfTraining` for what a network of a search may learn from."""
    models = _Models(
        inputs.pixels, inputs.classes, _Checkpoints(None), seed=inputs.seed, stage=inputs.name
    )
    task, none = inputs.problem.task, np.empty(0, dtype=np.int64)
    return _SelfTrack(inputs.name, SelfTraining(), None, task, inputs.y, none, models)


class _Logistic(BaseEstimator):
    """One logistic regression a label, each on the rows of which that label is known."""

    def fit_soft(
        self,
        X: np.ndarray,
        targets: np.ndarray,
        mask: np.ndarray | None = None,
        sample_weight: np.ndarray | None = None,
        classes: np.ndarray | None = None,
    ) -> _Logistic:
        """Train on the probability of each label, as far as it is known."""
        known = np.ones(targets.shape) if mask is None else np.asarray(mask, dtype=np.float64)
        if sample_weight is not None:
            known = known * sample_weight[:, None]
        self.classes_ = np.arange(targets.shape[1]) if classes is None else classes
        self.coef_, self.intercept_ = _fit_labels(np.asarray(X, np.float64), targets, known, 1.0)
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return the probability of each label."""
        return np.asarray(expit(X @ self.coef_.T + self.intercept_))


@singledispatch
def _default_estimator(task: Task) -> Any:
    """Return what is trained where no estimator is given."""
    return _Logistic()


@_default_estimator.register
def _(task: SingleLabel) -> LogisticRegression:
    return LogisticRegression(max_iter=200)
