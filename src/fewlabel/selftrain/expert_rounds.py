"""Rounds of a multi-class network and its binary experts on one set of labels."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from sklearn.base import clone

from fewlabel.data.targets import one_hot
from fewlabel.errors import ModelFormatError
from fewlabel.nets import FineTuning, Network, NetworkClassifier, predict_logits
from fewlabel.nets.batches import as_inputs
from fewlabel.nets.state import network_from_state, network_to_state
from fewlabel.persist import load_bundle, save_bundle
from fewlabel.selftrain.agreement import AgreementRule, has_collapsed
from fewlabel.selftrain.binary_heads import ClaimScale, HeadSettings, make_experts

Multiclass = NetworkClassifier | FineTuning

MULTICLASS_KIND = "experts-multiclass"
EXPERTS_KIND = "experts-binary"


@dataclass(frozen=True)
class ExpertRound:
    """What a round did.

    Attributes
    ----------
    round : int
        Number of the round; 0 is training on the labels alone.
    n_accepted, n_rejected : int
        Unlabelled rows that the experts agreed on, and the others.
    n_new, n_revoked : int
        Pseudo-labels that the round before did not have, and those of it that were taken back.
    mean_confidence : float or None
        Mean confidence of the accepted ones; None where there are none.
    accepted_by_class, rejected_by_class, revoked_by_class : list of int
        The same counts by class; rejected ones by that of the most confident expert.
    accuracy : float or None
        Accuracy on held-out labels after the round; None without such labels.
    outcome : str
        ``"trained"``, ``"no claims"`` or ``"collapsed"``.
    seconds : float
        Time of the round.
    """

    round: int
    n_accepted: int = 0
    n_rejected: int = 0
    n_new: int = 0
    n_revoked: int = 0
    mean_confidence: float | None = None
    accepted_by_class: list[int] = field(default_factory=list)
    rejected_by_class: list[int] = field(default_factory=list)
    revoked_by_class: list[int] = field(default_factory=list)
    accuracy: float | None = None
    outcome: str = "trained"
    seconds: float = 0.0


@dataclass
class RoundState:
    """The networks after a round, and the pseudo-labels that it trained on.

    Attributes
    ----------
    record : ExpertRound
        What the round did.
    multiclass : NetworkClassifier or FineTuning
        The multi-class network.
    experts : Network or None
        The experts that judged; None in round 0.
    scale : ClaimScale or None
        Calibrates what they claim.
    rows, codes : ndarray of shape (m,), int64
        Accepted rows and their classes.
    confidence : ndarray of shape (m,)
        Confidence of each.
    held_proba : ndarray of shape (h, K)
        What the multi-class network says of the held-out rows.
    """

    record: ExpertRound
    multiclass: Multiclass
    experts: Network | None = None
    scale: ClaimScale | None = None
    rows: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    codes: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    confidence: np.ndarray = field(default_factory=lambda: np.empty(0))
    held_proba: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))


class RoundFolder:
    """Rounds on disk, each with its two networks, loadable one by one.

    Parameters
    ----------
    folder : Path or None
        Where to keep them; None keeps nothing.
    about : str
        Digest of data and settings: rounds of another run are not taken.
    """

    def __init__(self, folder: Path | None, about: str) -> None:
        self.folder = folder
        self.about = about

    def training_file(self, name: str) -> Path | None:
        """Name the file for the state of a training.

        Parameters
        ----------
        name : str
            Name of the training.

        Returns
        -------
        Path or None
            The file; None where nothing is kept.
        """
        if self.folder is None:
            return None
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"{name}.training.safetensors"

    def put(self, number: int, state: RoundState) -> None:
        """Write a round; the first one takes the place of all rounds of another run.

        Parameters
        ----------
        number : int
            Its number.
        state : RoundState
            The round.
        """
        if self.folder is None:
            return
        if number == 0:
            for stale in self.folder.glob("round-[0-9]*"):
                if stale.is_dir():
                    shutil.rmtree(stale)
        place = self.folder / f"round-{number}"
        place.mkdir(parents=True, exist_ok=True)
        if state.experts is not None and state.scale is not None:
            arrays, network = network_to_state(state.experts, state.multiclass.classes_)
            meta = {"network": network, "scale": state.scale.to_dict()}
            save_bundle(place / "experts", kind=EXPERTS_KIND, arrays=arrays, meta=meta, force=True)
        arrays, network = state.multiclass.to_state()
        accepted = {
            "accepted.rows": state.rows,
            "accepted.codes": state.codes,
            "accepted.confidence": state.confidence,
        }
        # Written last: a round counts once this is there.
        save_bundle(
            place / "multiclass",
            kind=MULTICLASS_KIND,
            arrays=arrays | accepted,
            meta={"network": network, "record": asdict(state.record), "about": self.about},
            force=True,
        )

    def get(self, number: int, template: Multiclass) -> RoundState | None:
        """Read a round.

        Parameters
        ----------
        number : int
            Its number.
        template : NetworkClassifier or FineTuning
            A multi-class network to clone the settings of.

        Returns
        -------
        RoundState or None
            The round; None if it is not there, damaged, or of another run.
        """
        if self.folder is None:
            return None
        place = self.folder / f"round-{number}"
        try:
            bundle = load_bundle(place / "multiclass", kind=MULTICLASS_KIND)
            if bundle.meta["about"] != self.about:
                return None
            arrays = dict(bundle.arrays)
            rows, codes, confidence = (
                arrays.pop(f"accepted.{name}") for name in ("rows", "codes", "confidence")
            )
            loaded = type(template).from_state(
                arrays, bundle.meta["network"], device=template.device
            )
            multiclass = clone(template)
            multiclass.network_, multiclass.classes_ = loaded.network_, loaded.classes_
            multiclass.history_ = []
            experts, scale = None, None
            if number:
                experts, scale = load_experts(place / "experts")
            record = ExpertRound(**bundle.meta["record"])
        except (ModelFormatError, KeyError, TypeError):
            return None
        return RoundState(record, multiclass, experts, scale, rows, codes, confidence)


def load_experts(folder: str | Path) -> tuple[Network, ClaimScale]:
    """Read the experts of a round.

    Parameters
    ----------
    folder : str or Path
        The folder ``experts`` of a round.

    Returns
    -------
    experts : Network
        Its outputs are logits, one for each class against all others.
    scale : ClaimScale
        Calibrates them.

    Raises
    ------
    ModelFormatError
        If the folder is no such model, or damaged.
    """
    import torch

    bundle = load_bundle(folder, kind=EXPERTS_KIND)
    network, _ = network_from_state(bundle.arrays, bundle.meta["network"], torch.device("cpu"))
    numbers = bundle.meta["scale"]
    scale = ClaimScale(np.array(numbers["log_odds"]), numbers["slope"], numbers["offset"])
    return network, scale


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
            self._logits(experts, self.held),
            self.truth,
            self.shares,
            balanced=self.settings.heads.balance != "none",
        )
        claims = scale(self._logits(experts, self.pool))
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

    def _logits(self, network: Network, rows: np.ndarray) -> np.ndarray:
        """Run all heads over rows: one product on what the shared trunk sees."""
        if not len(rows):
            return np.empty((0, self.n_classes), dtype=np.float32)
        device = next(network.parameters()).device
        return predict_logits(network.eval(), as_inputs(self.X[rows]), device)

    def _test(self, state: RoundState) -> float | None:
        if not len(self.held):
            return None
        if not len(state.held_proba):
            state.held_proba = state.multiclass.predict_proba(self.X[self.held])
        return float(np.mean(state.held_proba.argmax(axis=1) == self.truth))


def _seed_of(seed: int, name: str) -> int:
    return int(np.random.default_rng([seed, *name.encode()]).integers(2**31))
