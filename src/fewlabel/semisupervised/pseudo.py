"""Self-training: a classifier's confident predictions become labels, and are judged again."""

from __future__ import annotations

import hashlib
import json
import numbers
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_is_fitted

from fewlabel.compute import as_generator
from fewlabel.data import task_of
from fewlabel.data.targets import encode_labels
from fewlabel.errors import UsageError
from fewlabel.evaluate import label_folds
from fewlabel.semisupervised.inputs import check_rows, check_rows_and_labels, demand
from fewlabel.semisupervised.rounds import (
    SELECTIONS,
    AcceptanceRule,
    RoundRecord,
    RoundStore,
    Track,
)
from fewlabel.semisupervised.soft_fit import class_probabilities, fit_soft

Progress = Callable[[str, int, int], None]


class SelfTraining(ClassifierMixin, BaseEstimator):
    """Train on labels, then in rounds on the model's own confident predictions as well.

    Every round judges every unlabelled row again: a pseudo-label that no longer holds is
    revoked, unlike in scikit-learn's ``SelfTrainingClassifier``, where it stays for good. The
    number of rounds is the one with the best cross-fitted accuracy on the labels; if no round
    beats training on the labels alone, that model is kept and ``helped_`` is false.

    Parameters
    ----------
    estimator : classifier, optional
        With ``fit(X, y, sample_weight)`` and ``predict_proba``, or with ``fit_soft``. Logistic
        regression by default.
    selection : {"adaptive", "threshold", "top-k", "curriculum"}
        FreeMatch's self-adaptive thresholds (Wang et al. 2023); a fixed threshold (Lee 2013);
        the ``k`` most confident predictions of each class times the round; a share of all that
        grows by ``share`` a round (Cascante-Bonilla et al. 2021).
    threshold : float
        Least confidence for ``"threshold"``.
    k : int
        Rows of each class that a round adds for ``"top-k"``.
    share : float
        Share of the unlabelled rows that a round adds for ``"curriculum"``.
    soft : bool
        Train on probabilities in place of the likeliest class. A linear model learns next to
        nothing from its own probabilities, which it fits already.
    align : bool
        Align predictions with the class shares among the labels, against the collapse into a
        few classes (Berthelot et al. 2020). For labels that do not show these shares, such as
        one image of each class, turn it off.
    pseudo_weight : float
        Weight of a pseudo-label beside a label's 1.
    start_epoch : int, optional
        Epochs on the labels alone, after which pseudo-labels join: one network then goes on, each
        round is one epoch more, and the pseudo-labels are judged anew before it. For networks
        with ``warm_start``; the optimizer begins each epoch anew. By default every round trains
        from the start.
    max_rounds : int
        Most rounds; with ``start_epoch``, most epochs with pseudo-labels.
    patience : int
        Rounds without a better cross-fitted accuracy after which to stop.
    n_folds : int
        Folds of the labels for cross-fitting.
    checkpoint : str or Path, optional
        Folder for the state of a run, to go on from after an interruption; emptied at the end.
    progress : callable, optional
        Called as ``progress("self-training", trainings_done, trainings_at_most)``.
    random_state : int, RandomState or None
        Seed of the folds and of the estimator.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Classes.
    estimator_ : classifier
        The final model.
    n_rounds_ : int
        Rounds that it was trained for; 0 is training on the labels alone.
    helped_ : bool
        Whether self-training beat training on the labels alone.
    cross_fitted_accuracy_ : ndarray of shape (rounds tried + 1,)
        Accuracy on labels that were left out, by round.
    cross_fitted_ : ndarray of shape (n_labeled, n_classes)
        Predictions of each labelled row without its own fold, in the chosen round.
    folds_ : LabelFolds
        The folds.
    rounds_ : list of RoundRecord
        What each round of the final model accepted and revoked.
    ledger_ : PseudoLabelLedger
        Every pseudo-label of the final model, with its round and perhaps its revocation.
    transduction_ : ndarray of shape (n,)
        Given labels, and predictions for the other rows.
    n_features_in_ : int
        Number of features seen in ``fit``; for rows only.

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

    def __init__(
        self,
        estimator: Any = None,
        *,
        selection: str = "adaptive",
        threshold: float = 0.95,
        k: int = 20,
        share: float = 0.2,
        soft: bool = False,
        align: bool = True,
        pseudo_weight: float = 0.5,
        start_epoch: int | None = None,
        max_rounds: int = 6,
        patience: int = 2,
        n_folds: int = 5,
        checkpoint: str | Path | None = None,
        progress: Progress | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.estimator = estimator
        self.selection = selection
        self.threshold = threshold
        self.k = k
        self.share = share
        self.soft = soft
        self.align = align
        self.pseudo_weight = pseudo_weight
        self.start_epoch = start_epoch
        self.max_rounds = max_rounds
        self.patience = patience
        self.n_folds = n_folds
        self.checkpoint = checkpoint
        self.progress = progress
        self.random_state = random_state

    def fit(self, X: Any, y: Any, *, groups: Any = None) -> SelfTraining:
        """Train in rounds.

        Parameters
        ----------
        X : array-like of shape (n, d), or uint8 images that the estimator takes
            Labelled and unlabelled rows.
        y : array-like of shape (n,)
            Labels; -1 where unlabelled.
        groups : array-like of shape (n,), optional
            The same number for exact duplicates, which then share a fold.

        Returns
        -------
        SelfTraining
            Itself.

        Raises
        ------
        UsageError
            If a parameter is out of range or fewer than two classes are labelled.
        """
        self._check_parameters()
        X, y = check_rows_and_labels(self, X, y)
        self.classes_, codes = encode_labels(y, "SelfTraining")
        if len(self.classes_) < 2:
            raise UsageError(
                "SelfTraining needs labels of at least two classes. Got 1 class instead: "
                f"{self.classes_[0]!s}."
            )
        rng = as_generator(self.random_state)
        seed = int(rng.integers(2**31))
        self.folds_ = label_folds(task_of(codes), codes, groups, int(self.n_folds), rng)
        self._store = RoundStore(self.checkpoint, self._about(X, codes, seed))
        self._n_trained = 0
        self._choose_rounds(X, codes, seed)
        self._train_final(X, codes, seed)
        self._store.clear()
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict class probabilities.

        Parameters
        ----------
        X : array-like of shape (m, d), or uint8 images
            Rows.

        Returns
        -------
        ndarray of shape (m, n_classes)
            Rows that sum to 1, float64.
        """
        check_is_fitted(self, "estimator_")
        return class_probabilities(self.estimator_, check_rows(self, X), self.classes_)

    def predict(self, X: Any) -> np.ndarray:
        """Predict classes.

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

    def _choose_rounds(self, X: np.ndarray, codes: np.ndarray, seed: int) -> None:
        """Run all folds in step, and find the round that predicts left-out labels best."""
        tracks = []
        for number, (train, _) in enumerate(self.folds_.folds):
            known = np.full(len(codes), -1, dtype=np.int64)
            known[train] = codes[train]
            tracks.append(self._track(f"fold-{number}", X, known, seed))
        position = {row: place for place, row in enumerate(self.folds_.labeled.tolist())}
        truth = codes[self.folds_.labeled]
        seen = ~self.folds_.unseen
        reached: list[float] = []
        best = np.empty((0, 0))
        for number in range(self.max_rounds + 1):
            left_out = np.empty((len(truth), len(self.classes_)))
            for track, (_, held) in zip(tracks, self.folds_.folds, strict=True):
                track.run_round(number)
                left_out[[position[row] for row in held.tolist()]] = track.proba[held]
            right = left_out.argmax(axis=1) == truth
            reached.append(float(right[seen].mean()) if seen.any() else 0.0)
            if reached[-1] > max(reached[:-1], default=-1.0):
                best, self.n_rounds_ = left_out, number
            if number - self.n_rounds_ >= self.patience:
                break
        self.cross_fitted_accuracy_ = np.array(reached)
        self.cross_fitted_ = best
        self.helped_ = self.n_rounds_ > 0

    def _train_final(self, X: np.ndarray, codes: np.ndarray, seed: int) -> None:
        track = self._track("final", X, codes, seed)
        self.rounds_: list[RoundRecord] = [
            track.run_round(number) for number in range(self.n_rounds_ + 1)
        ]
        self.ledger_ = track.ledger
        labels = track.proba.argmax(axis=1)
        labels[codes >= 0] = codes[codes >= 0]
        self.transduction_ = self.classes_[labels]

    def _track(self, name: str, X: np.ndarray, codes: np.ndarray, seed: int) -> Track:
        last = f"final-round-{getattr(self, 'n_rounds_', -1)}"
        goes_on = self.start_epoch is not None
        network = self._new_network(name, seed) if goes_on else None

        def train(
            step: str, rows: np.ndarray, targets: np.ndarray, weights: np.ndarray
        ) -> np.ndarray:
            # What a network has learnt so far is not in the store: it begins anew.
            kept = None if step == last or goes_on else self._store.get(step)
            if kept is None:
                model = network or self._new_estimator(step, seed)
                fit_soft(model, X[rows], targets, weights, self.classes_)
                kept = class_probabilities(model, X, self.classes_)
                if network is not None:
                    network.set_params(n_epochs=1, min_steps=1)
                else:
                    self._store.put(step, kept)
                if name == "final":
                    self.estimator_ = model
            self._n_trained += 1
            if self.progress is not None:
                most = (len(self.folds_.folds) + 1) * (self.max_rounds + 1)
                self.progress("self-training", min(self._n_trained, most), most)
            return kept

        rule = AcceptanceRule(
            self.selection, self.threshold, int(self.k), self.share, self.soft, self.align
        )
        return Track(name, codes, len(self.classes_), rule, self.pseudo_weight, train)

    def _new_network(self, name: str, seed: int) -> Any:
        """Make a network that goes on from round to round, and first learns the labels alone."""
        network = self._new_estimator(name, seed)
        if not {"warm_start", "n_epochs", "min_steps"} <= set(network.get_params()):
            raise UsageError(
                "The 'start_epoch' parameter of SelfTraining is for networks, such as "
                "NetworkClassifier or FineTuning, which go on with warm_start. Got "
                f"{type(network).__name__} instead: leave it out."
            )
        return network.set_params(warm_start=True, n_epochs=self.start_epoch, min_steps=1)

    def _new_estimator(self, step: str, seed: int) -> Any:
        base = LogisticRegression(max_iter=200) if self.estimator is None else self.estimator
        model = clone(base)
        known = model.get_params()
        if "random_state" in known:
            digest = hashlib.blake2b(f"{seed} {step}".encode(), digest_size=4)
            model.set_params(random_state=int.from_bytes(digest.digest(), "big") % 2**31)
        state = self._store.file(f"{step}-training")
        if "checkpoint" in known and state is not None:
            model.set_params(checkpoint=state)
        return model

    def _about(self, X: np.ndarray, codes: np.ndarray, seed: int) -> Any:
        """Name the data and the settings that a kept round belongs to."""
        if self.checkpoint is None:
            return None
        digest = hashlib.blake2b(np.ascontiguousarray(X).data, digest_size=16)
        digest.update(np.ascontiguousarray(codes).data)
        settings = {
            name: repr(value)
            for name, value in self.get_params(deep=False).items()
            if name not in ("checkpoint", "progress", "max_rounds", "patience")
        }
        return [digest.hexdigest(), json.dumps(settings, sort_keys=True), seed]

    def _check_parameters(self) -> None:
        demand(self.selection in SELECTIONS, "selection", f"one of {', '.join(SELECTIONS)}", self)
        for name in ("threshold", "share"):
            value = getattr(self, name)
            fine = isinstance(value, numbers.Real) and 0 < float(value) <= 1
            demand(fine, name, "a float in (0, 1]", self)
        for name, least in (("k", 1), ("max_rounds", 0), ("patience", 1), ("n_folds", 2)):
            value = getattr(self, name)
            fine = isinstance(value, numbers.Integral) and int(value) >= least
            demand(fine, name, f"an int of at least {least}", self)
        start = self.start_epoch
        fine = start is None or (isinstance(start, numbers.Integral) and int(start) >= 1)
        demand(fine, "start_epoch", "an int of at least 1, or None", self)
        fine = isinstance(self.pseudo_weight, numbers.Real) and float(self.pseudo_weight) > 0
        demand(fine, "pseudo_weight", "a float above 0", self)
