"""Features as torch modules: from images that were read to the rows of a candidate."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from fewlabel.features.backbone import Backbone
from fewlabel.features.backbones import _LENGTH, JoinedBackbones
from fewlabel.features.base import FeatureExtractor
from fewlabel.features.filters import VARIANCE_FLOOR, _cells, _PatchFilters
from fewlabel.features.joined import JoinedFeatures
from fewlabel.features.joined_patches import JoinedPatches
from fewlabel.features.patch_features import PatchFeatures
from fewlabel.features.pixels import Pixels
from fewlabel.features.reduce import DampedPCA
from fewlabel.nets import Network

Reading = tuple[int, int, int]
"""Height, width and channels (1 or 3) that images are read at."""


class _Features(nn.Module):
    """Rows of images, each of which was read in several ways: levels (n, C, h, w) from 0 to 255."""

    readings: list[Reading]


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
    def __init__(self, extractor: Backbone, reducer: DampedPCA | None = None) -> None:
        super().__init__()
        network = extractor.network_
        self.readings = [(*network.size, 3)]
        self.network = _frozen(network.module)
        self.mean = _constant(np.array(network.recipe.mean)[:, None, None] * 255)
        self.scale = _constant(1 / (np.array(network.recipe.std)[:, None, None] * 255))
        self.normalize, self.reduce = extractor.normalize, _reduction(reducer)

    def forward(self, *levels: Tensor) -> Tensor:
        batch = (levels[0] - self.mean) * self.scale
        rows: Tensor = self.network(batch)
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
        parts = [_BackboneRows(part, reducer) for part, reducer in both]
        return _SideBySide(parts, [_LENGTH / len(parts) ** 0.5] * len(parts))
    if isinstance(extractor, JoinedPatches):
        return _SideBySide(
            [_PatchRows(part) for part in extractor.parts], [1] * len(extractor.parts)
        )
    modules: dict[type, Any] = {
        Pixels: _PixelRows,
        PatchFeatures: _PatchRows,
        Backbone: _BackboneRows,
    }
    made: _Features = modules[type(extractor)](extractor)
    return made


def _of_length(rows: Tensor, length: float) -> Tensor:
    """Scale rows to a length; a row of zeros stays."""
    norms = rows.square().sum(1, keepdim=True).sqrt()
    return rows * (length / torch.where(norms > 0, norms, torch.ones_like(norms)))


def _reduction(reducer: DampedPCA | None) -> nn.Module:
    return nn.Identity() if reducer is None else _Affine(reducer.mean_, reducer._weights())


def _constant(values: Any) -> nn.Buffer:
    return nn.Buffer(torch.as_tensor(values, dtype=torch.float32).contiguous())


def _frozen(module: nn.Module) -> Any:
    """Return a copy as files hold it: in float32, on the CPU, in the usual layout."""
    copied = copy.deepcopy(module).cpu().float().eval().requires_grad_(False)
    # The overloads of Module.to do not list memory_format by keyword alone.
    return copied.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
