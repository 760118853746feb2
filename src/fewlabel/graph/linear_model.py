"""Logistic regression on features: the supervised baseline, and that on propagated labels."""

import warnings
from dataclasses import dataclass
from functools import singledispatch

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.utils import gen_batches

from fewlabel.compute import _threads_for
from fewlabel.data.logistic import _fit_labels
from fewlabel.data.task import SingleLabel, Task
from fewlabel.reading import _release_mapped

_MAX_ITER = 200
_BLOCK_ROWS = 65_536

PENALTIES = (0.1, 1.0, 10.0)
"""Inverse strengths C that cross-fitting chooses between."""


@dataclass(eq=False)
class LinearModel:
    """Logistic regression on rows scaled to unit length.

    Parameters
    ----------
    coef : ndarray of shape (d, K)
        Weights, float32.
    intercept : ndarray of shape (K,)
        Offsets, float32; a class without rows has that of probability 0.
    task : Task
        What it predicts.
    """

    coef: np.ndarray
    intercept: np.ndarray
    task: Task

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return uncalibrated probabilities.

        Parameters
        ----------
        X : ndarray of shape (m, d)
            Features.

        Returns
        -------
        ndarray of shape (m, K)
            Probabilities, float64.
        """
        proba = np.empty((len(X), self.coef.shape[1]))
        # Rows that are mapped from a file are not held all at once.
        for part in gen_batches(len(X), _BLOCK_ROWS):
            scores = (_unit_rows(X[part]) @ self.coef).astype(np.float64) + self.intercept
            proba[part] = self.task.activate(scores)
            _release_mapped(X)
        return proba


@dataclass(eq=False)
class _SoftmaxRows:
    """Rows of one class each, for a multinomial regression by scikit-learn."""

    task: Task
    X: np.ndarray
    y: np.ndarray
    n_classes: int

    def __post_init__(self) -> None:
        self.rows = _unit_rows(self.X)

    def fit(
        self, chosen: np.ndarray, C: float, sample_weight: np.ndarray | None = None
    ) -> LinearModel:
        """Train on some of the rows, with an L2 penalty of inverse strength C."""
        rows, y = self.rows[chosen], self.y[chosen]
        present = np.unique(y)
        # A class without rows has probability 0, where scikit-learn would not know of it.
        coef = np.zeros((rows.shape[1], self.n_classes), dtype=np.float32)
        intercept = np.full(self.n_classes, -np.inf, dtype=np.float32)
        if len(present) == 1:
            intercept[present] = 0
            return LinearModel(coef, intercept, self.task)
        model = LogisticRegression(C=C, max_iter=_MAX_ITER, tol=1e-3)
        # A gradient takes two products of m × d × K.
        with _threads_for(4.0 * rows.size * len(present)), warnings.catch_warnings():
            # A penalized model that stopped a little early predicts the same.
            warnings.simplefilter("ignore", ConvergenceWarning)
            # Few labels of many classes are the point, and no sign of a regression.
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
            model.fit(rows, y, sample_weight=sample_weight)
        if len(present) == 2:
            coef[:, present[1]] = model.coef_[0]
            intercept[present] = 0, model.intercept_[0]
        else:
            coef[:, present] = model.coef_.T
            intercept[present] = model.intercept_
        return LinearModel(coef, intercept, self.task)

    def predict_held(self, chosen: np.ndarray, held: np.ndarray, C: float) -> np.ndarray:
        """Train on some of the rows, and return the probabilities (h, K) of others."""
        return self.fit(chosen, C).predict_proba(self.X[held])


class _SigmoidRows:
    """Rows of several labels, for one regression a label; unknown entries count nothing."""

    def __init__(self, task: Task, X: np.ndarray, y: np.ndarray, n_classes: int) -> None:
        self.task = task
        rows = _unit_rows(X).astype(np.float64)
        self.turn: np.ndarray | None = None
        # The weights of a penalized regression lie in the span of its rows: turned so, features of
        # thousands of columns take a few hundred, whatever the penalty and the part of the rows.
        if len(rows) < rows.shape[1]:
            left, lengths, self.turn = np.linalg.svd(rows, full_matrices=False)
            rows = left * lengths
        self.rows = rows
        present, known = task.evidence(y, n_classes)
        self.known, self.targets = known.astype(np.float64), present.astype(np.float64)

    def fit(
        self, chosen: np.ndarray, C: float, sample_weight: np.ndarray | None = None
    ) -> LinearModel:
        weights, intercept = self._solve(chosen, C)
        coef = weights if self.turn is None else weights @ self.turn
        return LinearModel(coef.T.astype(np.float32), intercept.astype(np.float32), self.task)

    def predict_held(self, chosen: np.ndarray, held: np.ndarray, C: float) -> np.ndarray:
        weights, intercept = self._solve(chosen, C)
        return self.task.activate(self.rows[held] @ weights.T + intercept)

    def _solve(self, chosen: np.ndarray, C: float) -> tuple[np.ndarray, np.ndarray]:
        return _fit_labels(self.rows[chosen], self.targets[chosen], self.known[chosen], C)


@singledispatch
def _labeled_rows(
    task: Task, X: np.ndarray, y: np.ndarray, n_classes: int
) -> _SoftmaxRows | _SigmoidRows:
    """Return labeled rows of a task, for many fits on parts of them and with several penalties."""
    return _SigmoidRows(task, X, y, n_classes)


_labeled_rows.register(SingleLabel, _SoftmaxRows)


def _unit_rows(X: np.ndarray) -> np.ndarray:
    """Return rows (m, d) scaled to length sqrt(d), so that a typical entry is near 1; float32."""
    X = np.asarray(X, np.float32)
    # Scaled by the largest entry first, huge rows do not overflow, and tiny ones are no zeros.
    peak = np.maximum(X.max(axis=1, keepdims=True), -X.min(axis=1, keepdims=True))
    scaled = X / np.where(peak > 0, peak, 1)
    norms = np.sqrt(np.einsum("ij,ij->i", scaled, scaled))[:, None]
    scaled *= np.sqrt(X.shape[1]) / np.where(norms > 0, norms, 1)
    return scaled.astype(np.float32, copy=False)


def _confident_targets(
    proba: np.ndarray, y: np.ndarray, *, fraction: float, at_most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, classes and weights to learn from: given labels, then confident propagated ones.

    Of each class the most confident ``fraction``, ``at_most`` rows in all; together they weigh as
    much as the given labels.
    """
    labeled = np.flatnonzero(y >= 0)
    predicted, confidence = proba.argmax(axis=1), proba.max(axis=1)
    chosen = []
    for label in range(proba.shape[1]):
        rows = np.flatnonzero((predicted == label) & (y < 0))
        rows = rows[np.argsort(-confidence[rows], kind="stable")]
        limit = int(np.ceil(fraction * len(rows)))
        # With steps between: the most confident are alike, and teach less than a spread of them.
        step = max(1, int(np.ceil(limit * proba.shape[1] / max(1, at_most))))
        chosen.append(rows[:limit:step])
    extra = np.concatenate(chosen)
    weights = confidence[extra]
    if len(extra):
        # Thousands of propagated labels would drown the few that are known to be right.
        weights = weights * (len(labeled) / weights.sum())
    rows = np.concatenate([labeled, extra])
    targets = np.concatenate([y[labeled], predicted[extra]])
    return rows, targets, np.concatenate([np.ones(len(labeled)), weights])
