"""k-means as a scikit-learn estimator, and starting centers that data of any size can pay for."""

import warnings
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClusterMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from fewlabel.cluster.assignment import _CenterSearch
from fewlabel.cluster.lloyd import _check_n_clusters, _lloyd, _unit_rows
from fewlabel.cluster.transformer import Transformer
from fewlabel.compute import _as_generator
from fewlabel.errors import UsageError
from fewlabel.params import check_parameters, choice, integer, number

_SAMPLE_PER_CLUSTER = 12
_SAMPLE_AT_LEAST = 20_000
_SKETCH_FEATURES = 64


@dataclass(eq=False, repr=False)
class KMeans(ClusterMixin, Transformer):
    """k-means clustering with exact float32 assignments, made for thousands of clusters.

    Parameters
    ----------
    n_clusters : int
        Number of clusters.
    init : {"k-means++", "random"} or ndarray of shape (n_clusters, d)
        How to choose the first centers, or the centers themselves.
    n_init : int
        Starts to try; the one with the lowest inertia is kept. An array of centers is started
        from once.
    max_iter : int
        Most Lloyd iterations of one start.
    tol : float
        Stop when the squared moves of all centers sum to at most ``tol`` times the mean
        variance of a feature.
    spherical : bool
        Cluster directions: rows and centers are scaled to unit length. A row of zeros has no
        direction and stays at the origin.
    random_state : int, RandomState or None
        Seed of the first centers.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_clusters, d)
        Centers, float32.
    labels_ : ndarray of shape (n,)
        Cluster of each training row, int64.
    inertia_ : float
        Sum of squared distances to the nearest center.
    n_iter_ : int
        Iterations run.
    n_features_in_ : int
        Features seen by `fit`.

    Examples
    --------
    >>> X = np.array([[0.0, 0], [0, 1], [9, 9], [9, 8]])
    >>> model = KMeans(n_clusters=2, random_state=0).fit(X)
    >>> bool(model.labels_[0] == model.labels_[1] != model.labels_[2])
    True
    """

    n_clusters: int = 8
    _: KW_ONLY
    init: str | np.ndarray = "k-means++"
    n_init: int = 1
    max_iter: int = 100
    tol: float = 1e-4
    spherical: bool = False
    random_state: int | np.random.RandomState | None = None

    _parameter_constraints: ClassVar[dict] = {
        "n_clusters": [integer(1)],
        "init": [choice(("k-means++", "random")), "array-like"],
        "n_init": [integer(1)],
        "max_iter": [integer(1)],
        "tol": [number(0)],
        "spherical": ["boolean"],
    }

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the clusters; raise if there are fewer rows than clusters."""
        check_parameters(self)
        if not isinstance(self.init, str) and len(self.init) != self.n_clusters:
            raise UsageError(
                f"The 'init' parameter of KMeans must have n_clusters={self.n_clusters} rows. "
                f"Got {len(self.init)} instead."
            )
        X = self._rows(X, reset=True)
        _check_n_clusters(len(X), self.n_clusters)
        rng = _as_generator(self.random_state)
        best = None
        settings: dict[str, Any] = {k: getattr(self, k) for k in ("max_iter", "tol", "spherical")}
        # From given centers every start would end alike.
        for _ in range(self.n_init if isinstance(self.init, str) else 1):
            result = _lloyd(X, self._first_centers(X, rng), **settings)
            if best is None or result[2] < best[2]:
                best = result
        assert best is not None
        self.cluster_centers_, self.labels_, self.inertia_, self.n_iter_ = best
        self._n_features_out = len(self.cluster_centers_)
        self._warn_of_empty()
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the nearest cluster of each row.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.

        Returns
        -------
        ndarray of shape (n,)
            Index of the nearest center, int64.
        """
        check_is_fitted(self)
        X = self._rows(X, reset=False)
        return _CenterSearch(X, len(self.cluster_centers_)).nearest(self.cluster_centers_)[0]

    def transform(self, X: Any) -> np.ndarray:
        """Measure the Euclidean distances to all centers, of unit rows with ``spherical``."""
        check_is_fitted(self)
        X = self._rows(X, reset=False)
        centers = self.cluster_centers_
        # Near the origin the difference of products below loses fewer digits.
        offset = centers.mean(axis=0)
        centers = centers - offset
        distances = np.empty((len(X), len(centers)), dtype=np.float32)
        for start in range(0, len(X), 4096):
            rows = X[start : start + 4096] - offset
            block = rows @ centers.T
            block *= -2
            block += np.einsum("ij,ij->i", rows, rows)[:, None]
            block += np.einsum("ij,ij->i", centers, centers)
            np.sqrt(np.maximum(block, 0, out=block), out=distances[start : start + 4096])
        return distances

    def _rows(self, X: Any, *, reset: bool) -> np.ndarray:
        X = validate_data(self, X, reset=reset, dtype=np.float32, order="C", accept_sparse=False)
        return _unit_rows(X) if self.spherical else X

    def _first_centers(self, X: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if not isinstance(self.init, str):
            return np.asarray(self.init, dtype=np.float32)
        if self.init == "random":
            return X[rng.choice(len(X), self.n_clusters, replace=False)]
        return X[_kmeans_plus_plus(X, self.n_clusters, rng)]

    def _warn_of_empty(self) -> None:
        n_used = len(np.unique(self.labels_))
        if n_used < self.n_clusters:
            warnings.warn(
                f"Only {n_used} of {self.n_clusters} clusters have members: X has too few "
                "different rows. Ask for fewer clusters.",
                ConvergenceWarning,
                stacklevel=3,
            )


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
