"""Scores of one spreading solve, kept apart by fold: predictions from any of the folds."""

from dataclasses import dataclass

import numpy as np

from fewlabel.data.task import Task


@dataclass(eq=False)
class _LabelScores:
    """Scores at the labeled images only; spreading is linear, so any folds can be added up.

    Each column of ``scores`` (n_labeled, m) is a pair of ``pairs`` (m, 2): a fold, and a column of
    `Task.seeds`; ``mass`` (m,) sums it over all images.
    """

    task: Task
    scores: np.ndarray
    mass: np.ndarray
    pairs: np.ndarray
    n_columns: int
    y: np.ndarray
    fold_of: np.ndarray
    n_classes: int
    usual: np.ndarray | None = None

    def predict(self, rows: np.ndarray, train: np.ndarray, class_prior: str) -> np.ndarray:
        """Return probabilities (r, K) of some labeled images from the labels of some folds."""
        columns = self.columns(train)
        return self.task.normalize(
            self.scores[rows] @ columns,
            self.mass @ columns,
            self.usual,
            self.prior(train, class_prior),
        )

    def columns(self, train: np.ndarray) -> np.ndarray:
        """Return which columns (m, C) add up to the scores from some folds, 0 and 1."""
        # Spreading is linear: the scores from some folds are the sum of their columns.
        columns = np.zeros((len(self.pairs), self.n_columns), dtype=np.float32)
        used = np.isin(self.pairs[:, 0], train)
        columns[np.flatnonzero(used), self.pairs[used, 1]] = 1
        return columns

    def prior(self, train: np.ndarray, class_prior: str) -> np.ndarray:
        """Return how frequent each class is (K,), from the labels of some folds."""
        used = self.y[np.isin(self.fold_of, train)]
        return self.task.prior(used, self.n_classes, class_prior)


@dataclass(eq=False)
class _FoldScores:
    """Scores of one solve (r, m) at ``rows``, all or a sample, and their sum (n, C) over the folds.

    ``scores`` is None where nobody needs them; without ``total`` they are those of all images.
    """

    at_labels: _LabelScores
    scores: np.ndarray | None
    total: np.ndarray | None
    rows: np.ndarray | slice

    def __post_init__(self) -> None:
        self._folds = np.unique(self.at_labels.fold_of)
        self.at_labels.usual = self.at_labels.task.usual(self._total)

    def full(self, class_prior: str) -> np.ndarray:
        """Return the probabilities (n, K) of all images from all labels."""
        return self._normalized(self._total(), self._folds, class_prior)

    def without(self, fold: int, class_prior: str) -> np.ndarray:
        """Return the probabilities (r, K) of ``rows`` from the labels outside one fold."""
        return self.from_folds(self.others(fold), class_prior)

    def from_folds(self, train: np.ndarray, class_prior: str) -> np.ndarray:
        """Return the probabilities (r, K) of ``rows`` from the labels of some folds."""
        return self._normalized(self._sum(train), train, class_prior)

    def others(self, fold: int) -> np.ndarray:
        """Return all folds but one."""
        return self._folds[self._folds != fold]

    def summed(self, train: np.ndarray | None = None) -> np.ndarray | None:
        """Return the scores (n, C) from all folds, or some; None where rows are a sample."""
        whole = isinstance(self.rows, slice) and self.scores is not None
        return self._sum(self._folds if train is None else train) if whole else None

    def cross_fitted(self, class_prior: str) -> np.ndarray:
        """Return the probabilities of each labeled image from the labels of the other folds."""
        at_labels = self.at_labels
        out = np.empty((len(at_labels.fold_of), at_labels.n_classes))
        for number in self._folds:
            # At the labeled rows only: of all rows it would take a product for each fold.
            held = np.flatnonzero(at_labels.fold_of == number)
            out[held] = at_labels.predict(held, self.others(number), class_prior)
        return out

    def _normalized(self, scores: np.ndarray, train: np.ndarray, class_prior: str) -> np.ndarray:
        at_labels = self.at_labels
        # Of a sample, the sum over all images is known all the same.
        mass = at_labels.mass @ at_labels.columns(train)
        if self.total is None:
            mass = scores.sum(axis=0, dtype=np.float64)
        prior = at_labels.prior(train, class_prior)
        return at_labels.task.normalize(scores, mass, at_labels.usual, prior)

    def _total(self) -> np.ndarray:
        return self._sum(self._folds) if self.total is None else self.total

    def _sum(self, train: np.ndarray) -> np.ndarray:
        assert self.scores is not None
        return np.asarray(self.scores @ self.at_labels.columns(train))
