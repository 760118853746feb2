"""Strategies that cluster the rows, and choose the best row of each cluster."""

import warnings
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from fewlabel.cluster.strategies import Picks, Pool, register_strategy
from fewlabel.compute import _as_generator

# As in TypiClust (Hacohen et al. 2022): more clusters than 500 are too small to have a density.
_N_TYPICAL = 20
_MAX_TYPICLUST = 500
_FEW_CLUSTERS = 200
# The last directions tell images apart, and not classes; those of many features say more.
_MIN_LEADING, _LEADING_FRACTION = 64, 0.25
_BLOCK_ROWS = 65_536
# Of more rows, a sample is clustered, and the others are assigned: so many, or for each cluster.
_CLUSTERED, _CLUSTERED_EACH = 200_000, 50


@register_strategy("representatives")
def _representatives(pool: Pool) -> Picks:
    """Take typical images near the centers of clusters: not those in between classes."""
    pool = replace(pool, rows=_leading(pool.rows))
    found = _cluster(pool, pool.budget + len(pool.labeled))
    return _best_of_clusters(pool, found, _ranks(found.closeness) + _ranks(_pool_typicality(pool)))


@register_strategy("medoids")
def _medoids(pool: Pool) -> Picks:
    """Take the image nearest to the center of each cluster."""
    found = _cluster(pool, pool.budget + len(pool.labeled))
    return _best_of_clusters(pool, found, found.closeness)


@register_strategy("typiclust")
def _typiclust(pool: Pool) -> Picks:
    """Take the most typical image of each of at most 500 clusters."""
    found = _cluster(pool, min(pool.budget + len(pool.labeled), _MAX_TYPICLUST))
    return _best_of_clusters(pool, found, _pool_typicality(replace(pool, distances=None)))


def _typicality(
    X: np.ndarray, *, n_neighbors: int = _N_TYPICAL, random_state: int | None = 0
) -> np.ndarray:
    """Return how typical each row is (n,): the inverse of its mean distance to its neighbors."""
    k = min(n_neighbors, len(X) - 1)
    if k < 1:
        return np.ones(len(X), dtype=np.float32)
    from fewlabel.cluster.neighbors import NeighborIndex

    _, distances = NeighborIndex(X, "cosine", random_state=random_state).graph(k)
    return _typical(distances)


def _typical(distances: np.ndarray) -> np.ndarray:
    """Return typicality, given the cosine distances to the nearest neighbors."""
    # The Euclidean distance of unit vectors, from their cosine distance.
    spread = np.sqrt(2 * np.maximum(distances, 0)).mean(axis=1)
    return (1 / (spread + 1e-6)).astype(np.float32)


def _leading(rows: np.ndarray) -> np.ndarray:
    """Return rows along the directions in which most of their length lies."""
    n_leading = max(_MIN_LEADING, int(_LEADING_FRACTION * rows.shape[1]))
    if rows.shape[1] <= n_leading:
        return rows
    from fewlabel.cluster.lloyd import _unit_rows

    # Rows that are mapped from a file are not held all at once.
    blocks = [slice(at, at + _BLOCK_ROWS) for at in range(0, len(rows), _BLOCK_ROWS)]
    gram = np.zeros((rows.shape[1], rows.shape[1]), np.float32)
    for block in blocks:
        unit = _unit_rows(np.asarray(rows[block], np.float32))
        gram += unit.T @ unit
    _, vectors = np.linalg.eigh(gram.astype(np.float64))
    leading = np.empty((len(rows), n_leading), np.float32)
    for block in blocks:
        unit = _unit_rows(np.asarray(rows[block], np.float32))
        np.matmul(unit, vectors[:, -n_leading:].astype(np.float32), out=leading[block])
    return leading


def _pool_typicality(pool: Pool) -> np.ndarray:
    seed = int(pool.rng.integers(2**31))
    known = pool.distances
    return _typicality(pool.rows, random_state=seed) if known is None else _typical(known)


def _leading_neighbors(rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Search the neighbors by whose distances `representatives` knows what is typical."""
    from fewlabel.cluster.neighbors import nearest_neighbors

    rng = _as_generator(seed)
    rng.integers(2**31)  # The seed of the clusters.
    k, seed = min(_N_TYPICAL, len(rows) - 1), int(rng.integers(2**31))
    return nearest_neighbors(_leading(rows), k, random_state=seed)


class _Clusters(NamedTuple):
    """The cluster of each row (n,), its cosine with the center (n,), and the centers (K, d)."""

    number: np.ndarray
    closeness: np.ndarray
    centers: np.ndarray


def _cluster(pool: Pool, n_clusters: int) -> _Clusters:
    """Cluster the directions of rows."""
    # Imported late: `fewlabel select --help` lists the strategies without loading torch.
    from sklearn.exceptions import ConvergenceWarning

    from fewlabel.cluster.kmeans import KMeans
    from fewlabel.cluster.lloyd import _unit_rows

    unit = _unit_rows(np.asarray(pool.rows, np.float32))
    n_clusters = min(n_clusters, len(unit))
    kmeans = KMeans(
        n_clusters,
        spherical=True,
        # Few clusters end in different places from start to start, and cost little.
        n_init=5 if n_clusters <= _FEW_CLUSTERS else 1,
        max_iter=50,
        random_state=int(pool.rng.integers(2**31)),
    )
    with warnings.catch_warnings():
        # Fewer different rows than clusters: some clusters then give several rows.
        warnings.simplefilter("ignore", ConvergenceWarning)
        size = max(_CLUSTERED, _CLUSTERED_EACH * n_clusters)
        if size >= len(unit):
            number = kmeans.fit(unit).labels_
        else:
            kmeans.fit(unit[np.sort(pool.rng.choice(len(unit), size, replace=False))])
            number = _assigned(kmeans, unit)
    closeness = np.empty(len(unit), np.float32)
    for at in range(0, len(unit), _BLOCK_ROWS):
        block = slice(at, at + _BLOCK_ROWS)
        centers = kmeans.cluster_centers_[number[block]]
        np.einsum("ij,ij->i", unit[block], centers, out=closeness[block])
    return _Clusters(number, closeness, kmeans.cluster_centers_)


def _assigned(kmeans: Any, rows: np.ndarray) -> np.ndarray:
    """Return the nearest cluster of each row, block by block."""
    starts = range(0, len(rows), _BLOCK_ROWS)
    return np.concatenate([kmeans.predict(rows[at : at + _BLOCK_ROWS]) for at in starts])


def _ranks(values: np.ndarray) -> np.ndarray:
    ranks = np.empty(len(values))
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
    return ranks


def _best_of_clusters(pool: Pool, found: _Clusters, score: np.ndarray) -> Picks:
    """Take the best rows of each cluster in turn, clusters with fewest labels first."""
    drawn, clusters = _systematic_sample(pool, found), found.number
    sizes = np.bincount(clusters)
    taken = np.bincount(clusters[np.concatenate([pool.labeled, drawn])], minlength=len(sizes))
    order = np.lexsort((-score, clusters))
    order = order[pool.available[order] & ~np.isin(order, drawn)]
    starts = np.searchsorted(clusters[order], np.arange(len(sizes) + 1))
    # A row's turn: how many labels its cluster holds before it gets one more.
    turn = np.arange(len(order)) - starts[clusters[order]] + taken[clusters[order]]
    n_best = pool.budget - len(drawn)
    best = order[np.lexsort((-sizes[clusters[order]], turn))[:n_best]].astype(np.int64)
    represented = np.concatenate([sizes[clusters[best]], np.zeros(len(drawn), np.int64)])
    return Picks(np.concatenate([best, drawn]), represented, len(drawn))


def _systematic_sample(pool: Pool, found: _Clusters) -> np.ndarray:
    """Draw rows at random, each with the same probability, at equal steps through the clusters."""
    if not pool.n_random:
        return np.array([], np.int64)
    centers = found.centers - found.centers.mean(axis=0)
    place = np.linalg.svd(centers, full_matrices=False)[0][found.number, 0]
    rows = np.flatnonzero(pool.available)
    rows = rows[np.lexsort((-found.closeness[rows], found.number[rows], place[rows]))]
    steps = (np.arange(pool.n_random) + pool.rng.random()) / pool.n_random
    # Shuffled: whoever labels a part of them has a random sample, too.
    return pool.rng.permutation(rows[(steps * len(rows)).astype(np.int64)])
