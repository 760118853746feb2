"""The fit that the graph and the linear models share: one graph, one solve for all folds.

Label spreading (``graph``), logistic regression on the labels (``supervised``, the baseline), on
the labels and the confident propagated ones (``propagated``), and the mean of graph and baseline
in log-probability (``blend``) are fitted and cross-fitted together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fewlabel.data.task import TASKS, Task
from fewlabel.errors import _damaged
from fewlabel.evaluate import LabelFolds, choose_candidate
from fewlabel.graph.fold_scores import _FoldScores, _LabelScores
from fewlabel.graph.graph_model import _GraphModel
from fewlabel.graph.linear_model import (
    PENALTIES,
    LinearModel,
    _confident_targets,
    _labeled_rows,
)
from fewlabel.params import choice, integer
from fewlabel.persist.schema import _MAX_COUNT, _check_arrays, _check_fields

METHODS = ("graph", "blend", "propagated", "supervised")
NEIGHBORS = 10
ALPHAS = (0.9, 0.97, 0.99)

_PROPAGATED_FRACTION = 0.5
_PROPAGATED_MAX = 8_000
_FEW_A_CLASS = 20
# Six settings are compared: by luck alone one of them is often a standard error ahead.
_SETTING_ERRORS = 2.0


_LINEAR = {"linear.coef": "d K", "linear.intercept": "K"}
_GRAPH = {"graph.rows": "n d", "graph.probabilities": "n K"}
_NEIGHBORS = {"n_neighbors": [integer(0, _MAX_COUNT)], "seed": [integer(0, 2**63)]}


class _Predictor:
    """What predicts: the graph with the probabilities of its rows, and the linear models."""

    def __init__(
        self,
        task: Task,
        graph: _GraphModel | None,
        probabilities: np.ndarray | None,
        linear: dict[str, LinearModel],
    ) -> None:
        self.task = task
        self.graph = graph
        self.probabilities = probabilities
        self.linear = linear

    def predict_proba(self, X: np.ndarray, method: str) -> np.ndarray:
        """Return uncalibrated probabilities (m, K) of new rows by one candidate."""
        if method in self.linear:
            return self.linear[method].predict_proba(X)
        assert self.graph is not None
        assert self.probabilities is not None
        return self._with_graph(X, method, self.graph.predict(X, self.task, self.probabilities))

    def transduce(self, X: np.ndarray, method: str) -> np.ndarray:
        """Return uncalibrated probabilities of the rows of the graph, in which they stand."""
        if method in self.linear:
            return self.linear[method].predict_proba(X)
        assert self.probabilities is not None
        return self._with_graph(X, method, self.probabilities)

    def _with_graph(self, X: np.ndarray, method: str, by_graph: np.ndarray) -> np.ndarray:
        if method == "graph":
            return by_graph
        return self.task.combine(by_graph, self.linear["supervised"].predict_proba(X))

    def to_state(self, method: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return what predicting by one candidate needs, as arrays and JSON types."""
        arrays: dict[str, np.ndarray] = {}
        meta: dict[str, Any] = {"task": self.task.name, "method": method}
        model = self.linear.get("supervised" if method == "blend" else method)
        if model is not None:
            arrays |= {"linear.coef": model.coef, "linear.intercept": model.intercept}
        if method in ("graph", "blend"):
            assert self.graph is not None
            assert self.probabilities is not None
            arrays["graph.rows"] = np.asarray(self.graph.rows, np.float32)
            arrays["graph.probabilities"] = self.probabilities.astype(np.float32)
            meta |= {"n_neighbors": self.graph.n_neighbors, "seed": self.graph.seed}
        return arrays, meta

    @classmethod
    def from_state(cls, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> _Predictor:
        """Return a predictor as it was saved; raise `ModelFormatError` if it is damaged."""
        _check_fields(meta, {"task": [choice(TASKS)], "method": [choice(METHODS)]}, "candidate")
        task, method = TASKS[meta["task"]], meta["method"]
        graph, probabilities, linear, sizes = None, None, {}, {}
        if method != "graph":
            sizes = _check_arrays(arrays, _LINEAR, "candidate")
            name = "supervised" if method == "blend" else method
            linear[name] = LinearModel(arrays["linear.coef"], arrays["linear.intercept"], task)
        if method in ("graph", "blend"):
            _check_fields(meta, _NEIGHBORS, "candidate")
            _check_arrays(arrays, _GRAPH, "candidate", sizes)
            probabilities = arrays["graph.probabilities"]
            lowest = float(probabilities.sum(axis=1).min()) if task.exclusive else 1.0
            _check_fit(0 <= probabilities.min() <= probabilities.max() <= 1.001 and lowest > 0)
            rows, k, seed = arrays["graph.rows"], meta["n_neighbors"], meta["seed"]
            graph = _GraphModel(rows, k, seed, graph=False)
        return cls(task, graph, probabilities, linear)

    @property
    def shape(self) -> tuple[int, int]:
        """Features of a row, and classes."""
        for linear in self.linear.values():
            return linear.coef.shape[0], linear.coef.shape[1]
        assert self.graph is not None
        assert self.probabilities is not None
        return self.graph.rows.shape[1], self.probabilities.shape[1]


class _SharedFit:
    """The candidates fitted on all labels and cross-fitted; ``folds`` None skips the latter."""

    def __init__(
        self,
        task: Task,
        X: np.ndarray,
        y: np.ndarray,
        n_classes: int,
        folds: LabelFolds | None,
        seed: int,
        *,
        n_neighbors: int = NEIGHBORS,
    ) -> None:
        self.task = task
        self.X = X
        self.y = y
        self.n_classes = n_classes
        self.folds = folds
        self.graph = _GraphModel(X, n_neighbors, seed)
        self.settings: dict[str, Any] = {}
        self.label_scores: dict[float, _LabelScores] = {}
        self.oof: dict[str, np.ndarray] = {}
        self.labeled = task.labeled(y)
        self.rows = _labeled_rows(task, X[self.labeled], y[self.labeled], n_classes)

    def fit(self, names: tuple[str, ...], alphas: tuple[float, ...] = ALPHAS) -> _SharedFit:
        """Fit the named candidates; ``"supervised"`` always is."""
        scores = self._spread(alphas, keep="propagated" in names)
        prior = self.settings["class_prior"]
        propagated = scores.full(prior)
        if not self.task.exclusive:
            # Presence beside absence is less certain where a label is given than a class is.
            propagated = self.task.keep_given(propagated, self.y)
        self.propagated = propagated
        linear = {"supervised": self._supervised()}
        if self.folds is not None:
            self.oof["graph"] = scores.cross_fitted(prior)
            self.oof["blend"] = self.task.combine(self.oof["graph"], self.oof["supervised"])
        # For the learning curve; that of propagated labels needs the scores of all rows.
        self.scores = scores if "propagated" in names else None
        if "propagated" in names:
            linear["propagated"] = self._on_propagated(scores)
        self.predictor = _Predictor(self.task, self.graph, propagated, linear)
        return self

    def best(
        self,
        oof: dict[str, np.ndarray],
        *,
        prefer: tuple[str, ...] = (),
        n_se: float = 1.0,
    ) -> str:
        """Return the name of the setting with the best out-of-fold predictions."""
        assert self.folds is not None
        y = self.y[self.folds.labeled]
        if self.task.has_preferences:
            unseen = self.folds.unseen
            return choose_candidate(self.task, y, oof, prefer=prefer, n_se=n_se, unseen=unseen).name
        return min(oof, key=lambda name: float(self.task.loss(y, oof[name]).sum()))

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
        def predict(train: np.ndarray, held: np.ndarray) -> np.ndarray:
            at = np.searchsorted(self.labeled, train), np.searchsorted(self.labeled, held)
            return self.rows.predict_held(*at, C)

        assert self.folds is not None
        return _cross_fit(self.folds, predict)

    def _on_propagated(self, scores: _FoldScores) -> LinearModel:
        prior, fold_of = self.settings["class_prior"], scores.at_labels.fold_of

        def predict(train: np.ndarray, held: np.ndarray) -> np.ndarray:
            number = int(fold_of[np.searchsorted(self.labeled, held[0])])
            # The graph must not have seen the fold either: its labels would come back, propagated.
            y = self.task.without(self.y, held)
            return self.train_propagated(scores.without(number, prior), y).predict_proba(
                self.X[held]
            )

        if self.folds is not None:
            self.oof["propagated"] = _cross_fit(self.folds, predict)
        return self.train_propagated(self.propagated, self.y)

    def train_propagated(
        self, proba: np.ndarray, y: np.ndarray, at_most: int = _PROPAGATED_MAX
    ) -> LinearModel:
        """Train on given labels and the confident ones among propagated ones."""
        rows, targets, weights = _confident_targets(
            proba, y, fraction=_PROPAGATED_FRACTION, at_most=at_most
        )
        prepared = _labeled_rows(self.task, self.X[rows], targets, self.n_classes)
        # The strongest penalty: propagated labels are many, and some of them are wrong.
        return prepared.fit(np.arange(len(rows)), PENALTIES[0], weights)


def _cross_fit(
    folds: LabelFolds, predict: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return probabilities of every labeled image by ``predict(train, held)`` of its fold."""
    parts = {k: predict(train, held) for k, (train, held) in enumerate(folds.folds)}
    result = np.empty((len(folds.labeled), parts[0].shape[1]))
    for k, proba in parts.items():
        result[folds.number == k] = proba
    return result


def _one_fold(labeled: np.ndarray) -> LabelFolds:
    """Return folds of rows that are too few to cross-fit: all in one."""
    return LabelFolds(((labeled[:0], labeled),), labeled, np.zeros(len(labeled), bool), ())


def _check_fit(fits: bool) -> None:
    if not fits:
        raise _damaged("The shapes of the saved arrays do not fit together")


def _preferred_spread(
    labels_per_class: float, alphas: tuple[float, ...], priors: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the settings of the spread by what is known beforehand, best first."""
    # The fewer labels, the farther each must reach, and the nearer to 1 alpha has to be.
    wanted = 0.99 if labels_per_class <= 5 else 0.97 if labels_per_class <= _FEW_A_CLASS else 0.9
    by_nearness = sorted(alphas, key=lambda alpha: abs(np.log((1 - alpha) / (1 - wanted))))
    return tuple(_setting_name(alpha, prior) for prior in priors for alpha in by_nearness)


def _setting_name(alpha: float, prior: str) -> str:
    return f"{float(alpha)} {prior}"
