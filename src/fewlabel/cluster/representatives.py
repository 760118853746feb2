"""Which images to label first: representatives of clusters, typical images, or a random draw."""

from __future__ import annotations

import numbers
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from fewlabel.cluster.kmeans import KMeans
from fewlabel.cluster.neighbors import NeighborIndex
from fewlabel.compute import as_generator
from fewlabel.errors import UsageError

METHODS = ("representatives", "medoids", "typiclust", "random")

_N_TYPICAL = 20
_MAX_TYPICLUST = 500
_FEW_CLUSTERS = 200


@dataclass(frozen=True)
class Picks:
    """Rows worth labelling, the most useful first.

    Attributes
    ----------
    indices : ndarray of shape (n_picks,), dtype int64
        Rows.
    cluster_sizes : ndarray of shape (n_picks,), dtype int64
        How many rows each one stands for; 0 for a random draw.
    """

    indices: np.ndarray
    cluster_sizes: np.ndarray


def pick_representatives(
    X: np.ndarray,
    budget: int,
    *,
    method: str = "representatives",
    labeled: np.ndarray | None = None,
    exclude: np.ndarray | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> Picks:
    """Choose which rows to label.

    ``"medoids"`` clusters the directions of the rows by spherical k-means and takes the row
    nearest to each center. ``"representatives"`` weighs two ranks equally, nearness to the
    center and typicality (mean distance to the 20 nearest neighbors), which avoids medoids in
    thin regions between classes. ``"typiclust"`` takes the most typical row of each of the
    largest clusters that hold no label yet, with at most 500 clusters. ``"random"`` draws.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Features, finite.
    budget : int
        How many rows to choose.
    method : {"representatives", "medoids", "typiclust", "random"}
        How to choose.
    labeled : ndarray of int, optional
        Rows that are labelled already: neither they nor their clusters are chosen again.
    exclude : ndarray of int, optional
        Rows that must not be chosen, such as copies of others.
    random_state : int, RandomState or None
        Seed.

    Returns
    -------
    Picks
        Rows and the sizes of their clusters, largest cluster first.

    Raises
    ------
    UsageError
        If the method is unknown, or the budget is below 1 or above the rows to choose from.

    References
    ----------
    Hacohen, Dekel and Weinshall, "Active learning on a budget: opposite strategies suit high
    and low budgets", ICML 2022 (TypiClust).

    Examples
    --------
    >>> X = np.array([[1, 0.1], [1, 0], [1, -0.1], [0, 1], [0.1, 1], [-0.1, 1]], np.float32)
    >>> pick_representatives(X, 2, method="medoids", random_state=0).indices.tolist()
    [1, 3]
    """
    if method not in METHODS:
        raise UsageError(
            f"The selection method must be one of {', '.join(METHODS)}. Got {method!r} instead."
        )
    labeled = np.unique(np.asarray([] if labeled is None else labeled, dtype=np.int64))
    barred = np.zeros(len(X), dtype=bool)
    barred[labeled] = True
    if exclude is not None:
        barred[exclude] = True
    available = int((~barred).sum())
    if not isinstance(budget, numbers.Integral) or not 1 <= budget <= available:
        raise UsageError(
            f"The budget must be between 1 and {available:,}, the images that can still be "
            f"chosen. Got {budget!r} instead."
        )
    rng = as_generator(random_state)
    if method == "random":
        rows = rng.choice(np.flatnonzero(~barred), size=budget, replace=False)
        return Picks(rows, np.zeros(budget, dtype=np.int64))
    clusters, closeness = _cluster(X, int(budget), method, len(labeled), rng)
    score = closeness
    if method != "medoids":
        typical = typicality(X, random_state=int(rng.integers(2**31)))
        score = typical if method == "typiclust" else _ranks(closeness) + _ranks(typical)
    return _best_of_clusters(clusters, score, int(budget), labeled, barred)


def typicality(
    X: np.ndarray, *, n_neighbors: int = _N_TYPICAL, random_state: int | None = 0
) -> np.ndarray:
    """Rate how typical each row is: the inverse of its mean distance to its neighbors.

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
    _, distances = NeighborIndex(X, "cosine", random_state=random_state).graph(k)
    spread = np.sqrt(2 * np.maximum(distances, 0)).mean(axis=1)
    return (1 / (spread + 1e-6)).astype(np.float32)


def _cluster(
    X: np.ndarray, budget: int, method: str, n_labeled: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Cluster directions; return each row's cluster and its cosine with the center."""
    norms = np.linalg.norm(X, axis=1, keepdims=True)
    unit = (X / np.maximum(norms, 1e-12)).astype(np.float32)
    wanted = budget + n_labeled
    if method == "typiclust":
        wanted = min(wanted, _MAX_TYPICLUST)
    n_clusters = min(wanted, len(X))
    kmeans = KMeans(
        n_clusters,
        spherical=True,
        # Few clusters end in different places from start to start, and cost little.
        n_init=5 if n_clusters <= _FEW_CLUSTERS else 1,
        max_iter=50,
        random_state=int(rng.integers(2**31)),
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


def _best_of_clusters(
    clusters: np.ndarray,
    score: np.ndarray,
    budget: int,
    labeled: np.ndarray,
    barred: np.ndarray,
) -> Picks:
    """Take the best rows of each cluster in turn, clusters with fewest labels first."""
    sizes = np.bincount(clusters)
    taken = np.bincount(clusters[labeled], minlength=len(sizes))
    order = np.lexsort((-score, clusters))
    order = order[~barred[order]]
    starts = np.searchsorted(clusters[order], np.arange(len(sizes) + 1))
    # A row's turn: how many labels its cluster holds before it gets one more.
    turn = np.arange(len(order)) - starts[clusters[order]] + taken[clusters[order]]
    chosen = order[np.lexsort((-sizes[clusters[order]], turn))[:budget]]
    return Picks(chosen.astype(np.int64), sizes[clusters[chosen]].astype(np.int64))


class Representatives(ClusterMixin, BaseEstimator):
    """Choose which rows to label, as an estimator.

    Parameters
    ----------
    n_representatives : int
        How many rows to choose; all rows if there are fewer.
    method : {"representatives", "medoids", "typiclust", "random"}
        How to choose; see `pick_representatives`.
    random_state : int, RandomState or None
        Seed.

    Attributes
    ----------
    indices_ : ndarray of shape (n_representatives,)
        Chosen rows, int64, the most useful first.
    cluster_sizes_ : ndarray of shape (n_representatives,)
        How many rows each stands for; 0 for a random draw.
    representatives_ : ndarray of shape (n_representatives, d)
        Their features.
    labels_ : ndarray of shape (n,)
        For each row, the position in ``indices_`` of the nearest chosen row (by cosine).
    n_features_in_ : int
        Number of features seen in ``fit``.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> picked = Representatives(20, random_state=0).fit(X).indices_
    >>> len(set(y[picked].tolist())) >= 9
    True
    """

    def __init__(
        self,
        n_representatives: int = 10,
        *,
        method: str = "representatives",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_representatives = n_representatives
        self.method = method
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Representatives:
        """Choose rows.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Features.
        y : None
            Not used: labels play no part in the choice.

        Returns
        -------
        Representatives
            Itself.

        Raises
        ------
        UsageError
            If a parameter is out of range.
        """
        rows = validate_data(self, X, dtype=np.float32)
        if not isinstance(self.n_representatives, numbers.Integral) or self.n_representatives < 1:
            raise UsageError(
                "The 'n_representatives' parameter of Representatives must be an int of at "
                f"least 1. Got {self.n_representatives!r} instead."
            )
        picks = pick_representatives(
            rows,
            min(int(self.n_representatives), len(rows)),
            method=self.method,
            random_state=self.random_state,
        )
        self.indices_ = picks.indices
        self.cluster_sizes_ = picks.cluster_sizes
        self.representatives_: np.ndarray = rows[self.indices_]
        self.labels_ = self._nearest(rows)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Find the nearest representative of each row.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Features.

        Returns
        -------
        ndarray of shape (n,), dtype int64
            Positions in ``indices_``.
        """
        check_is_fitted(self, "indices_")
        return self._nearest(validate_data(self, X, dtype=np.float32, reset=False))

    def _nearest(self, rows: np.ndarray) -> np.ndarray:
        return NeighborIndex(self.representatives_, "cosine").query(rows, 1)[0][:, 0]
