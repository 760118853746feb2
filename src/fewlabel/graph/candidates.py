"""The graph and the linear models as candidates, and the choice among them."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fewlabel.compute import _as_generator
from fewlabel.data.task import SingleLabel, Task, task_of
from fewlabel.evaluate import (
    BASELINE,
    Candidate,
    Comparison,
    Fitted,
    LabelFolds,
    Problem,
    candidate_names,
    choose_fitted,
    label_folds,
    make_candidates,
    register,
)
from fewlabel.graph.graph_model import _GraphModel
from fewlabel.graph.linear_model import LinearModel
from fewlabel.graph.predictor import METHODS, _Predictor
from fewlabel.graph.shared_fit import (
    _FEW_A_CLASS,
    ALPHAS,
    NEIGHBORS,
    _SharedFit,
    _wanted_alpha,
)

# Chosen labels are typical of their clusters: linear models predict them better than others.
_CHOICE_ERRORS = 2.0
# Of the images that are labeled: above it the graph has little to add to a linear model.
_MANY_FRACTION = 0.05


@dataclass(eq=False, kw_only=True)
class _SharedFitted(Fitted):
    """One of the candidates of a shared fit."""

    predictor: _Predictor

    @property
    def shape(self) -> tuple[int, int]:
        return self.predictor.shape

    @property
    def graph(self) -> _GraphModel | None:
        return self.predictor.graph

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        return self.predictor.predict_proba(rows, self.name)

    def linear_model(self, name: str) -> LinearModel | None:
        return self.predictor.linear.get(name)

    def to_state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        return self.predictor.to_state(self.name)


class _SharedCandidate(Candidate):
    """A candidate of the shared fit, which the first that is fitted makes for all."""

    def fit(self, problem: Problem) -> Fitted:
        shared = _shared_fit(problem, _names(problem.task), NEIGHBORS, ALPHAS)
        linear = shared.predictor.linear
        return _SharedFitted(
            name=self.name,
            predictor=shared.predictor,
            proba=shared.predictor.transduce(problem.rows, self.name),
            tested=np.empty(0, np.int64) if problem.folds is None else problem.folds.labeled,
            oof_proba=shared._oof_of(self.name),
            extractor=problem.extractor,
            settings=dict(shared.settings),
            inductive={name: shared._oof_of(name) for name in linear if self.name not in linear},
        )

    @classmethod
    def from_state(cls, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> Fitted:
        return _loaded(cls.name, _Predictor.from_state(arrays, meta))


def _loaded(name: str, predictor: _Predictor) -> _SharedFitted:
    """Return a saved candidate, which predicts and has nothing of its fit."""
    none = np.empty((0, 0))
    return _SharedFitted(
        name=name,
        predictor=predictor,
        proba=none,
        tested=np.empty(0, np.int64),
        oof_proba=none,
        extractor=None,
    )


@register
class _Graph(_SharedCandidate):
    name = "graph"
    summary = "Labels spread over a graph of nearest neighbors"


@register
class _Refined(_SharedCandidate):
    name = "refined"
    summary = "The graph once more, its edges weighed by a discriminant of the spread labels"
    tasks: ClassVar[tuple[Task, ...]] = (SingleLabel(),)


@register
class _Blend(_SharedCandidate):
    name = "blend"
    summary = "The mean of refined graph and supervised baseline, in log-probability"


@register
class _Propagated(_SharedCandidate):
    name = "propagated"
    summary = "Logistic regression on the labels and the graph's confident ones"
    tasks: ClassVar[tuple[Task, ...]] = (SingleLabel(),)


@register
class _Supervised(_SharedCandidate):
    name = "supervised"
    summary = "Logistic regression on the given labels: the supervised baseline"


@dataclass(frozen=True, eq=False)
class MainFit:
    """The candidates that train no network, as `fit_main` has fitted and compared them.

    Attributes
    ----------
    comparison : Comparison
        The candidate that is kept, and how all of them did.
    shared : object
        What they share: folds, settings, and scores for a learning curve.
    """

    comparison: Comparison
    shared: _SharedFit

    @property
    def kept(self) -> Fitted:
        """The candidate that is kept."""
        return self.comparison.kept

    @property
    def propagated(self) -> np.ndarray:
        """What the graph predicts for all images, whichever is kept; (n, K), uncalibrated."""
        return self.shared.propagated


def fit_main(
    problem: Problem,
    method: str = "auto",
    *,
    n_neighbors: int = NEIGHBORS,
    alphas: tuple[float, ...] = ALPHAS,
) -> MainFit:
    """Fit the candidates that train no network, and choose one of them.

    Parameters
    ----------
    problem : Problem
        What there is to learn.
    method : str
        Name of one of them, which is then fitted beside the baseline and kept; ``"auto"`` fits
        all and keeps the best.
    n_neighbors : int
        Neighbors of each row in the graph.
    alphas : tuple of float
        How much a row takes from its neighbors: the values to choose from.

    Returns
    -------
    MainFit
        The candidates.
    """
    task, asked = problem.task, None if method == "auto" else method
    # The baseline is last, or what was asked for: that is kept where nothing can be tested.
    names = _names(task) if asked is None else tuple(dict.fromkeys((BASELINE, asked)))
    shared = _shared_fit(problem, names, n_neighbors, alphas)
    comparison = choose_fitted(
        problem,
        [candidate.fit(problem) for candidate in make_candidates(task, names)],
        prefer=_preferred_methods(
            task, len(shared.labeled) / problem.n_classes, len(shared.labeled) / len(problem.y)
        ),
        n_se=_CHOICE_ERRORS if task.has_preferences else 1.0,
        asked=asked,
    )
    if comparison.kept.name not in ("propagated", "refined", "blend"):
        # They hold n × folds × K numbers, and nothing but a curve of these candidates needs them.
        shared.scores = None
    return MainFit(comparison, shared)


def spread_entropy(problem: Problem) -> float:
    """Spread the labels once, and measure how much doubt is left: how well features suit labels.

    Whoever chooses among graphs, and not among models of one, needs no held-out labels: the better
    one agrees with itself (Zhu, Ghahramani and Lafferty 2003, section 6).

    Parameters
    ----------
    problem : Problem
        What there is to learn.

    Returns
    -------
    float
        Mean entropy of what is spread to the images, in nats.
    """
    task, y = problem.task, problem.y
    a_class = len(task.labeled(y)) / problem.n_classes
    graph = _shared_graph(problem)
    shared = _SharedFit(task, problem.rows, y, problem.n_classes, None, graph)
    shared.fit((), (_wanted_alpha(a_class),))
    return float(task.entropy(shared.propagated).mean())


def _shared_fit(
    problem: Problem, names: tuple[str, ...], n_neighbors: int, alphas: tuple[float, ...]
) -> _SharedFit:
    """Return the shared fit of a problem; the first that asks has it made as it likes."""

    def fit() -> _SharedFit:
        shared = _SharedFit(
            problem.task,
            problem.rows,
            problem.y,
            problem.n_classes,
            problem.folds,
            _shared_graph(problem, n_neighbors),
        )
        # A blend is one of the refined graph, where there may be one.
        if "blend" in names and "refined" in _names(problem.task):
            return shared.fit(tuple(dict.fromkeys((*names, "refined"))), alphas)
        return shared.fit(names, alphas)

    return problem.once("graph and linear models", fit)


def _shared_graph(problem: Problem, n_neighbors: int = NEIGHBORS) -> _GraphModel:
    """Return the graph of all rows, which the first that asks has built."""
    # The first draw; the folds take the second.
    seed = int(_as_generator(problem.seed).integers(2**31))
    key = "graph", n_neighbors
    return problem.once(key, lambda: _GraphModel(problem.rows, n_neighbors, seed))


def deal_folds(y: np.ndarray, groups: Any, seed: int) -> LabelFolds | None:
    """Deal the folds in which the labels of a problem are cross-fitted.

    Parameters
    ----------
    y : ndarray of shape (n,) or (n, K)
        Labels as codes; -1 where nothing is known.
    groups : array-like of shape (n,), optional
        The same number for rows that belong together.
    seed : int
        The problem's seed.

    Returns
    -------
    LabelFolds or None
        Folds; None where too few rows are labeled to cross-fit.
    """
    rng = _as_generator(seed)
    rng.integers(2**31)  # The seed of the neighbor search.
    task = task_of(y)
    labeled = task.labeled(y)
    distinct = len(labeled) if groups is None else len(np.unique(np.asarray(groups)[labeled]))
    return label_folds(task, y, groups, None, rng) if distinct >= 2 else None


def _names(task: Task) -> tuple[str, ...]:
    """Return the names of the candidates for a task."""
    return tuple(name for name in candidate_names(task) if name in METHODS)


def _preferred_methods(task: Task, labels_per_class: float, fraction: float) -> tuple[str, ...]:
    """Return the candidates by what is known beforehand, best first."""
    if not task.has_preferences:
        return ()
    # The baseline hardly has anything to learn from so few labels; where many images are labeled,
    # the two together do best (docs/decisions/0005 and 0015).
    if labels_per_class <= _FEW_A_CLASS:
        return ("refined", "graph", "blend", "propagated", "supervised")
    if fraction <= _MANY_FRACTION:
        return ("refined", "blend", "graph", "propagated", "supervised")
    return ("blend", "refined", "graph", "propagated", "supervised")
