"""Logistic regressions of several labels at once, of which some entries are not known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from fewlabel.compute import threads_for
from fewlabel.graph.linear_model import unit_rows

_MAX_ITER = 200
_TOLERANCE = 1e-5
_INTERCEPT_PENALTY = 1e-2
"""Draws an intercept towards the share of its label: one that is always absent stays finite."""


@dataclass(frozen=True, eq=False)
class SigmoidModel:
    """One logistic regression a label, on rows scaled to unit length.

    Attributes
    ----------
    coef : ndarray of shape (d, K)
        Weights, float32.
    intercept : ndarray of shape (K,)
        Offsets, float32.
    """

    coef: np.ndarray
    intercept: np.ndarray

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Predict the probability of every label.

        Parameters
        ----------
        X : ndarray of shape (m, d)
            Features.

        Returns
        -------
        ndarray of shape (m, K)
            Float64.
        """
        return np.asarray(expit((unit_rows(X) @ self.coef).astype(np.float64) + self.intercept))


class LabeledRows:
    """Labelled rows, turned so that they have no more columns than rows.

    The weights of a penalised regression lie in the span of its rows. So all regressions, with
    whatever penalty and on whatever part of the rows, are fitted on a few hundred columns
    where features have thousands, and come out the same.

    scikit-learn's one-versus-rest regression is not used: it fits one label after the other,
    which takes minutes for dozens of labels, and cannot leave out entries that are not known.

    Parameters
    ----------
    X : ndarray of shape (m, d)
        Features of labelled images.
    Y : ndarray of shape (m, K)
        1 present, 0 absent, -1 not known.
    """

    def __init__(self, X: np.ndarray, Y: np.ndarray) -> None:
        rows = unit_rows(X).astype(np.float64)
        self.turn: np.ndarray | None = None
        if len(rows) < rows.shape[1]:
            left, lengths, self.turn = np.linalg.svd(rows, full_matrices=False)
            rows = left * lengths
        self.rows = rows
        self.known = (Y >= 0).astype(np.float64)
        self.targets = (Y == 1).astype(np.float64)

    def fit(self, chosen: np.ndarray, C: float) -> SigmoidModel:
        """Train on some of the rows.

        Parameters
        ----------
        chosen : ndarray of shape (c,)
            Which rows.
        C : float
            Inverse strength of the L2 penalty.

        Returns
        -------
        SigmoidModel
            A regression a label.
        """
        weights, intercept = self._solve(chosen, C)
        coef = weights if self.turn is None else self.turn.T @ weights
        return SigmoidModel(coef.astype(np.float32), intercept.astype(np.float32))

    def predict_held(self, chosen: np.ndarray, held: np.ndarray, C: float) -> np.ndarray:
        """Train on some of the rows, and predict others.

        Parameters
        ----------
        chosen : ndarray of shape (c,)
            Rows to train on.
        held : ndarray of shape (h,)
            Rows to predict.
        C : float
            Inverse strength of the L2 penalty.

        Returns
        -------
        ndarray of shape (h, K)
            Probability of every label.
        """
        weights, intercept = self._solve(chosen, C)
        return np.asarray(expit(self.rows[held] @ weights + intercept))

    def _solve(self, chosen: np.ndarray, C: float) -> tuple[np.ndarray, np.ndarray]:
        rows, known, targets = self.rows[chosen], self.known[chosen], self.targets[chosen]
        shape = (rows.shape[1] + 1, targets.shape[1])
        # A label that is never known counts as rare, not as present in every second image.
        share = ((targets * known).sum(axis=0) + 0.5) / (known.sum(axis=0) + 2)
        usual = np.log(share / (1 - share))

        def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
            weights = flat.reshape(shape)
            scores = rows @ weights[:-1] + weights[-1]
            losses = np.logaddexp(0, scores) - targets * scores
            off = weights[-1] - usual
            value = C * float((known * losses).sum()) + 0.5 * float((weights[:-1] ** 2).sum())
            value += 0.5 * _INTERCEPT_PENALTY * float(off @ off)
            slope = C * known * (expit(scores) - targets)
            gradient = np.empty(shape)
            gradient[:-1] = rows.T @ slope + weights[:-1]
            gradient[-1] = slope.sum(axis=0) + _INTERCEPT_PENALTY * off
            return value, gradient.ravel()

        start = np.zeros(shape)
        start[-1] = usual
        with threads_for(4.0 * rows.size * shape[1]):
            found = minimize(
                objective,
                start.ravel(),
                jac=True,
                method="L-BFGS-B",
                options={"maxiter": _MAX_ITER, "ftol": _TOLERANCE * 1e-2, "gtol": 1e-3},
            )
        weights = found.x.reshape(shape)
        return weights[:-1], weights[-1]
