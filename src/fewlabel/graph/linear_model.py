"""Logistic regression on features: the supervised baseline, and the student of the graph."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from fewlabel.compute import threads_for

_MAX_ITER = 200
PENALTIES = (0.1, 1.0, 10.0)
"""Inverse strengths C that cross-fitting chooses between."""


class LinearModel:
    """Multinomial logistic regression on rows scaled to unit length.

    Parameters
    ----------
    coef : ndarray of shape (d, K)
        Weights, float32.
    intercept : ndarray of shape (K,)
        Offsets, float32.
    """

    def __init__(self, coef: np.ndarray, intercept: np.ndarray) -> None:
        self.coef = coef
        self.intercept = intercept

    @classmethod
    def fit(
        cls,
        X: np.ndarray,
        codes: np.ndarray,
        n_classes: int,
        *,
        C: float,
        sample_weight: np.ndarray | None = None,
    ) -> LinearModel:
        """Train on labelled rows.

        Parameters
        ----------
        X : ndarray of shape (m, d)
            Features.
        codes : ndarray of shape (m,)
            Classes, 0 to ``n_classes - 1``; some may be missing.
        n_classes : int
            Number of classes.
        C : float
            Inverse strength of the L2 penalty.
        sample_weight : ndarray of shape (m,), optional
            Weight of each row.

        Returns
        -------
        LinearModel
            The trained model; a class without rows has probability 0.
        """
        present = np.unique(codes)
        coef = np.zeros((X.shape[1], n_classes), dtype=np.float32)
        intercept = np.full(n_classes, -np.inf, dtype=np.float32)
        if len(present) == 1:
            intercept[present] = 0
            return cls(coef, intercept)
        model = LogisticRegression(C=C, max_iter=_MAX_ITER, tol=1e-3)
        # A gradient takes two products of m × d × K.
        operations = 4.0 * X.size * len(present)
        with threads_for(operations), warnings.catch_warnings():
            # A penalised model that stopped a little early predicts the same.
            warnings.simplefilter("ignore", ConvergenceWarning)
            # Few labels of many classes are the point, and no sign of a regression.
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
            model.fit(unit_rows(X), codes, sample_weight=sample_weight)
        if len(present) == 2:
            coef[:, present[1]] = model.coef_[0]
            intercept[present] = 0, model.intercept_[0]
        else:
            coef[:, present] = model.coef_.T
            intercept[present] = model.intercept_
        return cls(coef, intercept)

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Predict class probabilities.

        Parameters
        ----------
        X : ndarray of shape (m, d)
            Features.

        Returns
        -------
        ndarray of shape (m, K)
            Rows that sum to 1, float64.
        """
        scores = (unit_rows(X) @ self.coef).astype(np.float64) + self.intercept
        scores -= scores.max(axis=1, keepdims=True)
        proba = np.exp(scores)
        return proba / proba.sum(axis=1, keepdims=True)


def unit_rows(X: np.ndarray) -> np.ndarray:
    """Scale rows to length sqrt(d), so that a typical entry is near 1.

    Parameters
    ----------
    X : ndarray of shape (m, d)
        Rows.

    Returns
    -------
    ndarray of shape (m, d)
        Scaled rows, float32; a row of zeros stays.

    Examples
    --------
    >>> unit_rows(np.array([[3.0, 4.0]])).round(2).tolist()
    [[0.8500000238418579, 1.1299999952316284]]
    """
    # Scaled by the largest entry first, huge rows do not overflow, and tiny ones are no zeros.
    peak = np.maximum(X.max(axis=1, keepdims=True), -X.min(axis=1, keepdims=True))
    scaled = X / np.where(peak > 0, peak, 1)
    norms = np.sqrt(np.einsum("ij,ij->i", scaled, scaled))[:, None]
    scaled *= np.sqrt(X.shape[1]) / np.where(norms > 0, norms, 1)
    return scaled.astype(np.float32, copy=False)


def confident_targets(
    proba: np.ndarray, codes: np.ndarray, *, share: float, most: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose the labels that a student learns from: given ones, and confident propagated ones.

    Parameters
    ----------
    proba : ndarray of shape (n, K)
        Propagated class probabilities.
    codes : ndarray of shape (n,)
        Given classes, -1 where unlabelled.
    share : float
        Share of each predicted class to take, the most confident first.
    most : int
        Most propagated labels in all.

    Returns
    -------
    rows : ndarray of shape (m,)
        Images, the labelled ones first.
    targets : ndarray of shape (m,)
        Their classes.
    weights : ndarray of shape (m,)
        1 for given labels; for the others their confidence, scaled so that together they weigh
        as much as the given ones.

    Examples
    --------
    >>> proba = np.array([[1, 0], [0.9, 0.1], [0.6, 0.4]])
    >>> rows, targets, _ = confident_targets(proba, np.array([0, -1, -1]), share=0.5, most=10)
    >>> rows.tolist(), targets.tolist()
    ([0, 1], [0, 0])
    """
    labeled = np.flatnonzero(codes >= 0)
    predicted, confidence = proba.argmax(axis=1), proba.max(axis=1)
    chosen = []
    for label in range(proba.shape[1]):
        rows = np.flatnonzero((predicted == label) & (codes < 0))
        rows = rows[np.argsort(-confidence[rows], kind="stable")]
        limit = int(np.ceil(share * len(rows)))
        step = max(1, int(np.ceil(limit * proba.shape[1] / max(1, most))))
        chosen.append(rows[:limit:step])
    extra = np.concatenate(chosen) if chosen else np.empty(0, np.int64)
    weights = confidence[extra]
    if len(extra):
        weights = weights * (len(labeled) / weights.sum())
    rows = np.concatenate([labeled, extra])
    targets = np.concatenate([codes[labeled], predicted[extra]])
    return rows, targets, np.concatenate([np.ones(len(labeled)), weights])
