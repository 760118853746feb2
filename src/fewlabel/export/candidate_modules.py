"""Candidates and calibration as torch modules: from rows to calibrated probabilities."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from fewlabel.data import MultiLabel, SingleLabel, Task
from fewlabel.data.calibration import PROBABILITY_FLOOR, Calibration
from fewlabel.export.feature_modules import _constant, _Features, _of_length
from fewlabel.graph.graph_model import _GraphModel
from fewlabel.graph.linear_model import LinearModel
from fewlabel.graph.predictor import _Predictor
from fewlabel.graph.refined import _SHARE, _LinearScores, _RefinedGraph
from fewlabel.graph.score_network import _ScoreNetwork

# As `fewlabel.graph.propagation._weighted_average` has it.
_TINY, _SHARPNESS = 1e-12, 4.0


class _OneLabel:
    """What `SingleLabel` and `Temperature` do, on tensors."""

    @staticmethod
    def activate(logits: Tensor) -> Tensor:
        return torch.softmax(logits, dim=1)

    @staticmethod
    def normalize(proba: Tensor) -> Tensor:
        return proba / proba.sum(1, keepdim=True)

    @classmethod
    def combine(cls, a: Tensor, b: Tensor) -> Tensor:
        floored = a.clamp_min(PROBABILITY_FLOOR) * b.clamp_min(PROBABILITY_FLOOR)
        return cls.normalize(floored.sqrt())

    @staticmethod
    def calibrate(proba: Tensor, temperature: float) -> Tensor:
        return torch.softmax(proba.clamp_min(PROBABILITY_FLOOR).log() / temperature, dim=1)

    @staticmethod
    def predict(proba: Tensor) -> Tensor:
        return proba.argmax(1)


class _SeveralLabels:
    """What `MultiLabel` and `Scaling` do, on tensors."""

    @staticmethod
    def activate(logits: Tensor) -> Tensor:
        return torch.sigmoid(logits)

    @staticmethod
    def normalize(proba: Tensor) -> Tensor:
        return proba

    @staticmethod
    def combine(a: Tensor, b: Tensor) -> Tensor:
        return torch.sigmoid((_log_odds(a) + _log_odds(b)) / 2)

    @staticmethod
    def calibrate(proba: Tensor, scale: float, shift: float) -> Tensor:
        return torch.sigmoid(_log_odds(proba) * scale + shift)

    @staticmethod
    def predict(proba: Tensor) -> Tensor:
        return (proba >= 0.5).long()


_TASKS: dict[str, type[_OneLabel] | type[_SeveralLabels]] = {
    SingleLabel.name: _OneLabel,
    MultiLabel.name: _SeveralLabels,
}


class _Linear(nn.Module):
    def __init__(self, model: LinearModel) -> None:
        super().__init__()
        self.task = _TASKS[model.task.name]
        self.coef, self.intercept = _constant(model.coef), _constant(model.intercept)

    def forward(self, rows: Tensor) -> Tensor:
        return self.task.activate(_unit_rows(rows) @ self.coef + self.intercept)


class _Graph(nn.Module):
    """The average of the nearest stored rows' probabilities, plain or refined."""

    def __init__(self, task: Task, graph: _GraphModel, proba: np.ndarray) -> None:
        super().__init__()
        self.task = _TASKS[task.name]
        self.n_neighbors = max(1, min(graph.n_neighbors, len(graph.rows)))
        stored = torch.from_numpy(np.array(graph.rows, np.float32))
        self.stored, self.proba = _constant(_of_length(stored, 1.0)), _constant(proba)

    def forward(self, rows: Tensor) -> Tensor:
        near, distances = self.nearest(rows, self.n_neighbors)
        return self.average(near, distances)

    def nearest(self, rows: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Return the k nearest stored rows and their cosine distances, by direct differences."""
        unit = _of_length(rows, 1.0)
        near = (unit @ self.stored.T).topk(k, dim=1).indices
        return near, (unit.unsqueeze(1) - self.stored[near]).square().sum(2) / 2

    def average(self, near: Tensor, distances: Tensor) -> Tensor:
        """Average the probabilities of neighbors by the Gaussian weights of the graph."""
        squared = 2 * distances
        # Of roots, as the original has it, but for what the root of a square loses.
        scale = squared.amax(1, keepdim=True).clamp_min(_TINY**2)
        weights = torch.exp(-_SHARPNESS * squared / scale)
        weights = weights / weights.sum(1, keepdim=True)
        return self.task.normalize((weights.unsqueeze(2) * self.proba[near]).sum(1))


class _Score(nn.Module):
    """What tells classes apart: a linear map, or a network of one hidden layer."""

    def __init__(self, scorer: _LinearScores | _ScoreNetwork) -> None:
        super().__init__()
        *layers, output = map(_constant, scorer)
        self.layers, self.output = nn.ParameterList(layers), output

    def forward(self, rows: Tensor) -> Tensor:
        if len(self.layers):
            rows = torch.relu(rows @ self.layers[0] + self.layers[1])
        return rows @ self.output


class _Refined(_Graph):
    def __init__(self, task: Task, refined: _RefinedGraph) -> None:
        super().__init__(task, refined.base, refined.probabilities)
        self.n_neighbors = max(1, refined.base.n_neighbors)
        self.n_candidates = min(refined.base.n_candidates, len(refined.base.rows))
        self.score = _Score(refined.scorer)
        self.scores, self.center = _constant(refined.scores), _constant(refined.center)

    def forward(self, rows: Tensor) -> Tensor:
        near, distances = self.nearest(rows, self.n_candidates)
        scores = _unit_rows(self.score(_unit_rows(rows)) - self.center)
        cosine = (scores.unsqueeze(1) * self.scores[near]).sum(2) / scores.shape[1]
        joined = (1 - float(_SHARE)) * distances + float(_SHARE) * (1 - cosine)
        # Smallest first.
        kept, order = (-joined).topk(self.n_neighbors, dim=1)
        return self.average(near.gather(1, order), (-kept).clamp_min(0))


class _Blend(nn.Module):
    """The mean of two candidates in log-probability, or in log-odds."""

    def __init__(self, task: Task, one: nn.Module, other: nn.Module) -> None:
        super().__init__()
        self.task, self.one, self.other = _TASKS[task.name], one, other

    def forward(self, rows: Tensor) -> Tensor:
        return self.task.combine(self.one(rows), self.other(rows))


class _Activated(nn.Module):
    """Probabilities of logits."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = _TASKS[task.name]

    def forward(self, logits: Tensor) -> Tensor:
        return self.task.activate(logits)


class _Whole(nn.Module):
    """From images that were read to calibrated probabilities of all classes, and what they name."""

    def __init__(
        self,
        features: _Features,
        candidate: nn.Module,
        task: Task,
        calibration: Calibration,
        columns: np.ndarray,
        n_classes: int,
    ) -> None:
        super().__init__()
        self.features, self.candidate, self.task = features, candidate, _TASKS[task.name]
        self.parameters_ = calibration.to_dict()
        # Where a class that was never learned finds its 0: behind the last column.
        places = np.full(n_classes, len(columns))
        places[columns] = np.arange(len(columns))
        self.is_wide = n_classes > len(columns) or (places != np.arange(n_classes)).any()
        self.places = nn.Buffer(torch.from_numpy(places))

    def forward(self, *levels: Tensor) -> tuple[Tensor, Tensor]:
        proba = self.task.calibrate(self.candidate(self.features(*levels)), **self.parameters_)
        if self.is_wide:
            proba = functional.pad(proba, (0, 1))[:, self.places]
        return proba, self.task.predict(proba)


def _candidate_of(predictor: _Predictor, method: str) -> nn.Module:
    """Return the module of one of the candidates of the graph and the linear models."""
    if method in predictor.linear:
        return _Linear(predictor.linear[method])
    assert predictor.graph is not None
    assert predictor.probabilities is not None
    graph = _Graph(predictor.task, predictor.graph, predictor.probabilities)
    if method != "graph" and predictor.refined is not None:
        graph = _Refined(predictor.task, predictor.refined)
    if method != "blend":
        return graph
    return _Blend(predictor.task, graph, _Linear(predictor.linear["supervised"]))


def _log_odds(proba: Tensor) -> Tensor:
    clipped = proba.clamp(PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
    return clipped.log() - torch.log1p(-clipped)


def _unit_rows(rows: Tensor) -> Tensor:
    return _of_length(rows, rows.shape[1] ** 0.5)
