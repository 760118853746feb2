"""Patch filters: learned without labels, applied as one convolution a block of images."""

import math
import warnings
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from fewlabel.cluster.kmeans import KMeans
from fewlabel.compute import _in_threads

# Added to a patch's variance before its contrast is normalized (pixels in [0, 1]): below it, a
# patch is noise, which must not be stretched to the contrast of an edge.
VARIANCE_FLOOR = 1e-3
# Added to the eigenvalues of the patch covariance before whitening, for the same reason.
WHITENING_FLOOR = 0.1
# Responses held at once by a thread, in float32: with fewer the calls cost more than they compute,
# with more the maps leave the caches.
_VALUES_A_BLOCK = 1_500_000


@dataclass(frozen=True)
class _PatchFilters:
    """A dictionary of patches with its whitening folded in: ``(p / std(p)) @ weight + bias``."""

    # (C * p * p, n_filters) float32; each column sums to zero, so that a patch's mean drops out.
    weight: np.ndarray
    bias: np.ndarray
    # On the responses.
    threshold: float
    patch_size: int
    stride: int
    # Pixels of zeros around the image.
    pad: int
    # Responses are averaged over grid × grid cells.
    grid: int

    @property
    def n_values(self) -> int:
        """Values of one image: cells × filters × two signs."""
        return 2 * self.grid**2 * len(self.bias)


def _sample_patches(
    images: np.ndarray, n_patches: int, patch_size: int, pad: int, rng: np.random.Generator
) -> np.ndarray:
    """Cut patches at random places out of random images."""
    padded = np.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (patch_size, patch_size), (1, 2))
    which = rng.integers(windows.shape[0], size=n_patches)
    row = rng.integers(windows.shape[1], size=n_patches)
    column = rng.integers(windows.shape[2], size=n_patches)
    return np.ascontiguousarray(windows[which, row, column]).reshape(n_patches, -1)


def _learn_filters(
    patches: np.ndarray,
    n_filters: int,
    *,
    threshold: float,
    patch_size: int,
    stride: int,
    pad: int,
    grid: int,
    rng: np.random.Generator,
) -> _PatchFilters:
    """Learn a dictionary: normalize contrast, whiten (ZCA), cluster on the sphere."""
    centered = patches - patches.mean(axis=1, keepdims=True)
    scale = np.sqrt(centered.var(axis=1, keepdims=True) + VARIANCE_FLOOR)
    normalized = centered / scale
    contrast = np.flatnonzero((centered**2).sum(axis=1) > 1e-8)
    # A blank patch says nothing, and blank borders are most of many images.
    if len(contrast) >= 2:
        normalized = normalized[contrast]
    mean = normalized.mean(axis=0, dtype=np.float64)
    covariance = np.cov(normalized, rowvar=False, dtype=np.float64).reshape(len(mean), -1)
    values, vectors = np.linalg.eigh(covariance)
    whitening = (vectors / np.sqrt(np.maximum(values, 0) + WHITENING_FLOOR)) @ vectors.T
    whitened = ((normalized - mean) @ whitening).astype(np.float32)
    norms = np.linalg.norm(whitened, axis=1, keepdims=True)
    directions = whitened / np.maximum(norms, 1e-6)
    filters = _cluster(directions, n_filters, rng).astype(np.float64)
    # Relative to the spread, one threshold suits images of any contrast.
    spread = float((whitened[:20_000] @ filters.T.astype(np.float32)).std())
    weight = whitening @ filters.T
    bias = -(mean @ weight)
    # So a patch's mean drops out, and need not be subtracted from every patch of every image.
    weight -= weight.mean(axis=0, keepdims=True)
    return _PatchFilters(
        weight=weight.astype(np.float32),
        bias=bias.astype(np.float32),
        threshold=threshold * spread,
        patch_size=patch_size,
        stride=stride,
        pad=pad,
        grid=grid,
    )


def _cluster(directions: np.ndarray, n_filters: int, rng: np.random.Generator) -> np.ndarray:
    kmeans = KMeans(
        min(n_filters, len(directions)),
        spherical=True,
        # A dictionary need not be a converged clustering.
        max_iter=15,
        tol=0,
        random_state=int(rng.integers(2**31)),
    )
    with warnings.catch_warnings():
        # Plain images have few different patches: the clusters without any are left out.
        warnings.simplefilter("ignore", ConvergenceWarning)
        kmeans.fit(directions)
    return kmeans.cluster_centers_[np.unique(kmeans.labels_)]


def _pooled_responses(images: np.ndarray, filters: _PatchFilters) -> np.ndarray:
    """Respond to every patch, threshold both signs, average on a grid, take the square root."""
    # A few images at a time: the full-size response maps, some hundred times larger than their
    # averages, stay in the processor's cache.
    step = max(
        1, _VALUES_A_BLOCK // (math.prod(_map_shape(images.shape, filters)) * len(filters.bias))
    )
    pooled = np.empty((len(images), filters.n_values), np.float32)

    def fill(part: slice) -> None:
        pooled[part] = _respond(images[part], filters, step)

    _in_threads(fill, len(images), step)
    return pooled


def _respond(images: np.ndarray, filters: _PatchFilters, step: int) -> np.ndarray:
    n, channels, n_filters = len(images), images.shape[3], len(filters.bias)
    size, grid, pad = filters.patch_size, filters.grid, filters.pad
    height, width = _map_shape(images.shape, filters)
    # Channels last throughout: the filters of a place lie side by side, as the averages need them.
    by_channel = filters.weight.T.reshape(n_filters, channels, size, size).transpose(0, 2, 3, 1)
    weight = torch.from_numpy(np.ascontiguousarray(by_channel)).permute(0, 3, 1, 2)
    bias = torch.from_numpy(filters.bias)
    down, across = (torch.from_numpy(cells) for cells in _cells(images.shape, filters))
    boxes = [_boxes(side + 2 * pad, size, filters.stride) for side in images.shape[1:3]]
    pooled = torch.empty(2, n, grid**2, n_filters)
    every = torch.from_numpy(np.array(images, np.float32))
    if images.dtype == np.uint8:
        every /= 255
    every = torch.nn.functional.pad(every, (0, 0, pad, pad, pad, pad)).permute(0, 3, 1, 2)
    contrast = _inverse_contrast(every, *boxes)
    for start in range(0, n, step):
        block = slice(start, start + step)
        # A filter sums to zero, so that a patch's mean drops out; its contrast is divided out.
        maps = torch.conv2d(every[block], weight, stride=filters.stride).permute(0, 2, 3, 1)
        torch.addcmul(bias, maps, contrast[block], out=maps)
        torch.ops.aten.softshrink.out(maps, filters.threshold, out=maps)
        # What both signs exceed the threshold by: their difference first, and then their sum.
        for part in pooled[:, block]:
            by_row = (down @ maps.reshape(len(maps), height, -1)).view(-1, width, n_filters)
            part.copy_((across @ by_row).view(len(maps), grid**2, n_filters))
            maps.abs_()
    difference, both = pooled
    both -= difference
    difference.mul_(2).add_(both)
    return pooled.div_(2).clamp_min_(0).sqrt_().transpose(0, 1).reshape(n, -1).numpy()


def _map_shape(shape: tuple[int, ...], filters: _PatchFilters) -> tuple[int, int]:
    return tuple(  # type: ignore[return-value]
        (side + 2 * filters.pad - filters.patch_size) // filters.stride + 1 for side in shape[1:3]
    )


def _boxes(side: int, size: int, stride: int) -> torch.Tensor:
    """Return the weights (n, side) of the means over windows of some size."""
    starts = torch.arange(0, side - size + 1, stride)[:, None]
    places = torch.arange(side)
    return ((places >= starts) & (places < starts + size)) / size


def _inverse_contrast(
    padded: torch.Tensor, down: torch.Tensor, across: torch.Tensor
) -> torch.Tensor:
    """Return 1 / standard deviation of all patches, (b, h, w, 1), of (b, C, H, W) images."""
    # The moments of every window as products of two box filters with the image.
    mean, square = (down @ of.mean(1) @ across.T for of in (padded, padded.square()))
    variance = (square - mean.square_()).clamp_min_(0)
    return (variance + VARIANCE_FLOOR).rsqrt_()[..., None]


def _cuts(side: int, grid: int) -> list[tuple[int, int]]:
    """Return where each cell along a side begins and ends."""
    return list(pairwise(np.linspace(0, side, grid + 1).round().astype(int).tolist()))


def _cells(shape: tuple[int, ...], filters: _PatchFilters) -> list[np.ndarray]:
    """Return the weights (grid, side) of the averages over cells, down and across."""
    weights = []
    for side in _map_shape(shape, filters):
        cells = np.zeros((filters.grid, side), np.float32)
        for row, (start, end) in zip(cells, _cuts(side, filters.grid), strict=True):
            row[start:end] = 1 / (end - start)
        weights.append(cells)
    return weights
