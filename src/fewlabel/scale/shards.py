"""k-means and nearest neighbors by shards: each worker has some of the rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fewlabel.cluster.assignment import _CenterSearch, _mean_variance
from fewlabel.cluster.lloyd import _fill_empty, _Members, _unit_rows
from fewlabel.cluster.neighbors import NeighborIndex
from fewlabel.scale.ray import RETRIES, bounds_of, in_one_thread, n_workers

# A worker that holds fewer rows waits more than it works.
_QUERIES = 8_192


def _sharded_neighbors(
    index: NeighborIndex, k: int
) -> Iterator[tuple[slice, tuple[np.ndarray, np.ndarray]]]:
    """Do what `Engine.neighbors` asks for, some rows on each worker: all workers get the index."""
    import ray

    # How many cells a row looks into is measured once, and travels with the index.
    index._neighbors_of(slice(0, 1), k)
    shared, task = ray.put(index), ray.remote(_neighbors_of)
    n_parts = max(n_workers(), -(-len(index) // _QUERIES))
    parts = [slice(start, stop) for start, stop in bounds_of(len(index), n_parts)]
    refs = [task.options(max_retries=RETRIES).remote(shared, part, k) for part in parts]
    for part, ref in zip(parts, refs, strict=True):
        yield part, ray.get(ref)


def _neighbors_of(index: NeighborIndex, part: slice, k: int) -> tuple[np.ndarray, np.ndarray]:
    in_one_thread()
    return index._neighbors_of(part, k)


def _sharded_lloyd(
    X: np.ndarray, centers: np.ndarray, *, max_iter: int, tol: float, spherical: bool
) -> tuple[np.ndarray, np.ndarray, float, int]:
    """Do what `Engine.lloyd` asks for, with the rows shared out among the workers.

    A worker assigns its rows and returns the sums and counts of each cluster in them; these are
    added up in float64, so that the centers are those of one machine up to the last bit or two.
    """
    import ray

    centers = _unit_rows(centers) if spherical else centers
    bounds = bounds_of(len(X), n_workers())
    worker: Any = ray.remote(_Shard)
    shards: list[Any] = [
        worker.options(num_cpus=0.5).remote(X[start:stop], len(centers)) for start, stop in bounds
    ]
    threshold = tol * _mean_variance(X, X.mean(axis=0, dtype=np.float64).astype(np.float32))
    moved, n_iter = np.ones(len(centers), bool), 0
    while n_iter < max_iter:
        n_iter += 1
        found = ray.get([shard.assign.remote(centers, moved) for shard in shards])
        counts = np.sum(found, axis=0)
        if not counts.all():
            _refill(shards, bounds, len(centers))
        before, centers = centers, _merged_means(shards, centers)
        if spherical:
            changed = (centers != before).any(axis=1)
            centers[changed] = _unit_rows(centers[changed])
        moved = (centers != before).any(axis=1)
        shift = float(((centers - before).astype(np.float64) ** 2).sum())
        if not moved.any() or shift <= threshold:
            break
    found = ray.get([shard.finish.remote(centers, moved) for shard in shards])
    labels, inertia = zip(*found, strict=True)
    return centers, np.concatenate(labels), float(sum(inertia)), n_iter


def _merged_means(shards: Sequence[Any], centers: np.ndarray) -> np.ndarray:
    """Return the mean of each cluster over all workers; the old center where it is empty."""
    import ray

    parts = ray.get([shard.sums.remote() for shard in shards])
    sums, counts = (np.sum(part, axis=0) for part in zip(*parts, strict=True))
    means, full = centers.copy(), counts > 0
    means[full] = sums[full] / counts[full, None]
    return means


def _refill(shards: Sequence[Any], bounds: Sequence[tuple[int, int]], n_clusters: int) -> None:
    """Give each empty cluster the row that is farthest from its center, on whichever worker."""
    import ray

    parts = ray.get([shard.state.remote() for shard in shards])
    labels, squared = (np.concatenate(part) for part in zip(*parts, strict=True))
    _fill_empty(labels, squared, n_clusters)
    ray.get(
        [
            shard.take.remote(labels[start:stop], squared[start:stop])
            for shard, (start, stop) in zip(shards, bounds, strict=True)
        ]
    )


class _Shard:
    """A worker with some of the rows."""

    def __init__(self, X: np.ndarray, n_clusters: int) -> None:
        in_one_thread()
        self.X = np.ascontiguousarray(X)
        self.search = _CenterSearch(self.X, n_clusters)
        self.members = _Members(self.X, n_clusters)
        self.labels = np.full(len(X), -1, np.int64)
        self.squared = np.full(len(X), np.inf, np.float32)

    def assign(self, centers: np.ndarray, moved: np.ndarray) -> np.ndarray:
        """Find the nearest centers, and return how many rows each has."""
        self.search.update(self.labels, self.squared, centers, moved)
        return np.bincount(self.labels, minlength=len(centers))

    def sums(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the sums and the counts of the rows of each cluster."""
        self.members.update(self.labels)
        sums = self.members.sums
        return sums, np.bincount(self.labels, minlength=len(sums))

    def state(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the cluster of each row, and its squared distance."""
        return self.labels, self.squared

    def take(self, labels: np.ndarray, squared: np.ndarray) -> None:
        """Take up clusters that were changed elsewhere."""
        self.labels, self.squared = labels.copy(), squared.copy()

    def finish(self, centers: np.ndarray, moved: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the cluster of each row, and the sum of squared distances, at the end."""
        if moved.any():
            self.search.update(self.labels, self.squared, centers, moved)
        self.search.measure(self.labels, self.squared, centers)
        return self.labels, float(self.squared.sum(dtype=np.float64))
