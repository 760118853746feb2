"""Cluster distances: how far a row lies from the centers of k-means."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from fewlabel.cluster.kmeans import KMeans
from fewlabel.cluster.transformer import Transformer


@dataclass(eq=False, repr=False)
class ClusterDistances(Transformer):
    """Replace features by the Euclidean distances to the centers of k-means.

    With many more clusters than classes, a linear model on distances separates what it cannot
    separate on the features: k-means, which needs no labels, has laid out the landmarks.

    Parameters
    ----------
    n_clusters : int
        Number of clusters, and of new features.
    n_init : int
        Starts of k-means to try.
    max_iter : int
        Most Lloyd iterations of one start.
    spherical : bool
        Scale rows and centers to unit length first: distances then depend on directions alone.
    random_state : int, RandomState or None
        Seed of the first centers.

    Attributes
    ----------
    kmeans_ : KMeans
        The fitted clustering.
    n_iter_ : int
        Lloyd iterations run.
    n_features_in_ : int
        Features seen by `fit`.

    See Also
    --------
    fewlabel.cluster.KMeans : The clustering.

    Examples
    --------
    >>> X = np.array([[0.0, 0], [0, 2], [9, 0], [9, 2]])
    >>> features = ClusterDistances(n_clusters=2, random_state=0).fit_transform(X)
    >>> features.shape, features.min(axis=1).tolist()
    ((4, 2), [1.0, 1.0, 1.0, 1.0])
    """

    n_clusters: int = 100
    _: KW_ONLY
    n_init: int = 1
    max_iter: int = 100
    spherical: bool = False
    random_state: int | np.random.RandomState | None = None

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the centers."""
        X = validate_data(self, X, dtype=np.float32)
        self.kmeans_ = KMeans(
            self.n_clusters,
            n_init=self.n_init,
            max_iter=self.max_iter,
            spherical=self.spherical,
            random_state=self.random_state,
        ).fit(X)
        self.n_iter_ = self.kmeans_.n_iter_
        self._n_features_out = len(self.kmeans_.cluster_centers_)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Measure the Euclidean distances to all centers."""
        check_is_fitted(self)
        return self.kmeans_.transform(validate_data(self, X, reset=False, dtype=np.float32))
