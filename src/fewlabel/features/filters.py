"""Patch filters: learned without labels, applied as one matrix product a block of images."""

import warnings
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from fewlabel.cluster.kmeans import KMeans
from fewlabel.compute import matmul_dtype

# Added to a patch's variance before its contrast is normalized (pixels in [0, 1]): below it, a
# patch is noise, which must not be stretched to the contrast of an edge.
VARIANCE_FLOOR = 1e-3
# Added to the eigenvalues of the patch covariance before whitening, for the same reason.
WHITENING_FLOOR = 0.1
# Responses held at once: about the second-level caches of two cores, in float32.
_VALUES_A_BLOCK = 1_000_000


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
    dtype = matmul_dtype("cpu")
    weight, bias = (torch.tensor(part, dtype=dtype) for part in (filters.weight, filters.bias))
    out = torch.empty(len(images), filters.n_values)
    height, width = _map_shape(images.shape, filters)
    # A few images at a time: the full-size response maps, some hundred times larger than their
    # averages, stay in the processor's cache.
    step = max(1, _VALUES_A_BLOCK // (height * width * len(filters.bias)))
    for start in range(0, len(images), step):
        block = torch.from_numpy(np.array(images[start : start + step], np.float32))
        if images.dtype == np.uint8:
            block /= 255
        # Filters sum to zero, so a patch's mean drops out by itself, but not in bfloat16.
        centered = dtype is not torch.float32
        patches = _unit_contrast(block.permute(0, 3, 1, 2), filters, centered)
        responses = torch.addmm(bias, patches.to(dtype), weight)
        responses = responses.view(len(block), height, width, -1)
        out[start : start + step] = _pool_both_signs(responses, filters)
    return out.sqrt_().numpy()


def _map_shape(shape: tuple[int, ...], filters: _PatchFilters) -> tuple[int, int]:
    return tuple(  # type: ignore[return-value]
        (side + 2 * filters.pad - filters.patch_size) // filters.stride + 1 for side in shape[1:3]
    )


def _unit_contrast(images: torch.Tensor, filters: _PatchFilters, centered: bool) -> torch.Tensor:
    """Flatten all patches of (b, C, H, W) images, each divided by its standard deviation."""
    padded = torch.nn.functional.pad(images, (filters.pad,) * 4)
    size, stride = filters.patch_size, filters.stride
    # The moments of every window by box filters: cheaper than from the unfolded patches.
    box = torch.nn.functional.avg_pool2d
    mean = box(padded.mean(1, keepdim=True), size, stride)
    variance = box(padded.square().mean(1, keepdim=True), size, stride) - mean.square()
    scale = (variance.clamp_min_(0) + VARIANCE_FLOOR).rsqrt_()
    windows = padded.unfold(2, size, stride).unfold(3, size, stride)
    patches = windows.permute(0, 2, 3, 1, 4, 5).reshape(-1, filters.weight.shape[0])
    if centered:
        patches -= mean.reshape(-1, 1)
    return patches.mul_(scale.reshape(-1, 1))


def _pool_both_signs(responses: torch.Tensor, filters: _PatchFilters) -> torch.Tensor:
    """Average max(r - t, 0) and max(-r - t, 0) over the cells of the grid."""
    positive = (responses - filters.threshold).clamp_min_(0)
    negative = responses.neg_().sub_(filters.threshold).clamp_min_(0)
    pooled = [_pool(part, filters.grid).float().flatten(1) for part in (positive, negative)]
    return torch.cat(pooled, dim=1)


def _pool(maps: torch.Tensor, grid: int) -> torch.Tensor:
    """Average (b, h, w, f) maps over grid × grid cells; cells differ by a row at most."""
    _, height, width, _ = maps.shape
    by_row = torch.stack([maps[:, a:b].mean(1) for a, b in _cuts(height, grid)], 1)
    return torch.stack([by_row[:, :, a:b].mean(2) for a, b in _cuts(width, grid)], 2)


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
