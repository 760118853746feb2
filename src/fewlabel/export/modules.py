"""Everything behind the pixels as torch modules: features, candidate, calibration, all classes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from fewlabel.data import Task
from fewlabel.data.calibration import PROBABILITY_FLOOR, Calibration
from fewlabel.features.backbone import Backbone
from fewlabel.features.backbones import _LENGTH, JoinedBackbones
from fewlabel.features.base import FeatureExtractor
from fewlabel.features.filters import VARIANCE_FLOOR, _cells, _PatchFilters
from fewlabel.features.joined import JoinedFeatures
from fewlabel.features.patch_features import PatchFeatures
from fewlabel.features.pixels import Pixels
from fewlabel.features.reduce import DampedPCA
from fewlabel.graph.graph_model import _GraphModel
from fewlabel.graph.linear_model import LinearModel
from fewlabel.graph.predictor import _Predictor
from fewlabel.graph.refined import _SHARE, _RefinedGraph
from fewlabel.nets import Network

Reading = tuple[int, int, int]
"""Height, width and channels (1 or 3) that images are read at."""

# As `fewlabel.graph.propagation._weighted_average` has it.
_TINY, _SHARPNESS = 1e-12, 4.0


class _Features(nn.Module):
    """Rows of images, each of which was read in several ways: levels (n, C, h, w) from 0 to 255."""

    readings: list[Reading]

    def forward(self, *levels: Tensor) -> Tensor:
        raise NotImplementedError


class _PixelRows(_Features):
    def __init__(self, extractor: Pixels) -> None:
        super().__init__()
        self.readings = [(*extractor.size_, extractor.channels_)]
        self.reduce = _reduction(extractor.reducer_)

    def forward(self, *levels: Tensor) -> Tensor:
        rows: Tensor = self.reduce(levels[0].permute(0, 2, 3, 1).flatten(1) / 255)
        return rows


class _PatchRows(_Features):
    """The patch dictionary as a convolution: contrast is divided out behind it."""

    def __init__(self, extractor: PatchFeatures) -> None:
        super().__init__()
        self.readings = [(*extractor.size_, extractor.channels_)]
        self.filters: _PatchFilters = extractor.dictionary_.filters_
        self.reduce = _reduction(extractor.dictionary_.reducer_)
        size, n_filters = self.filters.patch_size, len(self.filters.bias)
        self.weight = _constant(self.filters.weight.T.reshape(n_filters, -1, size, size))
        self.bias = _constant(self.filters.bias[:, None, None])
        down, across = _cells((1, *extractor.size_), self.filters)
        self.down, self.across = _constant(down), _constant(across.T)

    def forward(self, *levels: Tensor) -> Tensor:
        size, stride = self.filters.patch_size, self.filters.stride
        padded = functional.pad(levels[0] / 255, (self.filters.pad,) * 4)
        mean = functional.avg_pool2d(padded.mean(1, keepdim=True), size, stride)
        square = functional.avg_pool2d(padded.square().mean(1, keepdim=True), size, stride)
        scale = ((square - mean.square()).clamp_min(0) + VARIANCE_FLOOR).rsqrt()
        responses = functional.conv2d(padded, self.weight, stride=stride) * scale + self.bias
        both = (responses - self.filters.threshold, -responses - self.filters.threshold)
        pooled = [self.down @ part.clamp_min(0) @ self.across for part in both]
        # In the order of the dictionary: cells first, and all of one sign before the other.
        rows = torch.cat([part.permute(0, 2, 3, 1).flatten(1) for part in pooled], dim=1)
        reduced: Tensor = self.reduce(rows.sqrt())
        return reduced


class _BackboneRows(_Features):
    def __init__(self, extractor: Backbone) -> None:
        super().__init__()
        network = extractor.network_
        self.readings = [(*network.size, 3)]
        self.network = _frozen(network.module)
        self.mean = _constant(np.array(network.recipe.mean)[:, None, None] * 255)
        self.scale = _constant(1 / (np.array(network.recipe.std)[:, None, None] * 255))
        self.flip, self.normalize = extractor.flip, extractor.normalize
        self.reduce = _reduction(extractor.reducer_)

    def forward(self, *levels: Tensor) -> Tensor:
        batch = (levels[0] - self.mean) * self.scale
        rows: Tensor = self.network(batch)
        if self.flip:
            rows = (rows + self.network(batch.flip(3))) / 2
        if self.normalize:
            rows = _of_length(rows, rows.shape[1] ** 0.5)
        reduced: Tensor = self.reduce(rows)
        return reduced


class _SideBySide(_Features):
    """Rows of several kinds beside one another, each of its own length."""

    def __init__(self, parts: Sequence[_Features], lengths: Sequence[float]) -> None:
        super().__init__()
        self.parts, self.lengths = nn.ModuleList(parts), list(lengths)
        self.readings = list(dict.fromkeys(read for part in parts for read in part.readings))
        self.places = [[self.readings.index(read) for read in part.readings] for part in parts]

    def forward(self, *levels: Tensor) -> Tensor:
        rows = []
        for part, places, length in zip(self.parts, self.places, self.lengths, strict=True):
            rows.append(_of_length(part(*(levels[place] for place in places)), length))
        return torch.cat(rows, dim=1)


class _Reduced(_Features):
    """Rows of a kind, reduced once more."""

    def __init__(self, rows: _Features, reducer: DampedPCA) -> None:
        super().__init__()
        self.rows, self.readings, self.reduce = rows, rows.readings, _reduction(reducer)

    def forward(self, *levels: Tensor) -> Tensor:
        rows: Tensor = self.reduce(self.rows(*levels))
        return rows


class _NetworkRows(_Features):
    """Centered embeddings of a trained network; without a center its logits."""

    def __init__(self, network: Network, center: np.ndarray | None = None) -> None:
        super().__init__()
        channels, height, width = network.spec.input_shape
        self.readings = [(height, width, channels)]
        self.network = _frozen(network)
        self.center = None if center is None else _constant(center)

    def forward(self, *levels: Tensor) -> Tensor:
        pixels = levels[0] / 255
        if self.center is None:
            logits: Tensor = self.network(pixels)
            return logits
        embedded: Tensor = self.network.embed(pixels) - self.center
        return embedded


class _Affine(nn.Module):
    """Rows less a mean, times weights."""

    def __init__(self, mean: np.ndarray, weights: np.ndarray) -> None:
        super().__init__()
        self.mean, self.weights = _constant(mean), _constant(weights)

    def forward(self, rows: Tensor) -> Tensor:
        return (rows - self.mean) @ self.weights


class _Linear(nn.Module):
    def __init__(self, model: LinearModel) -> None:
        super().__init__()
        self.task = model.task
        self.coef, self.intercept = _constant(model.coef), _constant(model.intercept)

    def forward(self, rows: Tensor) -> Tensor:
        return _activate(self.task, _unit_rows(rows) @ self.coef + self.intercept)


class _Graph(nn.Module):
    """The average of the nearest stored rows' probabilities, plain or refined."""

    def __init__(self, task: Task, graph: _GraphModel, proba: np.ndarray) -> None:
        super().__init__()
        self.exclusive = task.exclusive
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
        average = (weights.unsqueeze(2) * self.proba[near]).sum(1)
        return average / average.sum(1, keepdim=True) if self.exclusive else average


class _Refined(_Graph):
    def __init__(self, task: Task, refined: _RefinedGraph) -> None:
        super().__init__(task, refined.base, refined.probabilities)
        self.n_neighbors = max(1, refined.base.n_neighbors)
        self.n_candidates = min(refined.base.n_candidates, len(refined.base.rows))
        self.coef, self.center = _constant(refined.coef), _constant(refined.center)
        self.scores = _constant(refined.scores)

    def forward(self, rows: Tensor) -> Tensor:
        near, distances = self.nearest(rows, self.n_candidates)
        scores = _unit_rows(_unit_rows(rows) @ self.coef - self.center)
        cosine = (scores.unsqueeze(1) * self.scores[near]).sum(2) / scores.shape[1]
        joined = (1 - float(_SHARE)) * distances + float(_SHARE) * (1 - cosine)
        # Smallest first.
        kept, order = (-joined).topk(self.n_neighbors, dim=1)
        return self.average(near.gather(1, order), (-kept).clamp_min(0))


class _Blend(nn.Module):
    """The mean of two candidates in log-probability, or in log-odds."""

    def __init__(self, task: Task, one: nn.Module, other: nn.Module) -> None:
        super().__init__()
        self.exclusive, self.one, self.other = task.exclusive, one, other

    def forward(self, rows: Tensor) -> Tensor:
        one, other = self.one(rows), self.other(rows)
        if not self.exclusive:
            return torch.sigmoid((_log_odds(one) + _log_odds(other)) / 2)
        mean = (one.clamp_min(PROBABILITY_FLOOR) * other.clamp_min(PROBABILITY_FLOOR)).sqrt()
        return mean / mean.sum(1, keepdim=True)


class _Activated(nn.Module):
    """Probabilities of logits."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task

    def forward(self, logits: Tensor) -> Tensor:
        return _activate(self.task, logits)


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
        self.features, self.candidate, self.exclusive = features, candidate, task.exclusive
        self.parameters_ = calibration.to_dict()
        # Where a class that was never learned finds its 0: behind the last column.
        places = np.full(n_classes, len(columns))
        places[columns] = np.arange(len(columns))
        self.is_wide = n_classes > len(columns) or (places != np.arange(n_classes)).any()
        self.places = nn.Buffer(torch.from_numpy(places))

    def forward(self, *levels: Tensor) -> tuple[Tensor, Tensor]:
        proba = self.candidate(self.features(*levels))
        if self.exclusive:
            logits = proba.clamp_min(PROBABILITY_FLOOR).log() / self.parameters_["temperature"]
            proba = torch.softmax(logits, dim=1)
        else:
            odds = _log_odds(proba)
            proba = torch.sigmoid(odds * self.parameters_["scale"] + self.parameters_["shift"])
        if self.is_wide:
            proba = functional.pad(proba, (0, 1))[:, self.places]
        return proba, proba.argmax(1) if self.exclusive else (proba >= 0.5).long()


def _features_of(extractor: FeatureExtractor) -> _Features:
    """Return the module of an extractor."""
    if isinstance(extractor, JoinedFeatures):
        share = (extractor.share / len(extractor.networks)) ** 0.5
        networks = [
            _NetworkRows(network.network_, center)
            for network, center in zip(extractor.networks, extractor.centers_, strict=True)
        ]
        lengths = [(1 - extractor.share) ** 0.5, *(share for _ in networks)]
        return _SideBySide([_features_of(extractor.base), *networks], lengths)
    if isinstance(extractor, JoinedBackbones):
        both = zip(extractor.parts, extractor.reducers_, strict=True)
        parts = [_Reduced(_BackboneRows(part), reducer) for part, reducer in both]
        return _SideBySide(parts, [_LENGTH / len(parts) ** 0.5] * len(parts))
    makers: dict[type, Any] = {
        Pixels: _PixelRows,
        PatchFeatures: _PatchRows,
        Backbone: _BackboneRows,
    }
    made: _Features = makers[type(extractor)](extractor)
    return made


def _head_of(network: Network, task: Task) -> tuple[_Features, nn.Module]:
    """Return the modules of a network that predicts by itself."""
    return _NetworkRows(network), _Activated(task)


def _candidate_of(predictor: _Predictor, method: str) -> nn.Module:
    """Return the module of one of the candidates of the graph and the linear models."""
    if method in predictor.linear:
        return _Linear(predictor.linear[method])
    if method == "refined":
        assert predictor.refined is not None
        return _Refined(predictor.task, predictor.refined)
    assert predictor.graph is not None
    assert predictor.probabilities is not None
    graph = _Graph(predictor.task, predictor.graph, predictor.probabilities)
    if method == "graph":
        return graph
    return _Blend(predictor.task, graph, _Linear(predictor.linear["supervised"]))


def _activate(task: Task, logits: Tensor) -> Tensor:
    return torch.softmax(logits, dim=1) if task.exclusive else torch.sigmoid(logits)


def _log_odds(proba: Tensor) -> Tensor:
    clipped = proba.clamp(PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
    return clipped.log() - torch.log1p(-clipped)


def _of_length(rows: Tensor, length: float) -> Tensor:
    """Scale rows to a length; a row of zeros stays."""
    norms = rows.square().sum(1, keepdim=True).sqrt()
    return rows * (length / torch.where(norms > 0, norms, torch.ones_like(norms)))


def _unit_rows(rows: Tensor) -> Tensor:
    return _of_length(rows, rows.shape[1] ** 0.5)


def _reduction(reducer: DampedPCA | None) -> nn.Module:
    return nn.Identity() if reducer is None else _Affine(reducer.mean_, reducer._weights())


def _constant(values: Any) -> nn.Buffer:
    return nn.Buffer(torch.as_tensor(values, dtype=torch.float32).contiguous())


def _frozen(module: nn.Module) -> Any:
    """Return a copy as files hold it: in float32, on the CPU, in the usual layout."""
    copied = copy.deepcopy(module).cpu().float().eval().requires_grad_(False)
    # The overloads of Module.to do not list memory_format by keyword alone.
    return copied.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
