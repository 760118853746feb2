"""Starting centers for k-means: k-means++ whose cost does not grow with the data set."""

from __future__ import annotations

import numpy as np

_SAMPLE_PER_CLUSTER = 12
_SAMPLE_AT_LEAST = 20_000
_SKETCH_FEATURES = 64


def _kmeans_plus_plus(X: np.ndarray, n_clusters: int, rng: np.random.Generator) -> np.ndarray:
    """Choose rows that lie far from each other, at random in proportion to squared distance."""
    # Greedy k-means++ (Arthur & Vassilvitskii 2007): each center is the best of a few draws. Of
    # large data a sample is looked at, in its principal directions: Lloyd's iterations correct
    # what little that loses.
    size = max(_SAMPLE_AT_LEAST, _SAMPLE_PER_CLUSTER * n_clusters)
    sample = np.arange(len(X))
    if size < len(X):
        sample = np.sort(rng.choice(len(X), size, replace=False))
    points = _sketch(X[sample])
    n_trials = 2 + int(np.log(n_clusters))
    norms = np.einsum("ij,ij->i", points, points)
    chosen = np.empty(n_clusters, dtype=np.int64)
    chosen[0] = rng.integers(len(points))
    nearest = _distances(points, norms, chosen[:1])[0]
    for i in range(1, n_clusters):
        cumulative = np.cumsum(nearest, dtype=np.float64)
        if cumulative[-1] <= 0:
            # Every row equals a center: the rest may be any rows, each once.
            left = np.setdiff1d(np.arange(len(points)), chosen[:i])
            chosen[i:] = rng.choice(left, n_clusters - i, replace=False)
            break
        draws = np.searchsorted(cumulative, rng.random(n_trials) * cumulative[-1], side="right")
        # Rounding may take the last sum below the draw.
        draws = np.minimum(draws, len(points) - 1)
        trial = np.minimum(_distances(points, norms, draws), nearest)
        best = int(trial.sum(axis=1, dtype=np.float64).argmin())
        chosen[i], nearest = draws[best], trial[best]
        nearest[chosen[i]] = 0
    return sample[chosen]


def _distances(points: np.ndarray, norms: np.ndarray, picks: np.ndarray) -> np.ndarray:
    """Squared distances of all points to a few of them, (n_picks, n)."""
    squared = points[picks] @ points.T
    squared *= -2
    both = norms + norms[picks, None]
    squared += both
    # Equal rows come out of the product at a distance of rounding size: it counts as none.
    both *= np.float32(2e-6)
    squared[squared <= both] = 0
    return squared


def _sketch(points: np.ndarray) -> np.ndarray:
    """Centered points, in 64 principal directions where they have more features."""
    points = points - points.mean(axis=0)
    if points.shape[1] <= 2 * _SKETCH_FEATURES:
        return points
    part = points[:: max(1, len(points) // 4096)]
    _, vectors = np.linalg.eigh((part.T @ part).astype(np.float64))
    return points @ vectors[:, -_SKETCH_FEATURES:].astype(np.float32)
