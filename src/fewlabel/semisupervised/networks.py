"""Networks as candidates: trained without some labels and tested on those, then given all.

The graph propagates labels over features that know none. A network learns from what is
propagated, from the labels, or from its own predictions, and sees more than the features did;
joined with them, its embeddings give the graph better neighbors.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from fewlabel.errors import UsageError
from fewlabel.evaluate import BASELINE
from fewlabel.evaluate.candidate import Candidate, Fitted, Problem
from fewlabel.evaluate.registry import REGISTRY
from fewlabel.features.base import FeatureExtractor
from fewlabel.features.joined import JoinedFeatures
from fewlabel.graph.classifier import FewLabelClassifier
from fewlabel.graph.inductive import NETWORK
from fewlabel.graph.predictor import METHODS
from fewlabel.params import choice
from fewlabel.persist.schema import _check_fields
from fewlabel.semisupervised.acceptance import PseudoLabels
from fewlabel.semisupervised.history import TrainingHistory
from fewlabel.semisupervised.models import _predict_classes
from fewlabel.semisupervised.network_inputs import _pool_copies
from fewlabel.semisupervised.network_problem import NetworkProblem
from fewlabel.semisupervised.network_training import Trained, TrainingInputs
from fewlabel.semisupervised.rounds import TRAINED, Preference, _run_rounds, _Track

MIN_LABELS = 50
"""With fewer labels, a part that is large enough to choose by leaves too few to train on."""

TRIAL_FRACTION = 0.6
"""Part of the time in which candidates are tried; the rest is for the one that is kept."""

# Each further embedding changes the graph less than the one before.
_MAX_MORE = 2


class NetworkCandidate(Candidate):
    """A method that trains networks.

    Attributes
    ----------
    max_rounds : int
        Networks that are tested on held-out labels, at most.
    patience : int or None
        Rounds that do no better on them after which to stop.
    n_se, prefer : float, str
        Which round is kept, see `fewlabel.semisupervised.rounds._run_rounds`.
    retrains : bool
        Whether one more network must be trained with all labels behind those.
    joins_all : bool
        Whether the graph sees the embeddings of all networks, or of the last one alone.
    needs_backbone : bool
        Whether it fine-tunes a pretrained network and nothing else.
    """

    max_rounds: ClassVar[int] = 1
    patience: ClassVar[int | None] = None
    # Later networks have seen more, and the held-out labels are few.
    n_se: ClassVar[float] = 1.0
    prefer: ClassVar[Preference] = "later"
    retrains: ClassVar[bool] = False
    joins_all: ClassVar[bool] = True
    needs_backbone: ClassVar[bool] = False

    def suits(self, problem: NetworkProblem) -> bool:
        """Return whether ``auto`` tries it; true by default."""
        return True

    def accept(self, inputs: TrainingInputs) -> PseudoLabels | None:
        """Return the pseudo-labels of a round; None, by default, where it has none.

        Where there might be some and are not, or one class has swallowed them, the rounds end.
        """
        return None

    @abstractmethod
    def train(self, inputs: TrainingInputs, pseudo: PseudoLabels) -> Trained:
        """Train the network of a round on labels and on what `accept` gave, perhaps no rows."""

    def why_not(self, problem: Problem) -> str:
        """Return why no network can be trained, with the next step; empty where it can."""
        networks = NetworkProblem.of(problem)
        if self.needs_backbone and not networks.has_backbone:
            raise UsageError(
                f"The method {self.name} needs a pretrained network: name one with --backbone, "
                "such as --backbone tf_efficientnet_lite2."
            )
        n_labeled = len(problem.task.labeled(problem.y))
        if n_labeled < MIN_LABELS or networks.held is None:
            return (
                f"Networks were not tried: {n_labeled} labels are too few to hold out at least a "
                f"fifth, and 20, that decide whether they help; label {MIN_LABELS} images or more."
            )
        return networks.why_no_time

    def fit(self, problem: Problem) -> NetworkFitted:
        """Train networks without the held-out labels, and keep the round that predicts them best.

        Its networks have not seen the held-out labels, the graph has them.
        """
        networks = NetworkProblem.of(problem)
        assert networks.held is not None
        track = _NetworkTrack(self, networks, networks.held)
        end = networks.seconds * (1 - TRIAL_FRACTION)
        chosen = _run_rounds(
            [track],
            first=1,
            max_rounds=self.max_rounds,
            patience=self.patience,
            # Another round takes about as long as this one.
            stop=lambda: networks.time_left() - track.rounds[-1].seconds < end,
            n_se=self.n_se,
            prefer=self.prefer,
        )
        # What needs no graph predicted them in the same round.
        apart = track.apart[chosen.best - 1]
        return track.with_all_labels(chosen.best).fitted(networks.held, chosen.proba, apart)

    @classmethod
    def from_state(cls, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> Fitted:
        """Return a saved candidate: on its extractor's rows it is one of the graph."""
        # The networks themselves are saved with the extractor that embeds by them.
        _check_fields(meta, {"method": [choice(METHODS)]}, "candidate")
        return REGISTRY[meta["method"]].from_state(arrays, meta)

    def finish(self, fitted: NetworkFitted) -> NetworkFitted:
        """Go on behind the tested rounds with all labels, where there is time.

        The networks that were trained without the held-out labels stay: what they see is as
        good for the graph, which is given all labels.
        """
        track, n_before = fitted.track, len(fitted.track.trained)
        has_time = track.problem.time_left() >= track.rounds[-1].seconds
        # Who asks for a network gets all of it, however long that takes.
        n_needed = int(self.retrains and (has_time or track.problem.asked))
        n_more = _MAX_MORE if self.joins_all and not self.retrains else n_needed

        def stop() -> bool:
            """Train the network that is needed in any case, and others where there is time."""
            is_enough = len(track.trained) - n_before >= n_needed
            return is_enough and track.problem.time_left() < track.rounds[-1].seconds

        if n_more and not stop():
            _run_rounds([track], first=n_before + 1, max_rounds=n_before + n_more, stop=stop)
        return track.fitted(fitted.tested, fitted.oof_proba, fitted.inductive)


class _NetworkTrack(_Track):
    """Networks trained in turn, and the graph on the features joined with their embeddings."""

    def __init__(
        self,
        candidate: NetworkCandidate,
        problem: NetworkProblem,
        held: np.ndarray,
        former: _NetworkTrack | None = None,
        n_rounds: int = 0,
    ) -> None:
        super().__init__(problem.task, problem.y, held, problem.n_classes)
        # The graph reaches held-out images like all that are unlabeled.
        self.pool = np.setdiff1d(np.arange(len(self.y)), self.labeled)
        self.candidate, self.problem = candidate, problem
        self.trained: list[Trained] = [] if former is None else former.trained[:n_rounds]
        self.n_left = 0
        self.apart: list[dict[str, np.ndarray]] = []
        if former is not None and len(former.trained) == n_rounds:
            # The same networks: all images need not pass them again.
            self.extractor: FeatureExtractor = former.extractor
            self.rows: np.ndarray = former.rows
            self.classifier = _classify(problem, self.rows, self.train_y)
        else:
            self._join()

    def accept(self, number: int) -> PseudoLabels | None:
        found = self.candidate.accept(self._inputs())
        # There must be a network to test, and later one with all labels: as it is, without them.
        is_needed = not self.trained or not len(self.held)
        if found is not None and is_needed and self._outcome(found) != TRAINED:
            return None
        return found

    def train(self, number: int, pseudo: PseudoLabels) -> None:
        self.trained.append(self.candidate.train(self._inputs(), pseudo))
        self._join()
        if len(self.held):
            self.apart.append(self._without_graph(self.trained[-1].network))

    def _without_graph(self, network: Any) -> dict[str, np.ndarray]:
        """Return what a network's own head and a linear model predict for held-out images."""
        classes, rows = np.arange(self.problem.n_classes), self.rows[self.held]
        linear = self.classifier.fitted_.linear_model(BASELINE)
        head = _predict_classes(network, self.problem.pixels[self.held], classes, np.float64)
        return {NETWORK: head, BASELINE: linear.predict_proba(rows)}

    def held_proba(self) -> np.ndarray:
        return self.classifier.proba_[self.held]

    def with_all_labels(self, n_rounds: int) -> _NetworkTrack:
        """Return the track behind some rounds, with all labels for the graph and what follows."""
        track = _NetworkTrack(self.candidate, self.problem, self.held[:0], self, n_rounds)
        track.rounds, track.accepted = self.rounds[:n_rounds], self.accepted[: n_rounds + 1]
        track._ledger = track.ledger(n_rounds)
        track.n_left = len(self.trained) - n_rounds
        return track

    def fitted(
        self, tested: np.ndarray, oof_proba: np.ndarray, inductive: dict[str, np.ndarray]
    ) -> NetworkFitted:
        """Return the networks so far as what the candidate has learned."""
        return NetworkFitted(
            name=self.candidate.name,
            proba=self.classifier.proba_,
            tested=tested,
            oof_proba=oof_proba,
            extractor=self.extractor,
            # Of rounds within a training, the ledger is that of the training.
            ledger=self.trained[-1].ledger or self.ledger(len(self.trained)),
            history=_history(self),
            settings=self.classifier.settings_,
            notes=tuple(note for each in self.trained for note in each.notes),
            inductive=inductive,
            track=self,
        )

    def _inputs(self) -> TrainingInputs:
        method, number = self.candidate.name, len(self.trained) + 1
        return TrainingInputs(
            name=f"{method}-{number}" + ("-tested" if len(self.held) else ""),
            method=method,
            number=number,
            problem=self.problem,
            # Exact copies are trained on once; what else belongs together keeps its labels.
            y=_pool_copies(self.train_y, self.problem.images.content_groups(), self.task),
            proba=self.classifier.propagated_,
            networks=[each.network for each in self.trained],
            n_left=self.n_left,
        )

    def _join(self) -> None:
        """Fit the graph on the features joined with the embeddings of the networks."""
        problem = self.problem
        networks = [each.network for each in self.trained]
        self.extractor, self.rows = problem.extractor, problem.rows
        if networks:
            joined = networks if self.candidate.joins_all else networks[-1:]
            extractor = JoinedFeatures(problem.extractor, joined)
            self.rows = extractor._join(problem.rows, problem.images, progress=problem.progress)
            self.extractor = extractor
        self.classifier = _classify(problem, self.rows, self.train_y)

    def _record(self, number: int, pseudo: PseudoLabels, outcome: str, start: float) -> None:
        super()._record(number, pseudo, outcome, start)
        inner = self.trained[-1].rounds if outcome == TRAINED else []
        if inner:
            # Rounds of its own: what the last of them accepted is what the network knows.
            whole = self.rounds[-1]
            self.rounds[-1] = replace(
                inner[-1], round=number, accuracy=whole.accuracy, seconds=whole.seconds
            )


@dataclass(eq=False, kw_only=True)
class NetworkFitted(Fitted):
    """Networks that have learned: a graph on the features joined with their embeddings.

    Attributes
    ----------
    track : object
        The networks, and the classifier on the joined rows.
    """

    track: _NetworkTrack

    @property
    def rows(self) -> np.ndarray:
        """Joined rows of all images."""
        return self.track.rows

    @property
    def n_networks(self) -> int:
        """Networks that were trained one after the other."""
        return len(self.track.trained)

    def linear_model(self, name: str) -> Any:
        """Return a linear model of the joined rows; None for a network's own head."""
        return self.track.classifier.fitted_.linear_model(name)

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        """Return uncalibrated probabilities of rows that ``extractor`` gave."""
        return self.track.classifier.fitted_.predict_proba(rows)

    def to_state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return what predicting needs, as arrays and JSON types."""
        return self.track.classifier.fitted_.to_state()


def _classify(problem: NetworkProblem, rows: np.ndarray, y: np.ndarray) -> FewLabelClassifier:
    """Fit the main classifier's own choice on given rows, so that nothing is chosen again."""
    main = problem.main
    method = main.name if main.name in ("graph", "refined", "blend") else "graph"
    if problem.has_backbone:
        # A linear model of embeddings that were trained on the labels says what their network does.
        method = "blend"
    alphas = (float(main.settings["alpha"]),)
    classifier = FewLabelClassifier(method=method, alphas=alphas, random_state=problem.seed)
    return classifier.fit(rows, y, groups=problem.groups)


def _history(track: _NetworkTrack) -> TrainingHistory:
    """Return curves and rounds of the networks."""
    history, name = TrainingHistory(classes=track.problem.class_names), track.candidate.name
    for number, trained in enumerate(track.trained, start=1):
        each = f"{name} {number}"
        history.add_history(each, trained.network.history_)
        if trained.votes is not None:
            history.votes.append(trained.votes)
        # Rounds within a training are numbered anew in each.
        label = each if len(track.trained) > 1 else name
        for record in trained.rounds:
            history.add_round(label, **record.to_dict(), kept=record.round in trained.kept)
        for record, entries in zip(trained.rounds, trained.accepted, strict=False):
            history.add_accepted(label, record.round, entries)
        if not trained.rounds:
            history.add_round(name, **track.rounds[number - 1].to_dict())
            history.add_accepted(name, number, track.accepted[number].entries())
    return history
