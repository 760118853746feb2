"""The search within a time budget: further candidates beside the graph, the best of them kept."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from fewlabel.data import Task
from fewlabel.errors import ModelFormatError
from fewlabel.evaluate import Candidate, Choice, Fitted, Problem, choose_candidate
from fewlabel.evaluate.registry import REGISTRY, candidate_names, make_candidates
from fewlabel.graph import FewLabelClassifier
from fewlabel.graph.candidates import METHODS as MAIN_METHODS
from fewlabel.semisupervised import methods as _registers  # noqa: F401
from fewlabel.semisupervised.history import TrainingHistory
from fewlabel.semisupervised.networks import TRIAL_FRACTION, NetworkCandidate, NetworkFitted

DEFAULT_SECONDS = 1_800.0
"""Time budget where networks are asked for and none is given."""

MIN_SECONDS = 240.0
"""Less time than this is not enough for a network and a test of it."""

_MAX_TRIALS = 2
_PARTS = 5


@dataclass(frozen=True, eq=False)
class Kept:
    """The candidate that was kept, and what it predicted for labels that it had not seen.

    Attributes
    ----------
    fitted : Fitted
        The candidate.
    choice : Choice
        All that were compared.
    tested : ndarray of shape (m,), int64
        Labeled images that all of them were tested on.
    oof_proba, baseline : ndarray of shape (m, K)
        What it predicts for them, and what the supervised baseline does, uncalibrated.
    part : ndarray of shape (m,)
        The part of each, which is calibrated on the others.
    unseen : ndarray of shape (m,), bool
        Whether no model could have predicted it.
    rows : ndarray of shape (n, d)
        What the candidate was fitted on, of all images.
    history : TrainingHistory or None
        Curves and rounds of networks, where there are any.
    notes : list of str
        What the user must know.
    """

    fitted: Fitted
    choice: Choice
    tested: np.ndarray
    oof_proba: np.ndarray
    baseline: np.ndarray
    part: np.ndarray
    unseen: np.ndarray
    rows: np.ndarray
    history: TrainingHistory | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def n_networks(self) -> int:
        """Networks whose embeddings are among the features."""
        return self.fitted.n_networks if isinstance(self.fitted, NetworkFitted) else 0

    def reason(self, features: str) -> str:
        """Return which rows these are, and why.

        Parameters
        ----------
        features : str
            The same of the features without networks.

        Returns
        -------
        str
            A sentence or two.
        """
        if not self.n_networks:
            return features
        return f"{features} Joined with the embeddings of {self.n_networks} network(s)."


def network_methods(task: Task | None = None) -> tuple[str, ...]:
    """Return the names of the methods that train networks, in the order of preference.

    Parameters
    ----------
    task : Task, optional
        Only those that can learn it.

    Returns
    -------
    tuple of str
        Names.
    """
    return tuple(name for name in candidate_names(task) if _is_network(name))


def search(problem: Problem, main: FewLabelClassifier, method: str, seconds: float) -> Kept:
    """Fit further candidates where they are wanted and there is time, and keep the best.

    Parameters
    ----------
    problem : Problem
        What there is to learn.
    main : FewLabelClassifier
        The main classifier: the best candidate on the features that needs no network.
    method : str
        Name of a candidate; ``"auto"`` tries all that suit.
    seconds : float
        Time budget for networks.

    Returns
    -------
    Kept
        The main classifier, or a further candidate.
    """
    kept = _main_kept(problem, main)
    end = time.perf_counter() + seconds
    problem = replace(problem, time_left=lambda: end - time.perf_counter())
    problem.shared.update(main=main, asked=method != "auto")
    tried: list[Fitted] = []
    for candidate in _wanted(problem, method, seconds, kept.notes):
        tried.append(candidate.fit(problem))
    return _choose(problem, kept, tried, asked=method != "auto") if tried else kept


def find_candidate(name: str) -> type[Candidate]:
    """Return the candidate of a name.

    Parameters
    ----------
    name : str
        Its name.

    Returns
    -------
    type
        The class.

    Raises
    ------
    ModelFormatError
        If there is none.
    """
    if name not in REGISTRY:
        raise ModelFormatError(
            f"The saved method {name!r} is not known: upgrade fewlabel, or import what defines it."
        )
    return REGISTRY[name]


def _is_network(name: str) -> bool:
    return issubclass(REGISTRY[name], NetworkCandidate)


def _main_kept(problem: Problem, main: FewLabelClassifier) -> Kept:
    """Return the main classifier as it was cross-fitted."""
    folds, choice = problem.folds, main.choice_
    # At least two different images are labeled.
    assert folds is not None
    assert choice is not None
    return Kept(
        fitted=main.fitted(problem.extractor),
        choice=choice,
        tested=folds.labeled,
        oof_proba=main.oof_proba_,
        baseline=main.supervised_oof_proba_,
        part=folds.number,
        unseen=folds.unseen,
        rows=problem.rows,
    )


def _wanted(problem: Problem, method: str, seconds: float, notes: list[str]) -> Iterator[Candidate]:
    """Yield the candidates to fit beside the main ones, and note why others cannot be."""
    asked = method != "auto"
    names = [method] if asked else candidate_names(problem.task)
    further = [name for name in names if name not in MAIN_METHODS]
    n_networks, used = 0, 0.0
    for candidate in make_candidates(problem.task, further):
        is_network = isinstance(candidate, NetworkCandidate)
        if isinstance(candidate, NetworkCandidate) and not asked:
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


def _choose(problem: Problem, main: Kept, tried: list[Fitted], *, asked: bool) -> Kept:
    """Choose by the labels that all were tested on; the best networks go on with all labels."""
    rows = main.tested
    for each in tried:
        rows = np.intersect1d(rows, each.tested)
    at = np.searchsorted(main.tested, rows)
    by_name = {each.name: each for each in tried}
    oof = {
        name: each.oof_proba[np.searchsorted(each.tested, rows)] for name, each in by_name.items()
    }
    others = {"supervised": main.baseline[at], main.fitted.name: main.oof_proba[at]}
    y, unseen = problem.y[rows], main.unseen[at]
    prefer = [name for name in by_name if _is_network(name)] + [main.fitted.name]
    part = main.part[at] if len(rows) == len(main.tested) else _parts(problem, rows)
    # Where calibration changes what is predicted, each part is calibrated on the others.
    fold = None if problem.task.exclusive else part
    compare = partial(choose_candidate, problem.task, y, unseen=unseen, fold=fold)
    choice = compare(oof | others, prefer=prefer)
    scores = ", ".join(f"{row.name} {row.accuracy:.1%}" for row in choice.table)
    note = f"On {len(rows)} held-out labels: {scores}."
    name, notes = choice.name, list(main.notes)
    if name not in by_name:
        if not asked:
            history = _with_tried(_history_of(problem, tried), tried)
            notes.append(f"{note} The {main.fitted.name} is kept.")
            return replace(main, history=history, notes=notes)
        name = compare(oof).name
        choice = compare(oof | others, asked=name)
        notes.append(f"{note} The method {name} is kept since you asked for it.")
    best = by_name[name]
    (candidate,) = make_candidates(problem.task, [name])
    best = candidate.finish(problem, best) if isinstance(candidate, NetworkCandidate) else best
    history = best.history if isinstance(best.history, TrainingHistory) else None
    if history is not None:
        history = _with_tried(history, [each for each in tried if each.name != name])
    return Kept(
        fitted=best,
        choice=choice,
        tested=rows,
        oof_proba=oof[name],
        baseline=others["supervised"],
        part=part,
        unseen=unseen,
        rows=best.rows if isinstance(best, NetworkFitted) else problem.rows,
        history=history,
        notes=[*notes, *best.notes],
    )


def _parts(problem: Problem, rows: np.ndarray) -> np.ndarray:
    """Deal tested images into parts, exact copies into the same one."""
    groups = rows if problem.groups is None else problem.groups[rows]
    return np.asarray(np.unique(groups, return_inverse=True)[1] % _PARTS)


def _history_of(problem: Problem, tried: list[Fitted]) -> TrainingHistory | None:
    """Return an empty history if networks were tried."""
    if not any(isinstance(each, NetworkFitted) for each in tried):
        return None
    return TrainingHistory(classes=problem.shared.get("class_names", ()))


def _with_tried(history: TrainingHistory | None, tried: list[Fitted]) -> TrainingHistory | None:
    """Add how good each round of the candidates was that were not kept."""
    for each in tried:
        if history is not None and isinstance(each, NetworkFitted):
            for record in each.records:
                values = {key: value for key, value in record.items() if key != "round"}
                history.add_round(f"{each.name} (tried)", record["round"], **values)
    return history
