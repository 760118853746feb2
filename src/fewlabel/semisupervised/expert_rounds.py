"""Rounds of a multi-class network and its binary experts on one set of labels."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
from sklearn.base import clone

from fewlabel.data.targets import one_hot
from fewlabel.semisupervised.agreement import AgreementRule, has_collapsed
from fewlabel.semisupervised.binary_heads import ClaimScale, HeadSettings, head_logits, make_experts
from fewlabel.semisupervised.expert_store import ExpertRound, Multiclass, RoundFolder, RoundState


@dataclass(frozen=True)
class ExpertSettings:
    """How rounds are run.

    Attributes
    ----------
    rule : AgreementRule
        When experts agree.
    heads : HeadSettings
        How experts are made.
    pseudo_weight : float
        Weight of a pseudo-label beside a label's 1.
    labeled_share : float
        Share of the rows of a retraining that are true labels: they are repeated until then.
    retrain_steps : int
        Steps of a retraining, at least; every accepted row is seen once.
    """

    rule: AgreementRule
    heads: HeadSettings
    pseudo_weight: float
    labeled_share: float
    retrain_steps: int


class ExpertRounds:
    """Trains, turns into experts, judges and retrains.

    Parameters
    ----------
    X : ndarray of shape (n, ...)
        Rows or images.
    codes : ndarray of shape (n,)
        Classes of the labels that may be used, -1 elsewhere.
    n_classes : int
        Number of classes.
    held : ndarray of shape (m,)
        Labelled rows that are held out, to calibrate the experts and to test each round.
    truth : ndarray of shape (m,)
        Their classes.
    template : NetworkClassifier or FineTuning
        How the multi-class network is made.
    settings : ExpertSettings
        How rounds are run.
    seed : int
        Seed of every random choice.
    store : RoundFolder
        Where rounds are kept.
    progress : callable or None
        Called as ``progress(stage, done, total)``.
    """

    def __init__(
        self,
        X: np.ndarray,
        codes: np.ndarray,
        n_classes: int,
        held: np.ndarray,
        truth: np.ndarray,
        template: Multiclass,
        settings: ExpertSettings,
        seed: int,
        store: RoundFolder,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        self.X = X
        self.codes = codes
        self.n_classes = n_classes
        self.held = held
        self.truth = truth
        self.template = template
        self.settings = settings
        self.seed = seed
        self.store = store
        self.progress = progress
        self.labeled = np.flatnonzero(codes >= 0)
        self.pool = np.setdiff1d(np.flatnonzero(codes < 0), held)
        counts = np.bincount(codes[self.labeled], minlength=n_classes)
        self.shares = counts / counts.sum()
        self.states: list[RoundState] = []

    def run(self, number: int) -> RoundState:
        """Run a round, or take up what an interrupted run has kept of it.

        Parameters
        ----------
        number : int
            Number of the round; 0 trains on the labels alone.

        Returns
        -------
        RoundState
            The state after it; its networks are those of the round before where the experts
            claimed nothing or one class swallowed all.
        """
        start = time.perf_counter()
        state = self.store.get(number, self.template)
        if state is None:
            state = self._first() if number == 0 else self._round(number, self.states[-1])
            record = asdict(state.record) | {
                "accuracy": self._test(state),
                "seconds": time.perf_counter() - start,
            }
            state.record = ExpertRound(**record)
            self.store.put(number, state)
        self._test(state)
        self.states.append(state)
        return state

    def with_all_labels(self, codes: np.ndarray) -> ExpertRounds:
        """Prepare the same rounds with other labels, none held out, that are kept nowhere.

        Parameters
        ----------
        codes : ndarray of shape (n,)
            Classes, -1 where unlabelled.

        Returns
        -------
        ExpertRounds
            Rounds.
        """
        none = np.empty(0, dtype=np.int64)
        return ExpertRounds(
            self.X,
            codes,
            self.n_classes,
            none,
            none,
            self.template,
            self.settings,
            self.seed,
            RoundFolder(None, ""),
            self.progress,
        )

    def retrain(self, state: RoundState, codes: np.ndarray, name: str) -> Multiclass:
        """Train the network of a round further, on labels and its accepted pseudo-labels.

        Parameters
        ----------
        state : RoundState
            Network and pseudo-labels.
        codes : ndarray of shape (n,)
            Classes of the labels that may be used, -1 elsewhere.
        name : str
            Name of the training.

        Returns
        -------
        NetworkClassifier or FineTuning
            The network; that of ``state`` stays as it is.
        """
        labeled = np.flatnonzero(codes >= 0)
        accepted = codes[state.rows] < 0
        rows, pseudo = state.rows[accepted], state.codes[accepted]
        share = self.settings.labeled_share
        wanted = share / (1 - share) * len(rows) / len(labeled)
        copies = max(1, round(wanted))
        taken = np.concatenate([np.tile(labeled, copies), rows])
        targets = one_hot(np.concatenate([np.tile(codes[labeled], copies), pseudo]), self.n_classes)
        weights = np.ones(len(taken))
        weights[len(taken) - len(rows) :] = self.settings.pseudo_weight
        network = self._new(name)
        network.network_ = state.multiclass.network_
        batch = min(network.batch_size, len(taken))
        n_epochs = max(1, round(self.settings.retrain_steps * batch / len(taken)))
        network.set_params(warm_start=True, n_epochs=n_epochs, min_steps=1)
        return self._fit(network, taken, targets, weights)

    def _first(self) -> RoundState:
        targets = one_hot(self.codes[self.labeled], self.n_classes)
        network = self._fit(self._new("round-0"), self.labeled, targets, None)
        return RoundState(ExpertRound(0, n_rejected=len(self.pool)), network)

    def _round(self, number: int, before: RoundState) -> RoundState:
        experts = make_experts(
            before.multiclass.network_,
            self.X[self.labeled],
            self.codes[self.labeled],
            self.settings.heads,
            seed=self.seed * 1_009 + number,
            checkpoint=self.store.training_file(f"experts-{number}"),
        )
        scale = ClaimScale.fit(
            head_logits(experts, self.X[self.held]),
            self.truth,
            self.shares,
            balanced=self.settings.heads.balance != "none",
        )
        claims = scale(head_logits(experts, self.X[self.pool]))
        proba = before.multiclass.predict_proba(self.X[self.pool])
        accepted, codes, confidence = self.settings.rule.judge(claims, proba)
        if not accepted.any() or has_collapsed(codes[accepted], self.shares):
            outcome = "collapsed" if accepted.any() else "no claims"
            record = ExpertRound(
                number, int(accepted.sum()), int((~accepted).sum()), outcome=outcome
            )
            # Rolled back: network and pseudo-labels stay those of the round before.
            return RoundState(
                record,
                before.multiclass,
                experts,
                scale,
                before.rows,
                before.codes,
                before.confidence,
            )
        rows = self.pool[accepted]
        state = RoundState(
            ExpertRound(number),
            before.multiclass,
            experts,
            scale,
            rows,
            codes[accepted],
            confidence[accepted],
        )
        revoked = np.array([], dtype=np.int64)
        if len(before.rows):
            held = dict(zip(rows.tolist(), state.codes.tolist(), strict=True))
            gone = [
                code
                for row, code in zip(before.rows.tolist(), before.codes.tolist(), strict=True)
                if held.get(row) != code
            ]
            revoked = np.array(gone, dtype=np.int64)
        state.record = ExpertRound(
            number,
            n_accepted=len(rows),
            n_rejected=int((~accepted).sum()),
            n_new=len(rows) - (len(before.rows) - len(revoked)),
            n_revoked=len(revoked),
            mean_confidence=float(state.confidence.mean()),
            accepted_by_class=self._count(state.codes),
            rejected_by_class=self._count(codes[~accepted]),
            revoked_by_class=self._count(revoked),
        )
        state.multiclass = self.retrain(state, self.codes, f"round-{number}")
        return state

    def _count(self, codes: np.ndarray) -> list[int]:
        counts: list[int] = np.bincount(codes, minlength=self.n_classes).tolist()
        return counts

    def _new(self, name: str) -> Multiclass:
        network: Multiclass = clone(self.template)
        network.set_params(
            random_state=_seed_of(self.seed, name), checkpoint=self.store.training_file(name)
        )
        if self.progress is not None:
            told = self.progress
            network.set_params(
                progress=lambda stage, done, total: told(f"experts: {name}", done, total)
            )
        return network

    def _fit(
        self,
        network: Multiclass,
        rows: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray | None,
    ) -> Multiclass:
        classes = np.arange(self.n_classes)
        fitted = network.fit_soft(self.X[rows], targets, sample_weight=weights, classes=classes)
        fitted.set_params(checkpoint=None, progress=None)
        return fitted

    def _test(self, state: RoundState) -> float | None:
        if not len(self.held):
            return None
        if not len(state.held_proba):
            state.held_proba = state.multiclass.predict_proba(self.X[self.held])
        return float(np.mean(state.held_proba.argmax(axis=1) == self.truth))


def _seed_of(seed: int, name: str) -> int:
    return int(np.random.default_rng([seed, *name.encode()]).integers(2**31))
