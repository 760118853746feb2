"""Cross-validation of scikit-learn with rows that are unlabeled: folds and scores of the others."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer
from sklearn.utils import _safe_indexing

from fewlabel.compute import _as_generator
from fewlabel.data.missing import _known_labels
from fewlabel.data.task import task_of
from fewlabel.errors import UsageError
from fewlabel.evaluate import label_folds
from fewlabel.params import check_parameters, integer


class LabeledKFold:
    """Folds over the labeled rows; the unlabeled ones are trained on in every fold.

    `sklearn.model_selection.KFold` would deal unlabeled rows into the folds as well: most of
    a test would then have no label, and part of what a semi-supervised estimator learns from
    would be missing.

    Parameters
    ----------
    n_splits : int
        Number of folds.
    random_state : int, RandomState or None
        Source of the shuffling.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import cross_val_score
    >>> from fewlabel import GraphPropagation
    >>> X, y = load_digits(return_X_y=True)
    >>> y = np.where(np.arange(len(y)) % 9 == 0, y, -1)
    >>> scoring = labeled_scorer("balanced_accuracy")
    >>> scores = cross_val_score(GraphPropagation(), X, y, cv=LabeledKFold(3), scoring=scoring)
    >>> bool(scores.min() > 0.8)
    True
    """

    _parameter_constraints = {"n_splits": [integer(2)], "random_state": ["random_state"]}

    def __init__(self, n_splits: int = 5, *, random_state: Any = 0) -> None:
        self.n_splits = n_splits
        self.random_state = random_state

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X, y, groups : object
            Not used.

        Returns
        -------
        int
            ``n_splits``.
        """
        return self.n_splits

    def split(self, X: Any, y: Any, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows to train on and the labeled rows to test on, fold by fold.

        Parameters
        ----------
        X : array-like
            Not used.
        y : array-like of shape (n,) or (n, K)
            Labels, as the estimators take them.
        groups : array-like of shape (n,), optional
            The same value for rows that belong together, such as copies, or photos of one patient.

        Yields
        ------
        train, test : ndarray of int
            Rows.

        Raises
        ------
        UsageError
            If fewer different rows are labeled than there are folds.
        """
        check_parameters(self)
        codes = _codes(y)
        rng = _as_generator(self.random_state)
        folds = label_folds(task_of(codes), codes, groups, self.n_splits, rng).folds
        if len(folds) < self.n_splits:
            raise UsageError(
                f"{len(folds)} different rows are labeled, too few for {self.n_splits} folds: "
                "lower n_splits, or label more."
            )
        groups = np.arange(len(codes)) if groups is None else np.asarray(groups)
        for _, test in folds:
            # An unlabeled copy of a row of the test would show the estimator what is tested.
            yield np.flatnonzero(~np.isin(groups, groups[test])), test


def labeled_scorer(scoring: str | Callable[..., float] = "accuracy") -> Callable[..., float]:
    """Return a scorer that leaves unlabeled rows out, for the parameter ``scoring``.

    Parameters
    ----------
    scoring : str or callable
        A measure of scikit-learn by its name, or a scorer.

    Returns
    -------
    callable
        ``scorer(estimator, X, y)``; NaN where no row is labeled.
    """
    return _LabeledScorer(get_scorer(scoring))


class _LabeledScorer:
    """A scorer on the rows of which every label is known."""

    def __init__(self, scorer: Callable[..., float]) -> None:
        self.scorer = scorer

    def __call__(self, estimator: Any, X: Any, y: Any) -> float:
        """Score the labeled rows."""
        values, known = _known_labels(y)
        rows = np.flatnonzero(known.reshape(len(known), -1).all(axis=1))
        if not len(rows):
            return float("nan")
        table = np.empty(known.shape, dtype=values.dtype)
        table[known] = values
        return float(self.scorer(estimator, _safe_indexing(X, rows), table[rows]))


def _codes(y: Any) -> np.ndarray:
    """Return labels as numbers, -1 where unlabeled."""
    values, known = _known_labels(y)
    codes = np.full(known.shape, -1, dtype=np.int64)
    codes[known] = np.unique(values, return_inverse=True)[1] if known.ndim == 1 else values
    return codes
