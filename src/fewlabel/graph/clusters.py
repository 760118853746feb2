"""Labels spread within clusters: to the whole cluster, or to its nearest percentile."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from fewlabel.cluster.kmeans import KMeans
from fewlabel.data.targets import _one_hot
from fewlabel.graph.propagation import _Propagation
from fewlabel.params import integer, number


def label_clusters(clusters: np.ndarray, codes: np.ndarray, n_clusters: int) -> np.ndarray:
    """Return the most frequent label of each cluster among its labeled rows.

    Parameters
    ----------
    clusters : ndarray of shape (n,)
        Cluster of each row.
    codes : ndarray of shape (n,)
        Class of each row, -1 where unlabeled.
    n_clusters : int
        Number of clusters.

    Returns
    -------
    ndarray of shape (n_clusters,), dtype int64
        Class of each cluster, the smaller one in a tie; -1 where no row is labeled.

    Examples
    --------
    >>> label_clusters(np.array([0, 0, 1]), np.array([1, -1, -1]), 2).tolist()
    [1, -1]
    """
    votes = np.zeros((n_clusters, max(1, int(codes.max()) + 1)))
    labeled = codes >= 0
    np.add.at(votes, (clusters[labeled], codes[labeled]), 1)
    # argmax takes the first of equals: the smaller class wins a tie, on every machine.
    return np.where(votes.sum(axis=1) > 0, votes.argmax(axis=1), -1)


def spread_to_percentile(
    clusters: np.ndarray, distances: np.ndarray, cluster_labels: np.ndarray, percentile: float
) -> np.ndarray:
    """Assign each cluster's label to the rows nearest to its center.

    Parameters
    ----------
    clusters : ndarray of shape (n,)
        Cluster of each row.
    distances : ndarray of shape (n,)
        Distance of each row to its cluster's center.
    cluster_labels : ndarray of shape (n_clusters,)
        Class of each cluster; -1 for none.
    percentile : float
        Share of each cluster, in percent, in (0, 100]; 100 is the whole cluster. The nearest
        row is always included.

    Returns
    -------
    ndarray of shape (n,), dtype int64
        Class of each row, -1 for none.

    Examples
    --------
    >>> spread_to_percentile(np.zeros(4, int), np.array([3.0, 1, 2, 4]), np.array([7]), 50).tolist()
    [-1, 7, 7, -1]
    """
    order = np.lexsort((distances, clusters))
    sizes = np.bincount(clusters, minlength=len(cluster_labels))
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    position = np.empty(len(clusters), dtype=np.int64)
    position[order] = np.arange(len(order)) - starts[clusters[order]]
    # 100 * 29 / 100 is 28.999… in floating point.
    limit = np.maximum(1, np.floor(sizes * percentile / 100 + 1e-9))
    return np.where(position < limit[clusters], cluster_labels[clusters], -1)


@dataclass(eq=False, repr=False)
class ClusterPropagation(_Propagation):
    """Spread labels within k-means clusters.

    Parameters
    ----------
    n_clusters : int
        Number of clusters; as many as rows where there are fewer rows.
    percentile : float
        Share of each cluster that takes its label, in percent, nearest rows first.
    random_state : int, RandomState or None
        Seed of the clustering.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Classes.
    kmeans_ : KMeans
        The fitted clustering.
    cluster_classes_ : ndarray of shape (n_clusters,)
        Class of each cluster. A cluster without labeled rows has that of the nearest center
        whose cluster has some.
    transduction_ : ndarray of shape (n,)
        Label of each row: as given where given, from its cluster within the percentile, -1
        (or ``"-1"`` among texts) for the others.
    label_distributions_ : ndarray of shape (n, n_classes)
        The same as 0 and 1; zero rows for the others.
    n_features_in_ : int
        Number of features seen in ``fit``.

    Notes
    -----
    A fitted model predicts with the label of the nearest center. Two published studies of
    Fashion-MNIST spread labels so before training a classifier on ``transduction_``.

    Examples
    --------
    >>> X = np.array([[0.0], [0.1], [0.3], [5], [5.1], [5.3]])
    >>> ClusterPropagation(2, random_state=0).fit(X, [0, -1, -1, 1, -1, -1]).transduction_.tolist()
    [0, 0, 0, 1, 1, 1]
    """

    n_clusters: int = 100
    _: KW_ONLY
    percentile: float = 100.0
    random_state: int | np.random.RandomState | None = None

    _parameter_constraints = {
        "n_clusters": [integer(1)],
        "percentile": [number(0, 100, closed="right")],
    }

    def _spread(self, X: np.ndarray, codes: np.ndarray) -> None:
        self.kmeans_ = KMeans(
            min(int(self.n_clusters), len(X)), random_state=self.random_state
        ).fit(X)
        clusters = self.kmeans_.labels_
        centers = self.kmeans_.cluster_centers_
        of_cluster = label_clusters(clusters, codes, len(centers))
        distances = np.linalg.norm(X - centers[clusters], axis=1)
        handed = spread_to_percentile(clusters, distances, of_cluster, float(self.percentile))
        # A label that was given stands, whatever the majority of its cluster is.
        handed = np.where(codes >= 0, codes, handed)
        self.cluster_classes_ = self.classes_[_fill_from_nearest(centers, of_cluster)]
        self.label_distributions_ = _one_hot(handed, len(self.classes_)).astype(np.float64)
        unlabeled = np.asarray("-1" if isinstance(self.classes_[0], str) else -1)
        self.transduction_ = np.where(handed >= 0, self.classes_[handed], unlabeled)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the classes of the nearest centers."""
        X = self._check_new(X)
        return self.cluster_classes_[self.kmeans_.predict(X)]


def _fill_from_nearest(centers: np.ndarray, of_cluster: np.ndarray) -> np.ndarray:
    """Return labels of all clusters; one without takes that of the nearest labeled cluster."""
    known = np.flatnonzero(of_cluster >= 0)
    gaps = np.flatnonzero(of_cluster < 0)
    filled = of_cluster.copy()
    if len(gaps):
        squared = (
            (centers[gaps] ** 2).sum(1)[:, None]
            - 2 * centers[gaps] @ centers[known].T
            + (centers[known] ** 2).sum(1)
        )
        filled[gaps] = of_cluster[known[squared.argmin(axis=1)]]
    return filled
