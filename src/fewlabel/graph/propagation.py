"""Label propagation over a nearest-neighbor graph, as a scikit-learn estimator."""

from abc import abstractmethod
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from scipy.sparse.csgraph import connected_components
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from fewlabel.cluster.neighbors import NeighborIndex
from fewlabel.data.scores import LabelClassifier, ScoreOfLabeled
from fewlabel.data.targets import _one_hot
from fewlabel.data.task import SingleLabel
from fewlabel.graph.neighbor_graph import (
    _affinity_graph,
    _class_mass_normalize,
    _normalize_graph,
    poisson,
    spread,
)
from fewlabel.params import check_parameters, choice, integer, number

METHODS = ("spreading", "poisson")
CLASS_PRIORS = SingleLabel.class_priors


class _Propagation(ScoreOfLabeled, ClassifierMixin, BaseEstimator):
    """What both estimators share: rows and labels are checked, then ``_spread`` over."""

    def fit(self, X: Any, y: Any) -> Self:
        """Spread the labels over all rows.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Features of labeled and unlabeled rows.
        y : array-like of shape (n,)
            Labels; -1, None, NaN, pandas.NA or blank where unlabeled.

        Returns
        -------
        self
            Itself.

        Raises
        ------
        UsageError
            If a parameter is out of range, or no row is labeled.
        """
        check_parameters(self)
        X = validate_data(self, X, dtype=np.float32)
        self.task_ = SingleLabel()
        self.classes_, codes = self.task_.encode(y, len(X), type(self).__name__)
        self._spread(X, codes)
        return self

    def _check_new(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "label_distributions_")
        return validate_data(self, X, dtype=np.float32, reset=False)

    @abstractmethod
    def _spread(self, X: np.ndarray, codes: np.ndarray) -> None: ...


@dataclass(eq=False, repr=False)
class GraphPropagation(_Propagation, LabelClassifier):
    """Spread labels over the k-nearest-neighbor graph of all rows.

    Parameters
    ----------
    n_neighbors : int
        Neighbors of each row in the graph; fewer where there are fewer rows.
    alpha : float
        How much a row takes from its neighbors, in (0, 1). Few labels want it near 1.
    method : {"spreading", "poisson"}
        Label spreading (Zhou et al. 2003), or Poisson learning (Calder et al. 2020) for very
        few labels.
    class_prior : {"uniform", "labels"}
        The shares of the classes that class-mass normalization aims at: equal, or those among
        the labels.
    metric : {"cosine", "euclidean"}
        Distance between rows.
    random_state : int, RandomState or None
        Seed of the neighbor search.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Classes.
    label_distributions_ : ndarray of shape (n, n_classes)
        Class probabilities of the rows seen in ``fit``.
    transduction_ : ndarray of shape (n,)
        Their most probable classes.
    unreached_ : ndarray of shape (n,)
        True for rows that no label reached; they hold the class prior.
    n_features_in_ : int
        Number of features seen in ``fit``.

    References
    ----------
    Zhou et al., "Learning with local and global consistency", NIPS 2003; Zhu et al., ICML 2003
    (class-mass normalization); Calder et al., "Poisson learning", ICML 2020.

    Examples
    --------
    >>> X = np.array([[1, 0.0], [1, 0.1], [0.9, 0], [0, 1], [0.1, 1], [0, 0.9]])
    >>> model = GraphPropagation(2).fit(X, [0, -1, -1, 1, -1, -1])
    >>> model.transduction_.tolist()
    [0, 0, 0, 1, 1, 1]
    """

    n_neighbors: int = 10
    _: KW_ONLY
    alpha: float = 0.95
    method: str = "spreading"
    class_prior: str = "uniform"
    metric: str = "cosine"
    random_state: int | np.random.RandomState | None = None

    _parameter_constraints = {
        "n_neighbors": [integer(1)],
        "alpha": [number(0, 1, closed="neither")],
        "method": [choice(METHODS)],
        "class_prior": [choice(CLASS_PRIORS)],
    }

    def _spread(self, X: np.ndarray, codes: np.ndarray) -> None:
        self._index = NeighborIndex(X, self.metric, random_state=self.random_state)
        seeds = _one_hot(codes, len(self.classes_))
        k = min(self.n_neighbors, len(X) - 1)
        # A single row has no neighbors, and so no graph.
        scores, part = seeds, np.arange(len(X))
        if k >= 1:
            graph = _affinity_graph(*self._euclidean(self._index.graph(k)))
            scores, part = self._scores(graph, seeds), connected_components(graph)[1]
        prior = SingleLabel().prior(codes, len(self.classes_), self.class_prior)
        self.unreached_ = ~np.isin(part, part[codes >= 0])
        self.label_distributions_ = _class_mass_normalize(scores, prior)
        self.transduction_ = self.classes_[self.label_distributions_.argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Average the probabilities of each row's neighbors, nearer ones weighing more."""
        X = self._check_new(X)
        k = min(self.n_neighbors, len(self.label_distributions_))
        indices, distances = self._euclidean(self._index.query(X, k))
        return _neighbor_average(indices, distances, self.label_distributions_)

    def _scores(self, graph: Any, seeds: np.ndarray) -> np.ndarray:
        if self.method == "spreading":
            return spread(_normalize_graph(graph), seeds, self.alpha)
        u = poisson(graph, seeds)
        # Scores become masses: how far each class stands above the least of the row.
        return u - u.min(axis=1, keepdims=True)

    def _euclidean(self, found: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        indices, distances = found
        return indices, _chord(distances) if self.metric == "cosine" else distances


def _chord(cosine_distance: np.ndarray) -> np.ndarray:
    """Return the Euclidean distance of unit vectors from their cosine distance."""
    return np.sqrt(2 * np.maximum(cosine_distance, 0))


def _neighbor_average(
    indices: np.ndarray, distances: np.ndarray, probabilities: np.ndarray
) -> np.ndarray:
    """Return neighbors' class probabilities, averaged with the Gaussian weights of the graph."""
    average = _weighted_average(indices, distances, probabilities)
    return average / average.sum(axis=1, keepdims=True)


def _weighted_average(
    indices: np.ndarray, distances: np.ndarray, probabilities: np.ndarray
) -> np.ndarray:
    """Return what `_neighbor_average` does, before rows are divided by their sums."""
    # The weights of the graph, so that a new row is met as one of its rows.
    scale = np.maximum(distances.max(axis=1, keepdims=True), 1e-12)
    weights = np.exp(-4 * (distances / scale) ** 2).astype(np.float64)
    weights /= weights.sum(axis=1, keepdims=True)
    average = np.zeros((len(indices), probabilities.shape[1]))
    # One neighbor at a time: all at once would hold m * k * K numbers.
    for column in range(indices.shape[1]):
        average += weights[:, column, None] * probabilities[indices[:, column]]
    return average
