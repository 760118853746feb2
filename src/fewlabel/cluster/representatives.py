"""Which rows to label first, as a function and as an estimator."""

import numbers
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from fewlabel.cluster.neighbors import NeighborIndex
from fewlabel.cluster.strategies import Picks, Pool, find_strategy
from fewlabel.compute import _as_generator
from fewlabel.errors import UsageError
from fewlabel.params import check_parameters, integer


def _pick_representatives(
    X: np.ndarray,
    budget: int,
    *,
    method: str = "representatives",
    labeled: np.ndarray | None = None,
    exclude: np.ndarray | None = None,
    n_random: int = 0,
    uncertainty: np.ndarray | None = None,
    distances: np.ndarray | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> Picks:
    """Choose rows to label by a strategy; none in ``exclude``, or of a cluster of ``labeled``."""
    strategy = find_strategy(method)
    # A label that is given twice counts once.
    labeled = np.unique(np.asarray([] if labeled is None else labeled, dtype=np.int64))
    available = np.ones(len(X), dtype=bool)
    available[labeled] = False
    if exclude is not None:
        available[exclude] = False
    n_available = int(available.sum())
    if not isinstance(budget, numbers.Integral) or not 1 <= budget <= n_available:
        raise UsageError(
            f"The budget must be between 1 and {n_available:,}, the images that can still be "
            f"chosen. Got {budget!r} instead."
        )
    rng = _as_generator(random_state)
    more = min(n_random, budget), uncertainty, distances
    return strategy.choose(Pool(X, int(budget), labeled, available, rng, *more))


@dataclass(eq=False, repr=False)
class Representatives(ClusterMixin, BaseEstimator):
    """Choose which rows to label, as an estimator.

    Parameters
    ----------
    n_representatives : int
        How many rows to choose; all rows if there are fewer.
    method : str
        A selection strategy; see `fewlabel.cluster.strategies`.
    random_state : int, RandomState or None
        Seed.

    Attributes
    ----------
    indices_ : ndarray of shape (n_representatives,)
        Chosen rows, int64, the most useful first.
    cluster_sizes_ : ndarray of shape (n_representatives,)
        How many rows each represents; 0 for a random draw.
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

    n_representatives: int = 10
    _: KW_ONLY
    method: str = "representatives"
    random_state: int | np.random.RandomState | None = None

    _parameter_constraints: ClassVar[dict] = {"n_representatives": [integer(1)]}

    def fit(self, X: Any, y: Any = None) -> Self:
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
        check_parameters(self)
        rows = validate_data(self, X, dtype=np.float32)
        picks = _pick_representatives(
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
