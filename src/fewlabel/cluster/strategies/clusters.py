"""Strategies that cluster the rows, and choose the best row of each cluster."""

from __future__ import annotations

import warnings

import numpy as np

from fewlabel.cluster.strategies import Picks, Pool, register_strategy

# As in TypiClust (Hacohen et al. 2022): more clusters than 500 are too small to have a density.
_N_TYPICAL = 20
_MAX_TYPICLUST = 500
_FEW_CLUSTERS = 200


@register_strategy("representatives")
def _representatives(pool: Pool) -> Picks:
    """Take typical images near the centers of clusters: not those in between classes."""
    clusters, closeness = _cluster(pool, pool.budget + len(pool.labeled))
    return _best_of_clusters(pool, clusters, _ranks(closeness) + _ranks(_typicality(pool)))


@register_strategy("medoids")
def _medoids(pool: Pool) -> Picks:
    """Take the image nearest to the center of each cluster."""
    return _best_of_clusters(pool, *_cluster(pool, pool.budget + len(pool.labeled)))


@register_strategy("typiclust")
def _typiclust(pool: Pool) -> Picks:
    """Take the most typical image of each of at most 500 clusters."""
    clusters, _ = _cluster(pool, min(pool.budget + len(pool.labeled), _MAX_TYPICLUST))
    return _best_of_clusters(pool, clusters, _typicality(pool))


def typicality(
    X: np.ndarray, *, n_neighbors: int = _N_TYPICAL, random_state: int | None = 0
) -> np.ndarray:
    """Compute how typical each row is: the inverse of its mean distance to its neighbors.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Features.
    n_neighbors : int
        Neighbors to average over; fewer where there are fewer rows.
    random_state : int, optional
        Seed of the neighbor search.

    Returns
    -------
    ndarray of shape (n,), dtype float32
        Typicality, higher in dense regions.

    Examples
    --------
    >>> X = np.array([[1, 0], [1, 0.01], [1, 0.02], [0, 1]], np.float32)
    >>> int(typicality(X, n_neighbors=2).argmin())
    3
    """
    k = min(n_neighbors, len(X) - 1)
    if k < 1:
        return np.ones(len(X), dtype=np.float32)
    from fewlabel.cluster.neighbors import NeighborIndex

    _, distances = NeighborIndex(X, "cosine", random_state=random_state).graph(k)
    # The Euclidean distance of unit vectors, from their cosine distance.
    spread = np.sqrt(2 * np.maximum(distances, 0)).mean(axis=1)
    return (1 / (spread + 1e-6)).astype(np.float32)


def _typicality(pool: Pool) -> np.ndarray:
    return typicality(pool.rows, random_state=int(pool.rng.integers(2**31)))


def _cluster(pool: Pool, n_clusters: int) -> tuple[np.ndarray, np.ndarray]:
    """Cluster directions; return each row's cluster and its cosine with the center."""
    # Imported late: `fewlabel select --help` lists the strategies without loading torch.
    from sklearn.exceptions import ConvergenceWarning

    from fewlabel.cluster.kmeans import KMeans

    norms = np.linalg.norm(pool.rows, axis=1, keepdims=True)
    unit = (pool.rows / np.maximum(norms, 1e-12)).astype(np.float32)
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
        kmeans.fit(unit)
    closeness = np.einsum("ij,ij->i", unit, kmeans.cluster_centers_[kmeans.labels_])
    return kmeans.labels_, closeness


def _ranks(values: np.ndarray) -> np.ndarray:
    ranks = np.empty(len(values))
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
    return ranks


def _best_of_clusters(pool: Pool, clusters: np.ndarray, score: np.ndarray) -> Picks:
    """Take the best rows of each cluster in turn, clusters with fewest labels first."""
    sizes = np.bincount(clusters)
    taken = np.bincount(clusters[pool.labeled], minlength=len(sizes))
    order = np.lexsort((-score, clusters))
    order = order[pool.available[order]]
    starts = np.searchsorted(clusters[order], np.arange(len(sizes) + 1))
    # A row's turn: how many labels its cluster holds before it gets one more.
    turn = np.arange(len(order)) - starts[clusters[order]] + taken[clusters[order]]
    chosen = order[np.lexsort((-sizes[clusters[order]], turn))[: pool.budget]]
    return Picks(chosen.astype(np.int64), sizes[clusters[chosen]].astype(np.int64))
