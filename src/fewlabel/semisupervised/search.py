"""The search within a time budget: further candidates beside the graph, the best of them kept."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from fewlabel.data import Task
from fewlabel.evaluate import Candidate, Comparison, Fitted, Problem, choose_fitted
from fewlabel.evaluate.registry import REGISTRY, candidate_names, make_candidates
from fewlabel.graph.candidates import MainFit
from fewlabel.graph.predictor import METHODS as MAIN_METHODS
from fewlabel.semisupervised.history import TrainingHistory
from fewlabel.semisupervised.network_problem import NetworkProblem
from fewlabel.semisupervised.networks import TRIAL_FRACTION, NetworkCandidate, NetworkFitted
from fewlabel.texts import _percent_text

DEFAULT_SECONDS = 1_800.0
"""Time budget where networks are asked for and none is given."""

MIN_SECONDS = 240.0
"""Less time than this is not enough for a network and a test of it."""

_MAX_TRIALS = 2


@dataclass(frozen=True, eq=False)
class _Kept:
    """The candidate that was kept, and what it predicted for labels that it had not seen."""

    comparison: Comparison
    # What the candidate was fitted on (n, d), of all images.
    rows: np.ndarray
    # Curves and rounds of networks, where there are any.
    history: TrainingHistory | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def fitted(self) -> Fitted:
        """The candidate."""
        return self.comparison.kept

    @property
    def n_networks(self) -> int:
        """Networks whose embeddings are among the features."""
        return self.fitted.n_networks if isinstance(self.fitted, NetworkFitted) else 0

    def _reason(self, features: str) -> str:
        """Return which rows these are, and why, given that of the features without networks."""
        if not self.n_networks:
            return features
        return f"{features} Joined with the embeddings of {self.n_networks} network(s)."


def _network_methods(task: Task | None = None) -> tuple[str, ...]:
    """Return the names of the methods that train networks, for a task, by preference."""
    return tuple(name for name in candidate_names(task) if _is_network(name))


def _search(problem: Problem, main: MainFit, method: str, seconds: float) -> _Kept:
    """Fit further candidates where wanted, within ``seconds``, and keep the best."""
    end = time.perf_counter() + seconds
    problem = replace(problem, time_left=lambda: end - time.perf_counter(), asked=method != "auto")
    networks = NetworkProblem.of(problem, main.kept)
    kept = _Kept(main.comparison, problem.rows)
    tried: list[Fitted] = []
    for candidate in _wanted(networks, method, seconds, kept.notes):
        tried.append(candidate.fit(networks))
    kept = _choose(networks, kept, tried) if tried else kept
    if networks.memory is not None:
        networks.memory.close()
    return kept


def _is_network(name: str) -> bool:
    return issubclass(REGISTRY[name], NetworkCandidate)


def _wanted(
    problem: NetworkProblem, method: str, seconds: float, notes: list[str]
) -> Iterator[Candidate]:
    """Yield the candidates to fit beside the main ones, and note why others cannot be."""
    names = [method] if problem.asked else candidate_names(problem.task)
    further = [name for name in names if name not in MAIN_METHODS]
    n_networks, used = 0, 0.0
    for candidate in make_candidates(problem.task, further):
        is_network = isinstance(candidate, NetworkCandidate)
        if isinstance(candidate, NetworkCandidate) and not problem.asked:
            if seconds < MIN_SECONDS or not candidate.suits(problem) or n_networks == _MAX_TRIALS:
                continue
            # A round of another method takes about as long as one of the first.
            if n_networks and used * (1 + 1 / n_networks) > TRIAL_FRACTION * seconds:
                continue
        why_not = candidate.why_not(problem)
        if why_not:
            notes += [why_not] if why_not not in notes else []
            continue
        before = problem.time_left()
        yield candidate
        if is_network:
            n_networks, used = n_networks + 1, used + before - problem.time_left()


def _choose(problem: Problem, main: _Kept, tried: list[Fitted]) -> _Kept:
    """Choose by the labels that all were tested on; the best networks go on with all labels."""
    # The choice has two stages on purpose. Cross-fitting tests the main candidates on every
    # label, which a network that trains for minutes cannot pay for: it is tested on a fifth of
    # them. To choose among all by that fifth would throw away what is known of the main ones,
    # so only the best of them takes part, and the baseline for comparison.
    first = main.comparison
    compared = choose_fitted(
        problem,
        [*tried, first.baseline, first.kept],
        prefer=[each.name for each in tried if _is_network(each.name)] + [first.kept.name],
        asked=tried[0].name if problem.asked else None,
    )
    choice, name, notes = compared.choice, compared.kept.name, list(main.notes)
    scores = ", ".join(f"{row.name} {_percent_text(row.accuracy)}" for row in choice.table)
    note = f"On {len(compared.tested)} held-out labels: {scores}."
    if name not in [each.name for each in tried]:
        history = _with_tried(_history_of(problem, tried), tried)
        notes.append(f"{note} The {first.kept.name} is kept.")
        return replace(main, history=history, notes=notes)
    if choice.favored != name:
        notes.append(f"{note} The method {name} is kept since you asked for it.")
    best = compared.kept
    (candidate,) = make_candidates(problem.task, [name])
    if isinstance(candidate, NetworkCandidate) and isinstance(best, NetworkFitted):
        best = candidate.finish(best)
    history = best.history if isinstance(best.history, TrainingHistory) else None
    if history is not None:
        history = _with_tried(history, [each for each in tried if each.name != name])
    return _Kept(
        replace(compared, kept=best),
        best.rows if isinstance(best, NetworkFitted) else problem.rows,
        history,
        [*notes, *best.notes],
    )


def _history_of(problem: Problem, tried: list[Fitted]) -> TrainingHistory | None:
    """Return an empty history if networks were tried."""
    if not any(isinstance(each, NetworkFitted) for each in tried):
        return None
    return TrainingHistory(classes=problem.class_names)


def _with_tried(history: TrainingHistory | None, tried: list[Fitted]) -> TrainingHistory | None:
    """Add how good each round of the candidates was that were not kept."""
    for each in tried:
        if history is not None and isinstance(each, NetworkFitted):
            for record in each.track.rounds:
                history.add_round(f"{each.name} (tried)", **record.to_dict())
    return history
