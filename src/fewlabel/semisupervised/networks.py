"""Networks as candidates: trained without some labels and tested on those, then given all.

The graph propagates labels over features that know none. A network learns from what is
propagated, from the labels, or from its own predictions, and sees more than the features did;
joined with them, its embeddings give the graph better neighbors.
"""

from __future__ import annotations

import copy
import math
import time
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from fewlabel.data import ImageSet, Task
from fewlabel.evaluate import choose_candidate, held_out
from fewlabel.evaluate.candidate import Candidate, Fitted, Problem
from fewlabel.evaluate.registry import REGISTRY
from fewlabel.features.backbone import Backbone
from fewlabel.features.joined import JoinedFeatures
from fewlabel.graph.classifier import FewLabelClassifier
from fewlabel.nets import FineTuning, NetworkClassifier
from fewlabel.nets.loop import Progress
from fewlabel.semisupervised.checkpoints import Checkpoints
from fewlabel.semisupervised.history import AcceptedLabels, TrainingHistory
from fewlabel.semisupervised.ledger import PseudoLabelLedger

MIN_LABELS = 50
"""With fewer labels, a part that is large enough to choose by leaves too few to train on."""

ROUNDS = "rounds"
"""Folder for what a training with rounds of its own keeps of them, and that of a run folder."""

MIN_STEPS = 200
"""A network that is trained for fewer steps than this has seen too little."""

_SMALL_SIDE, _PHOTO_SIDE = 64, 160
TRIAL_FRACTION = 0.6
"""Part of the time in which candidates are tried; the rest is for the one that is kept."""

_MAX_MORE = 2
_TIMED_STEPS, _WARM_UP = 6, 2
_FEW_TRAININGS, _MANY_TRAININGS, _ENOUGH_STEPS = 3.3, 6.0, 800


@dataclass(frozen=True)
class NetworkSettings:
    """How each network is trained.

    Attributes
    ----------
    architecture : str
        Network that is trained from scratch; see `fewlabel.NetworkClassifier`.
    n_steps : int
        Steps of one training, as far as ``max_epochs`` allows.
    max_epochs : int
        Passes over the images, at most: few images do not bear many steps.
    batch_size : int
        Images in a step.
    learning_rate : float
        Peak rate.
    augment : str
        Augmentation; short trainings want a mild one.
    flip : bool or "auto"
        Whether a mirrored image keeps its class.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to train.
    backbone : str or None
        Name of a timm model that is fine-tuned in place of ``architecture``.
    weights : str or None
        A ``.safetensors`` file with its weights.
    """

    architecture: str = "resnet"
    n_steps: int = 2_400
    max_epochs: int = 60
    batch_size: int = 320
    learning_rate: float = 3e-3
    augment: str = "mild"
    flip: bool | str = "auto"
    device: str = "auto"
    backbone: str | None = None
    weights: str | None = None

    @classmethod
    def for_features(cls, extractor: Any, device: str) -> NetworkSettings:
        """Return settings that suit the features: a backbone is fine-tuned.

        Parameters
        ----------
        extractor : FeatureExtractor
            What makes the features.
        device : {"auto", "cpu", "cuda", "mps"}
            Where to train.

        Returns
        -------
        NetworkSettings
            Settings.
        """
        if not isinstance(extractor, Backbone):
            return cls(device=device)
        weights = None if extractor.weights is None else str(extractor.weights)
        # Pretrained weights are moved gently, and soon fit a few photos.
        return cls(
            backbone=extractor.network_.recipe.model,
            weights=weights,
            n_steps=1_000,
            max_epochs=20,
            batch_size=32,
            learning_rate=1e-3,
            device=device,
        )

    def network(self, n_rows: int, **settings: Any) -> NetworkClassifier | FineTuning:
        """Return an untrained network.

        Parameters
        ----------
        n_rows : int
            Images that it will be trained on: they decide the number of epochs.
        **settings
            Further settings of the network.

        Returns
        -------
        NetworkClassifier or FineTuning
            The network.
        """
        n_epochs = max(1, round(self.n_steps * self.batch_size / n_rows))
        common: dict[str, Any] = {
            "n_epochs": min(n_epochs, self.max_epochs),
            "min_steps": 0,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "augment": self.augment,
            "flip": self.flip,
            "device": self.device,
        }
        if self.backbone is None:
            return NetworkClassifier(self.architecture, **common | settings)
        return FineTuning(self.backbone, weights=self.weights, **common | settings)


@dataclass(frozen=True, eq=False)
class TrainingInputs:
    """What the network of a round may learn from.

    Attributes
    ----------
    name : str
        Name of the training.
    method : str
        Name of the candidate.
    number : int
        Number of the round, from 1.
    problem : Problem
        What there is to learn; its labels may hold some that are held out here.
    settings : NetworkSettings
        How to train.
    pixels : ndarray of shape (n, H, W) or (n, H, W, 3), dtype uint8
        All images.
    y : ndarray of shape (n,) or (n, K)
        Labels that may be used; -1 where nothing is known.
    proba : ndarray of shape (n, K)
        What the graph propagates from these labels so far.
    networks : list
        The networks of the rounds before.
    ledger : PseudoLabelLedger
        Their pseudo-labels.
    checkpoints : Checkpoints
        What an interrupted search has kept.
    """

    name: str
    method: str
    number: int
    problem: Problem
    settings: NetworkSettings
    pixels: np.ndarray
    y: np.ndarray
    proba: np.ndarray
    networks: list[Any]
    ledger: PseudoLabelLedger
    checkpoints: Checkpoints

    def network(self, n_rows: int, **settings: Any) -> NetworkClassifier | FineTuning:
        """Return an untrained network with the seed, checkpoint and progress of this round.

        Parameters
        ----------
        n_rows : int
            Images that it will be trained on.
        **settings
            Further settings of the network.

        Returns
        -------
        NetworkClassifier or FineTuning
            The network.
        """
        mine = {
            "checkpoint": self.checkpoints.file(self.name),
            "progress": self.progress,
            "random_state": self.seed,
        }
        return self.settings.network(n_rows, **mine | settings)

    def finished(self, network: Any, train: Callable[[], Any]) -> Any:
        """Return the trained network; that of an interrupted search, if it was finished there.

        Parameters
        ----------
        network : estimator
            The untrained network.
        train : callable
            Trains and returns it.

        Returns
        -------
        estimator
            The trained network.
        """
        kept = self.checkpoints.get_model(self.name, network)
        if kept is not None:
            return kept[0]
        trained = train()
        self.checkpoints.put_model(self.name, trained, {})
        return trained

    def trained(
        self,
        network: Any,
        rows: np.ndarray,
        labels: np.ndarray,
        confidence: np.ndarray,
    ) -> Trained:
        """Return a network with the pseudo-labels that it was trained on, entered in the ledger.

        Parameters
        ----------
        network : estimator
            Trained.
        rows, labels : ndarray of shape (p,), int64
            Images and classes of the pseudo-labels.
        confidence : ndarray of shape (p,)
            Probability of each.

        Returns
        -------
        Trained
            What `NetworkCandidate.train` gives.
        """
        n_new, n_revoked = self.ledger.enter(self.number, rows, labels, confidence)
        figures = {"n_accepted": len(rows), "n_new": n_new, "n_revoked": n_revoked}
        return Trained(network, self.ledger, [(figures, (rows, labels, confidence))])

    @property
    def classes(self) -> np.ndarray:
        """Codes of the classes."""
        return np.arange(self.proba.shape[1])

    @property
    def folder(self) -> Path | None:
        """Folder for what a training keeps by itself."""
        kept = self.checkpoints.folder
        return None if kept is None else kept / ROUNDS / self.method

    @property
    def seed(self) -> int:
        """Seed of the training."""
        return self.problem.seed * 101 + self.number

    @property
    def progress(self) -> Progress | None:
        """Progress of the training under the name of the round."""
        report = self.problem.progress
        if report is None:
            return None
        return lambda stage, done, total: report(f"network {self.name}", done, total)


@dataclass(eq=False)
class Trained:
    """A trained network, and what it was trained on.

    Attributes
    ----------
    network : estimator
        With ``embed``, ``predict_proba``, ``to_state`` and ``history_``.
    ledger : PseudoLabelLedger
        Every pseudo-label up to here.
    rounds : list of (dict, tuple)
        The rounds within the training: figures, and rows, classes and confidence of what each
        accepted.
    votes : ExpertVotes or None
        Which labeled images experts vote for, where there are experts.
    notes : list of str
        What the user must know.
    """

    network: Any
    ledger: PseudoLabelLedger
    rounds: list[tuple[dict[str, Any], tuple[np.ndarray, np.ndarray, np.ndarray]]]
    votes: Any = None
    notes: list[str] = field(default_factory=list)


@dataclass(eq=False)
class _State:
    """The networks so far, and the classifier on the features joined with theirs."""

    trained: list[Trained]
    records: list[dict[str, Any]]
    held_proba: list[np.ndarray]
    extractor: JoinedFeatures
    rows: np.ndarray
    classifier: FewLabelClassifier


@dataclass(eq=False, kw_only=True)
class NetworkFitted(Fitted):
    """Networks that have learned: a graph on the features joined with their embeddings.

    Attributes
    ----------
    state : object
        The networks, and the classifier on the joined rows.
    """

    state: Any

    @property
    def classifier(self) -> FewLabelClassifier:
        """The graph on the joined rows."""
        classifier: FewLabelClassifier = self.state.classifier
        return classifier

    @property
    def rows(self) -> np.ndarray:
        """Joined rows of all images."""
        rows: np.ndarray = self.state.rows
        return rows

    @property
    def n_networks(self) -> int:
        """Networks that were trained one after the other."""
        return len(self.state.trained)

    @property
    def records(self) -> list[dict[str, Any]]:
        """What each of them was trained on, and how good it was."""
        records: list[dict[str, Any]] = self.state.records
        return records

    @property
    def seconds(self) -> list[float]:
        """Time of each of them."""
        return [float(record["seconds"]) for record in self.records]

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        """Return uncalibrated probabilities of new images.

        Parameters
        ----------
        rows : ndarray of shape (m, d)
            What ``extractor`` gave for them.

        Returns
        -------
        ndarray of shape (m, K)
            Probabilities, float64.
        """
        return self.classifier.fitted(self.extractor).predict_proba(rows)

    def to_state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return what predicting needs.

        Returns
        -------
        arrays : dict of str to ndarray
            Arrays.
        meta : dict
            JSON types.
        """
        return self.classifier.fitted(self.extractor).to_state()


class NetworkCandidate(Candidate):
    """A method that trains networks.

    Attributes
    ----------
    max_rounds : int
        Networks that are tested on held-out labels, at most.
    retrains : bool
        Whether one more network must be trained with all labels behind those.
    joins_all : bool
        Whether the graph sees the embeddings of all networks, or of the last one alone.
    needs_backbone : bool
        Whether it fine-tunes a pretrained network and nothing else.
    """

    max_rounds: ClassVar[int] = 1
    retrains: ClassVar[bool] = False
    joins_all: ClassVar[bool] = True
    needs_backbone: ClassVar[bool] = False

    def suits(self, problem: Problem) -> bool:
        """Return whether ``auto`` tries it.

        Parameters
        ----------
        problem : Problem
            What there is to learn.

        Returns
        -------
        bool
            True by default.
        """
        return True

    @abstractmethod
    def train(self, inputs: TrainingInputs) -> Trained:
        """Train the network of a round.

        Parameters
        ----------
        inputs : TrainingInputs
            Images, labels, and what the graph propagates.

        Returns
        -------
        Trained
            The network and what it was trained on.
        """

    def why_not(self, problem: Problem) -> str:
        """Return why no network can be trained.

        Parameters
        ----------
        problem : Problem
            What there is to learn.

        Returns
        -------
        str
            One sentence with the next step; empty where it can.
        """
        n_labeled = len(problem.task.labeled(problem.y))
        if n_labeled < MIN_LABELS or _held(problem) is None:
            return (
                f"Networks were not tried: {n_labeled} labels are too few to hold out at least a "
                f"fifth, and 20, that decide whether they help; label {MIN_LABELS} images or more."
            )
        if self.needs_backbone and _settings(problem).backbone is None:
            return (
                f"The method {self.name} needs a pretrained network: name one with --backbone, "
                "such as --backbone mobilenetv2_100."
            )
        return _why_no_time(problem)

    def fit(self, problem: Problem) -> NetworkFitted:
        """Train networks without the held-out labels, and test each round on them.

        Parameters
        ----------
        problem : Problem
            What there is to learn; ``problem.shared["main"]`` is the classifier on the features.

        Returns
        -------
        NetworkFitted
            The best round. Its networks have not seen the held-out labels, the graph has them.
        """
        held = _held(problem)
        assert held is not None
        end = problem.once("network seconds", problem.time_left) * (1 - TRIAL_FRACTION)
        y = problem.task.without(problem.y, held)
        proba = _classify(problem, problem.rows, y).propagated_
        state: _State | None = None
        for _ in range(self.max_rounds):
            state = self._next(problem, y, state, proba, held)
            proba = state.classifier.propagated_
            if problem.time_left() - state.records[-1]["seconds"] < end:
                break
        assert state is not None
        best = _best_round(problem, state, held)
        kept = self._join(problem, state.trained[:best], problem.y)
        kept.records, kept.held_proba = state.records[:best], state.held_proba[:best]
        return self._fitted(problem, kept, held)

    @classmethod
    def from_state(cls, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> Fitted:
        """Return a saved candidate: on its extractor's rows it is one of the graph.

        Parameters
        ----------
        arrays : dict of str to ndarray
            From `NetworkFitted.to_state`.
        meta : dict
            From `NetworkFitted.to_state`.

        Returns
        -------
        Fitted
            Of which ``predict_proba`` may be used.
        """
        return REGISTRY[meta["method"]].from_state(arrays, meta)

    def finish(self, problem: Problem, fitted: Fitted) -> NetworkFitted:
        """Go on behind the tested rounds with all labels, where there is time.

        The networks that were trained without the held-out labels stay: what they see is as
        good for the graph, which is given all labels.

        Parameters
        ----------
        problem : Problem
            What there is to learn.
        fitted : Fitted
            From `fit`.

        Returns
        -------
        NetworkFitted
            Further networks; what was said of the held-out labels stays.
        """
        assert isinstance(fitted, NetworkFitted)
        state, n_more = fitted.state, int(self.retrains)
        most = _MAX_MORE if self.joins_all and not self.retrains else n_more
        for number in range(most):
            if number >= n_more and problem.time_left() < state.records[-1]["seconds"]:
                break
            state = self._next(problem, problem.y, state, state.classifier.propagated_, None)
        return self._fitted(problem, state, fitted.tested)

    def _next(
        self,
        problem: Problem,
        y: np.ndarray,
        before: _State | None,
        proba: np.ndarray,
        held: np.ndarray | None,
    ) -> _State:
        """Train one more network, join its embeddings and test the graph on the held-out labels."""
        begin = time.perf_counter()
        trained = [] if before is None else before.trained
        inputs = self._inputs(problem, y, trained, proba, is_test=held is not None)
        latest = self.train(inputs)
        state = self._join(problem, [*trained, latest], y)
        figures, (_, _, confidence) = latest.rounds[-1]
        record = {key: value for key, value in figures.items() if key != "kept"}
        record |= {
            "round": inputs.number,
            "mean_confidence": float(confidence.mean()) if len(confidence) else None,
        }
        tests = [] if before is None else before.held_proba
        if held is not None:
            found = state.classifier.proba_[held]
            tests = [*tests, found]
            record["accuracy"] = float(problem.task.correct(problem.y[held], found).mean())
        record["seconds"] = time.perf_counter() - begin
        state.records = [*([] if before is None else before.records), record]
        state.held_proba = tests
        return state

    def _inputs(
        self,
        problem: Problem,
        y: np.ndarray,
        trained: list[Trained],
        proba: np.ndarray,
        *,
        is_test: bool,
    ) -> TrainingInputs:
        number = len(trained) + 1
        name = f"{self.name}-{number}" + ("-tested" if is_test else "")
        return TrainingInputs(
            name=name,
            method=self.name,
            number=number,
            problem=problem,
            settings=_settings(problem),
            pixels=_pixels(problem),
            y=pool_copies(y, problem.groups, problem.task),
            proba=proba,
            networks=[each.network for each in trained],
            # A copy: rounds that are not kept leave no trace.
            ledger=copy.deepcopy(trained[-1].ledger) if trained else PseudoLabelLedger(),
            checkpoints=_store(problem),
        )

    def _join(self, problem: Problem, trained: list[Trained], y: np.ndarray) -> _State:
        networks = [each.network for each in trained]
        extractor = JoinedFeatures(problem.extractor, networks if self.joins_all else networks[-1:])
        rows = extractor.join(problem.rows, problem.images, progress=problem.progress)
        return _State(trained, [], [], extractor, rows, _classify(problem, rows, y))

    def _fitted(self, problem: Problem, state: _State, held: np.ndarray) -> NetworkFitted:
        return NetworkFitted(
            name=self.name,
            proba=state.classifier.proba_,
            tested=held,
            oof_proba=state.held_proba[-1],
            extractor=state.extractor,
            ledger=state.trained[-1].ledger,
            history=_history(problem, self.name, state),
            settings=state.classifier.settings_,
            notes=tuple(note for each in state.trained for note in each.notes),
            state=state,
        )


def pool_copies(y: np.ndarray, groups: np.ndarray | None, task: Task) -> np.ndarray:
    """Return labels in which exact copies share what is known of any of them.

    Parameters
    ----------
    y : ndarray of shape (n,) or (n, K)
        Labels as codes.
    groups : ndarray of shape (n,), optional
        The same number for exact copies.
    task : Task
        What the labels are for.

    Returns
    -------
    ndarray of the shape of ``y``
        Labels; where copies contradict each other, the first counts.
    """
    if groups is None:
        return y
    pooled = y.copy()
    # From the last one on, so that the first has the last word.
    known: dict[int, np.ndarray] = {}
    for row in task.labeled(y)[::-1].tolist():
        group = int(groups[row])
        known[group] = np.where(y[row] >= 0, y[row], known.get(group, y[row]))
    for row in np.flatnonzero(np.isin(groups, list(known))).tolist():
        pooled[row] = known[int(groups[row])]
    return pooled


def _held(problem: Problem) -> np.ndarray | None:
    """Return the labeled images that networks are tested on."""

    def choose() -> np.ndarray | None:
        if problem.folds is None:
            return None
        held = held_out(problem.folds, problem.y, problem.task)
        # A class with a single label cannot be recognized without it, by whatever method.
        return (
            held
            if held is None
            else np.setdiff1d(held, problem.folds.labeled[problem.folds.unseen])
        )

    return problem.once("held", choose)


def _settings(problem: Problem) -> NetworkSettings:
    """Return how networks are trained, with as many steps as the time pays for."""
    return problem.once("network settings", lambda: _timed_settings(problem)[0])


def _why_no_time(problem: Problem) -> str:
    settings, least = problem.once("network time", lambda: _timed_settings(problem))
    if settings.n_steps:
        return ""
    return (
        "Networks were not tried: on this machine they need more time. Give "
        f"--time {math.ceil(least / 60) + 1}m or more."
    )


def _timed_settings(problem: Problem) -> tuple[NetworkSettings, float]:
    """Return settings with the steps of a training (0: too little time), and the least time.

    The time pays for three trainings first, then for longer ones, then for more of them. An
    interrupted search goes on with the steps that it was begun with: no machine is ever quite as
    fast as before, and the state of a training would not fit another number.
    """
    settings = problem.shared.get("settings") or NetworkSettings.for_features(
        problem.extractor, problem.device
    )
    store = _store(problem)
    kept = store.get("steps")
    if kept is not None:
        return replace(settings, n_steps=int(kept.meta["n_steps"])), 0.0
    least = 0.0
    if settings.n_steps > MIN_STEPS:
        each = _seconds_per_step(problem, settings)
        least = MIN_STEPS * _FEW_TRAININGS * each
        total = problem.time_left() / each
        steps = int(max(min(total / _FEW_TRAININGS, _ENOUGH_STEPS), total / _MANY_TRAININGS))
        if steps < MIN_STEPS:
            steps = MIN_STEPS if problem.shared.get("asked") else 0
        settings = replace(settings, n_steps=min(settings.n_steps, steps))
    if settings.n_steps:
        store.put("steps", {}, {"n_steps": settings.n_steps})
    return settings, least


def _seconds_per_step(problem: Problem, settings: NetworkSettings) -> float:
    """Measure the median step of a training on a few images, after a warm-up."""
    n = min(len(problem.images), settings.batch_size * _TIMED_STEPS)
    moments: list[float] = []
    n_epochs = max(1, -(-_TIMED_STEPS * settings.batch_size // n))
    network = settings.network(
        n,
        n_epochs=n_epochs,
        random_state=0,
        progress=lambda stage, done, total: moments.append(time.perf_counter()),
    )
    # Uniform targets: no label is needed to measure time.
    targets = np.full((n, problem.n_classes), 1 / problem.n_classes)
    network.fit_soft(_pixels(problem)[:n], targets)
    passed = np.diff(moments)
    return float(np.median(passed[min(_WARM_UP, len(passed) // 2) :])) if len(passed) else 1e-3


def _has_backbone(problem: Problem) -> bool:
    """Return whether a pretrained network is fine-tuned."""
    settings = problem.shared.get("settings")
    return isinstance(problem.extractor, Backbone) or bool(settings and settings.backbone)


def _pixels(problem: Problem) -> np.ndarray:
    """Return all images at the size that the networks take."""

    def read() -> np.ndarray:
        side = _PHOTO_SIDE if _has_backbone(problem) else _SMALL_SIDE
        return read_pixels(problem.images, side, color=_has_backbone(problem))

    return problem.once("pixels", read)


def read_pixels(images: ImageSet, side: int, *, color: bool = False) -> np.ndarray:
    """Return all images at the size that networks take.

    Parameters
    ----------
    images : ImageSet
        Images.
    side : int
        Most pixels a side; larger images, and those of several sizes, are read as squares.
    color : bool
        Read grey images in three equal colors, too.

    Returns
    -------
    ndarray of shape (n, H, W) or (n, H, W, 3), dtype uint8
        Grey images without a channel axis.
    """
    native = images.native_shape
    small = native is not None and max(native[:2]) <= side
    size = native[:2] if native is not None and small else (side, side)
    channels = 1 if images.is_gray and not color else 3
    pixels = np.empty((len(images), *size, channels), dtype=np.uint8)
    for where, block in images.blocks(1_024, size=size, channels=channels):
        pixels[where] = block
    return pixels[..., 0] if channels == 1 else pixels


def _store(problem: Problem) -> Checkpoints:
    """Return what an interrupted search on the same images, labels and settings has kept."""

    def make() -> Checkpoints:
        about = [
            problem.images.digest(),
            problem.y,
            problem.seed,
            type(problem.extractor).__name__,
            str(problem.shared.get("settings")),
        ]
        return Checkpoints(problem.checkpoints, about)

    return problem.once("store", make)


def _classify(problem: Problem, rows: np.ndarray, y: np.ndarray) -> FewLabelClassifier:
    """Fit the main classifier's own choice on given rows, so that nothing is chosen again."""
    main: FewLabelClassifier = problem.shared["main"]
    alpha = main.settings_.get("alpha")
    alphas = (float(alpha),) if alpha is not None else main.alphas
    method = main.method_ if main.method_ in ("graph", "blend") else "graph"
    classifier = FewLabelClassifier(method=method, alphas=alphas, random_state=problem.seed)
    return classifier.fit(rows, y, groups=problem.groups)


def _best_round(problem: Problem, state: _State, held: np.ndarray) -> int:
    """Prefer later rounds: they have seen more, and the held-out labels are few."""
    by_round = {str(number): proba for number, proba in enumerate(state.held_proba, start=1)}
    prefer = list(by_round)[::-1]
    return int(choose_candidate(problem.task, problem.y[held], by_round, prefer=prefer).name)


def _history(problem: Problem, name: str, state: _State) -> TrainingHistory:
    """Return curves and rounds of the networks."""
    history = TrainingHistory(classes=problem.shared.get("class_names", ()))
    for record, trained in zip(state.records, state.trained, strict=True):
        each = f"{name} {record['round']}"
        history.add_history(each, trained.network.history_)
        # Rounds within a training are numbered anew in each.
        inner = len(trained.rounds) > 1
        label = each if inner and len(state.trained) > 1 else name
        for figures, (rows, codes, confidence) in trained.rounds:
            values = figures if inner else figures | record
            number = values["round"]
            history.add_round(label, number, **{k: v for k, v in values.items() if k != "round"})
            if len(rows):
                history.accepted.append(AcceptedLabels(label, number, rows, codes, confidence))
        if trained.votes is not None:
            history.votes.append(trained.votes)
    return history
