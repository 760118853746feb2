"""What predicts: the graph with the probabilities of its rows, and the linear models."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from fewlabel.data.task import TASKS, Task
from fewlabel.errors import UsageError, _damaged
from fewlabel.graph.graph_model import _GraphModel
from fewlabel.graph.linear_model import LinearModel
from fewlabel.graph.refined import _LinearScores, _RefinedGraph
from fewlabel.graph.score_network import _ScoreNetwork
from fewlabel.params import choice, integer
from fewlabel.persist.schema import _MAX_COUNT, _check_arrays, _check_fields

METHODS = ("graph", "refined", "blend", "propagated", "supervised")

_LINEAR = {"linear.coef": "d K", "linear.intercept": "K"}
_GRAPH = {"graph.rows": "n d", "graph.probabilities": "n K"}
# In the order of their fields.
_SCORERS: dict[type[_LinearScores] | type[_ScoreNetwork], dict[str, str]] = {
    _LinearScores: {"refined.coef": "d K"},
    _ScoreNetwork: {"refined.hidden": "d h", "refined.offset": "h", "refined.output": "h K"},
}
_NEIGHBORS = {"n_neighbors": [integer(0, _MAX_COUNT)], "seed": [integer(0, 2**63)]}


@dataclass(eq=False)
class _Predictor:
    """What predicts: the graph with the probabilities of its rows, and the linear models."""

    task: Task
    graph: _GraphModel | None
    probabilities: np.ndarray | None
    linear: dict[str, LinearModel]
    refined: _RefinedGraph | None = None

    def predict_proba(self, X: np.ndarray, method: str) -> np.ndarray:
        """Return uncalibrated probabilities (m, K) of new rows by one candidate."""
        if method in self.linear:
            return self.linear[method].predict_proba(X)
        if method == "refined":
            assert self.refined is not None
            return self.refined.predict_proba(X)
        assert self.graph is not None
        assert self.probabilities is not None
        if self.refined is not None and method == "blend":
            return self._blend(X, self.refined.predict_proba(X))
        by_graph = self.graph.predict(X, self.task, self.probabilities)
        return by_graph if method == "graph" else self._blend(X, by_graph)

    def transduce(self, X: np.ndarray, method: str) -> np.ndarray:
        """Return uncalibrated probabilities of the rows of the graph, in which they stand."""
        if method in self.linear:
            return self.linear[method].predict_proba(X)
        if method == "refined":
            assert self.refined is not None
            return self.refined.probabilities
        assert self.probabilities is not None
        if method == "graph":
            return self.probabilities
        by_graph = self.probabilities if self.refined is None else self.refined.probabilities
        return self._blend(X, by_graph)

    def _blend(self, X: np.ndarray, by_graph: np.ndarray) -> np.ndarray:
        return self.task.combine(by_graph, self.linear["supervised"].predict_proba(X))

    def to_state(self, method: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return what predicting by one candidate needs, as arrays and JSON types."""
        arrays: dict[str, np.ndarray] = {}
        meta: dict[str, Any] = {"task": self.task.name, "method": method}
        model = self.linear.get("supervised" if method == "blend" else method)
        if model is not None:
            arrays |= {"linear.coef": model.coef, "linear.intercept": model.intercept}
        if method not in ("propagated", "supervised"):
            proba = self.probabilities
            if method != "graph" and self.refined is not None:
                arrays |= {f"refined.{k}": v for k, v in self.refined.scorer._asdict().items()}
                proba = self.refined.probabilities
            assert self.graph is not None
            assert proba is not None
            arrays["graph.rows"] = self.graph.saved_rows
            arrays["graph.probabilities"] = proba.astype(np.float32)
            meta |= {"n_neighbors": self.graph.n_neighbors, "seed": self.graph.seed}
        return arrays, meta

    @classmethod
    def from_state(cls, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> Self:
        """Return a predictor as it was saved; raise `ModelFormatError` if it is damaged."""
        _check_fields(meta, {"task": [choice(TASKS)], "method": [choice(METHODS)]}, "candidate")
        task, method = TASKS[meta["task"]], meta["method"]
        graph, probabilities, refined, linear, sizes = None, None, None, {}, {}
        if method not in ("graph", "refined"):
            sizes = _check_arrays(arrays, _LINEAR, "candidate")
            name = "supervised" if method == "blend" else method
            linear[name] = LinearModel(arrays["linear.coef"], arrays["linear.intercept"], task)
        if method not in ("propagated", "supervised"):
            _check_fields(meta, _NEIGHBORS, "candidate")
            sizes = _check_arrays(arrays, _GRAPH, "candidate", sizes)
            probabilities = arrays["graph.probabilities"]
            try:
                task.check(task.predict(probabilities), probabilities)
            except UsageError as fault:
                raise _damaged("The saved probabilities of the graph are none") from fault
            rows, k, seed = arrays["graph.rows"], meta["n_neighbors"], meta["seed"]
            graph = _GraphModel(rows, k, seed, graph=False)
            # Where there is no refined graph, a blend is one of the graph as it is.
            if method == "refined" or any(name.startswith("refined.") for name in arrays):
                scorer = _ScoreNetwork if "refined.hidden" in arrays else _LinearScores
                _check_arrays(arrays, _SCORERS[scorer], "candidate", sizes)
                layers = [arrays[name] for name in _SCORERS[scorer]]
                refined = _RefinedGraph(graph, scorer(*layers))
                refined.probabilities = probabilities
        return cls(task, graph, probabilities, linear, refined)

    @property
    def shape(self) -> tuple[int, int]:
        """Features of a row, and classes."""
        for linear in self.linear.values():
            return linear.coef.shape[0], linear.coef.shape[1]
        assert self.graph is not None
        assert self.probabilities is not None
        return self.graph.rows.shape[1], self.probabilities.shape[1]
