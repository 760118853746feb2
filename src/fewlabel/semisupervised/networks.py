"""Networks as candidates: trained without some labels and tested on those, then given all.

The graph propagates labels over features that know none. A network learns from what is
propagated, from the labels, or from its own predictions, and sees more than the features did;
joined with them, its embeddings give the graph better neighbors.
"""

from __future__ import annotations

import copy
import time
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fewlabel.errors import UsageError
from fewlabel.evaluate import choose_candidate
from fewlabel.evaluate.candidate import Candidate, Fitted, Problem
from fewlabel.evaluate.registry import REGISTRY
from fewlabel.features.joined import JoinedFeatures
from fewlabel.graph.classifier import FewLabelClassifier
from fewlabel.semisupervised.history import AcceptedLabels, TrainingHistory
from fewlabel.semisupervised.ledger import PseudoLabelLedger
from fewlabel.semisupervised.network_budget import (
    _held,
    _pixels,
    _settings,
    _store,
    _wanted_settings,
    _why_no_time,
)
from fewlabel.semisupervised.network_inputs import Trained, TrainingInputs, pool_copies

MIN_LABELS = 50
"""With fewer labels, a part that is large enough to choose by leaves too few to train on."""

TRIAL_FRACTION = 0.6
"""Part of the time in which candidates are tried; the rest is for the one that is kept."""

_MAX_MORE = 2


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
        return self.classifier.fitted_.predict_proba(rows)

    def to_state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return what predicting needs.

        Returns
        -------
        arrays : dict of str to ndarray
            Arrays.
        meta : dict
            JSON types.
        """
        return self.classifier.fitted_.to_state()


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
        if self.needs_backbone and _wanted_settings(problem).backbone is None:
            raise UsageError(
                f"The method {self.name} needs a pretrained network: name one with --backbone, "
                "such as --backbone mobilenetv2_100."
            )
        n_labeled = len(problem.task.labeled(problem.y))
        if n_labeled < MIN_LABELS or _held(problem) is None:
            return (
                f"Networks were not tried: {n_labeled} labels are too few to hold out at least a "
                f"fifth, and 20, that decide whether they help; label {MIN_LABELS} images or more."
            )
        return _why_no_time(problem)

    def fit(self, problem: Problem) -> NetworkFitted:
        """Train networks without the held-out labels, and test each round on them.

        Parameters
        ----------
        problem : Problem
            What there is to learn; ``problem.shared["main"]`` are the candidates on the features.

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


def _classify(problem: Problem, rows: np.ndarray, y: np.ndarray) -> FewLabelClassifier:
    """Fit the main classifier's own choice on given rows, so that nothing is chosen again."""
    main: Fitted = problem.shared["main"].kept
    method = main.name if main.name in ("graph", "blend") else "graph"
    alphas = (float(main.settings["alpha"]),)
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
