"""The fit that the graph and the linear models share: one graph, one solve for all folds.

Label spreading (``graph``), the same once more over edges weighed by what came of it
(``refined``), logistic regression on the labels (``supervised``, the baseline), on the labels and
the confident propagated ones (``propagated``), and the mean of the refined graph, or the graph
where there is none, and the baseline in log-probability (``blend``) are fitted and cross-fitted
together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from fewlabel.compute import _in_threads
from fewlabel.data.task import Task
from fewlabel.evaluate import LabelFolds, choose_candidate
from fewlabel.graph.fold_scores import _FoldScores, _LabelScores
from fewlabel.graph.graph_model import _GraphModel
from fewlabel.graph.linear_model import PENALTIES, LinearModel, _confident_targets, _labeled_rows
from fewlabel.graph.neighbor_graph import _class_mass_normalize
from fewlabel.graph.predictor import _Predictor
from fewlabel.graph.refined import _Discriminant, _RefinedGraph

NEIGHBORS = 10
ALPHAS = (0.9, 0.97, 0.99)

_PROPAGATED_FRACTION = 0.5
_PROPAGATED_MAX = 8_000
_FEW_A_CLASS = 20
# Labels a class above which clamped ones are tried; above _FEW_A_CLASS they are preferred.
_CLAMP_FROM = 5
# Rows up to which several models are fitted at once, one a thread: of more, graphs fill memory.
_TOGETHER = 200_000
# Relative residual of a solve of which the most probable classes alone count.
_ROUGH = 1e-2
_CLAMPED = {False: "free", True: "clamped"}
# Six settings are compared: by luck alone one of them is often a standard error ahead.
_SETTING_ERRORS = 2.0


@dataclass(eq=False)
class _SharedFit:
    """The candidates fitted on all labels and cross-fitted; ``folds`` None skips the latter."""

    task: Task
    X: np.ndarray
    y: np.ndarray
    n_classes: int
    folds: LabelFolds | None
    graph: _GraphModel
    settings: dict[str, Any] = field(default_factory=dict)
    label_scores: dict[float, _LabelScores] = field(default_factory=dict)
    oof: dict[str, np.ndarray] = field(default_factory=dict)
    # Rows of which is known what each fold gives them: all, or a sample of very many.
    kept: np.ndarray | slice = field(default_factory=lambda: slice(None))

    def __post_init__(self) -> None:
        self.labeled = self.task.labeled(self.y)
        of_labeled = self.X[self.labeled], self.y[self.labeled]
        self.rows = _labeled_rows(self.task, *of_labeled, self.n_classes)

    def fit(self, names: tuple[str, ...], alphas: tuple[float, ...] = ALPHAS) -> Self:
        """Fit the named candidates; ``"supervised"`` always is."""
        # Those that learn from what is propagated need it of all rows, and that of each fold.
        keep = "propagated" in names or "refined" in names
        scores = self._spread(alphas, keep=keep)
        self.kept = scores.rows
        prior = self.settings["class_prior"]
        self.propagated = propagated = self.task.anchor(scores.full(prior), self.y)
        linear = {"supervised": self._supervised()}
        if self.folds is not None:
            self.oof["graph"] = scores.cross_fitted(prior)
        # For the learning curve.
        self.scores = scores if keep else None
        if "propagated" in names:
            linear["propagated"] = self._on_propagated(scores)
        refined = self._on_refined(scores) if "refined" in names else None
        if self.folds is not None:
            by_graph = self.oof["graph" if refined is None else "refined"]
            self.oof["blend"] = self.task.combine(by_graph, self.oof["supervised"])
        if self.graph.index.method == "cells":
            self.settings["neighbor_recall"] = round(self.graph.index.measured_recall, 4)
        self.predictor = _Predictor(self.task, self.graph, propagated, linear, refined)
        return self

    def best(
        self, oof: dict[str, np.ndarray], *, prefer: tuple[str, ...] = (), n_se: float = 1.0
    ) -> str:
        """Return the name of the setting with the best out-of-fold predictions."""
        assert self.folds is not None
        y = self.y[self.folds.labeled]
        if self.task.has_preferences:
            unseen = self.folds.unseen
            return choose_candidate(self.task, y, oof, prefer=prefer, n_se=n_se, unseen=unseen).name
        return min(oof, key=lambda name: float(self.task.loss(y, oof[name]).sum()))

    def _oof_of(self, name: str) -> np.ndarray:
        """Return the out-of-fold predictions of a candidate; none where none were made."""
        return self.oof.get(name, np.empty((0, self.n_classes)))

    def _spread(self, alphas: tuple[float, ...], *, keep: bool) -> _FoldScores:
        """Spread the labels with the ``alpha`` and the prior that cross-fitting favors."""
        folds, priors = self.folds, self.task.class_priors
        if folds is None:
            self.settings |= {"alpha": float(alphas[0]), "class_prior": priors[0]}
            return self._solve(_one_fold(self.labeled), alphas[0], keep=keep)
        names: dict[str, tuple[float, str]] = {}
        oof: dict[str, np.ndarray] = {}
        prefer = _preferred_spread(len(folds.labeled) / self.n_classes, alphas, priors)
        # Only the best spread so far is kept: each holds n × folds × K numbers.
        kept: tuple[float, _FoldScores] | None = None
        for alpha in alphas:
            scores = self._solve(folds, alpha, keep=keep)
            self.label_scores[float(alpha)] = scores.at_labels
            for prior in priors:
                names[_setting_name(alpha, prior)] = alpha, prior
                oof[_setting_name(alpha, prior)] = scores.cross_fitted(prior)
            chosen, prior = names[self.best(oof, prefer=prefer, n_se=_SETTING_ERRORS)]
            if chosen == alpha:
                kept = alpha, scores
        self.settings |= {"alpha": float(chosen), "class_prior": prior}
        if kept is not None and kept[0] == chosen:
            return kept[1]
        # A later value has brought back an earlier one that had been dropped.
        return self._solve(folds, chosen, keep=keep)

    def _solve(self, folds: LabelFolds, alpha: float, *, keep: bool) -> _FoldScores:
        return self.graph.solve(self.task, self.y, folds, self.n_classes, alpha, keep=keep)

    def _supervised(self) -> LinearModel:
        C = 1.0
        if self.folds is not None:
            oof = {f"{C:g}": self._cross_fit_linear(C) for C in PENALTIES}
            name = self.best(oof)
            C, self.oof["supervised"] = float(name), oof[name]
        self.settings["C"] = C
        return self.rows.fit(np.arange(len(self.labeled)), C)

    def _cross_fit_linear(self, C: float) -> np.ndarray:
        assert self.folds is not None
        number_of = self.folds.number

        def predict(number: int, held: np.ndarray) -> np.ndarray:
            is_held = number_of == number
            return self.rows.predict_held(np.flatnonzero(~is_held), np.flatnonzero(is_held), C)

        return self._cross_fit(predict)

    def _on_propagated(self, scores: _FoldScores) -> LinearModel:
        def predict(number: int, held: np.ndarray) -> np.ndarray:
            model = self.train_propagated(*self._without(scores, number, held)[:2])
            return model.predict_proba(self.X[held])

        if self.folds is not None:
            self.oof["propagated"] = self._cross_fit(predict)
        return self.train_propagated(self.propagated[self.kept], self.y)

    def _on_refined(self, scores: _FoldScores) -> _RefinedGraph:
        self.discriminant = _Discriminant(self.X[self.kept])
        a_class = len(self.labeled) / self.n_classes
        clamps = (False, True) if self.folds is not None and a_class > _CLAMP_FROM else (False,)

        def predict(number: int, held: np.ndarray) -> np.ndarray:
            _, found = self._refine(*self._without(scores, number, held), clamps)
            return np.hstack([proba[held] for proba in found])

        if self.folds is not None:
            found = self._cross_fit(predict, at_once=True)
            parts = np.split(found, len(clamps), axis=1)
            oof = {_CLAMPED[clamp]: part for clamp, part in zip(clamps, parts, strict=True)}
            name = self.best(oof, prefer=(_CLAMPED[a_class > _FEW_A_CLASS],))
            self.settings["clamp"], self.oof["refined"] = name == _CLAMPED[True], oof[name]
        return self.refine(self.propagated[self.kept], self.y, scores.summed())

    def _cross_fit(
        self, predict: Callable[[int, np.ndarray], np.ndarray], *, at_once: bool = False
    ) -> np.ndarray:
        """Return probabilities of every labeled image by ``predict(number, held)`` of its fold."""
        assert self.folds is not None
        held = [held for _, held in self.folds.folds]
        numbers = range(len(held))
        if at_once:
            parts = self.each(numbers, lambda number: predict(number, held[number]))
        else:
            parts = [predict(number, held[number]) for number in numbers]
        result = np.empty((len(self.folds.labeled), parts[0].shape[1]))
        for number, proba in enumerate(parts):
            result[self.folds.number == number] = proba
        return result

    def each(self, items: Sequence[Any], work: Callable[[Any], np.ndarray]) -> list[np.ndarray]:
        """Do something for each item, one a thread where several graphs fit into memory."""
        found = [np.empty(0)] * len(items)

        def some(part: slice) -> None:
            for place in range(len(items))[part]:
                found[place] = work(items[place])

        if len(self.X) <= _TOGETHER:
            _in_threads(some, len(items), 1)
        else:
            some(slice(None))
        return found

    def _without(
        self, scores: _FoldScores, number: int, held: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return what `refine` takes, without the labels of a fold."""
        # The graph must not have seen them either: they would come back, propagated.
        proba = scores.without(number, self.settings["class_prior"])
        return proba, self.task.without(self.y, held), scores.summed(scores.others(number))

    def refine(self, proba: np.ndarray, y: np.ndarray, start: np.ndarray | None) -> _RefinedGraph:
        """Spread labels over the graph as refined by what has been propagated to kept rows.

        ``start`` (n, K), where it is known, are the scores that ``proba`` was made of.
        """
        return self._refine(proba, y, start, (self.settings.get("clamp", False),))[0]

    def _refine(
        self,
        proba: np.ndarray,
        y: np.ndarray,
        start: np.ndarray | None,
        clamps: Sequence[bool],
    ) -> tuple[_RefinedGraph, list[np.ndarray]]:
        rows, column, n_columns = self.task.seeds(y, self.n_classes)
        seeds = np.zeros((len(y), n_columns), dtype=np.float32)
        seeds[rows, column] = 1
        prior = self.task.prior(y, self.n_classes, self.settings["class_prior"])
        alpha = self.settings["alpha"]
        refined = _RefinedGraph(self.graph, self.discriminant.regress(proba))
        if self.discriminant.can_train(self.n_classes):
            # Only the most probable classes count here, and what the next solve begins with.
            start = refined.solve(seeds, alpha, start, _ROUGH)
            proba = _class_mass_normalize(start, prior)[self.kept]
            network = self.discriminant.train(proba, self.graph.seed)
            refined = _RefinedGraph(self.graph, network)
        return refined, refined.spread(seeds, alpha, prior, clamps, start)

    def train_propagated(
        self, proba: np.ndarray, y: np.ndarray, at_most: int = _PROPAGATED_MAX
    ) -> LinearModel:
        """Train on given labels and the confident ones among those propagated to kept rows."""
        rows, targets, weights = _confident_targets(
            proba, y[self.kept], fraction=_PROPAGATED_FRACTION, at_most=at_most
        )
        features = self.X[np.arange(len(y))[self.kept][rows]]
        prepared = _labeled_rows(self.task, features, targets, self.n_classes)
        # The strongest penalty: propagated labels are many, and some of them are wrong.
        return prepared.fit(np.arange(len(rows)), PENALTIES[0], weights)


def _one_fold(labeled: np.ndarray) -> LabelFolds:
    """Return folds of rows that are too few to cross-fit: all in one."""
    return LabelFolds(((labeled[:0], labeled),), labeled, np.zeros(len(labeled), bool), ())


def _preferred_spread(
    labels_per_class: float, alphas: tuple[float, ...], priors: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the settings of the spread by what is known beforehand, best first."""
    wanted = _wanted_alpha(labels_per_class)
    by_nearness = sorted(alphas, key=lambda alpha: abs(np.log((1 - alpha) / (1 - wanted))))
    return tuple(_setting_name(alpha, prior) for prior in priors for alpha in by_nearness)


def _wanted_alpha(labels_per_class: float) -> float:
    # The fewer labels, the farther each must reach, and the nearer to 1 alpha has to be.
    return 0.99 if labels_per_class <= 5 else 0.97 if labels_per_class <= _FEW_A_CLASS else 0.9


def _setting_name(alpha: float, prior: str) -> str:
    return f"{float(alpha)} {prior}"
