"""Logistic regression on soft targets, by hand: for both tasks, and where entries are unknown.

scikit-learn takes no soft targets, fits one of several labels after the other, which takes minutes
for dozens of them, and cannot leave out entries that are unknown.
"""

import numpy as np

from fewlabel.compute import _threads_for
from fewlabel.data.task import MultiLabel, Task

_MAX_ITER = 200
# Draws an intercept towards the frequency of its label: one that is always absent stays finite.
_INTERCEPT_PENALTY = 1e-2


def _fit_logistic(
    task: Task,
    X: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray | float,
    known: np.ndarray | None,
    *,
    penalty: float,
    usual: np.ndarray | float | None = None,
    **options: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (K, d) and intercepts (K,) with the least loss and squared weights.

    Intercepts are free, or drawn to what is ``usual``; ``options`` are those of L-BFGS-B.
    """
    # Imported late: listing and labeling images should not wait for it.
    from scipy.optimize import minimize

    n_features, n_classes = X.shape[1], targets.shape[1]
    start = np.zeros((n_classes, n_features + 1))
    start[:, -1] = 0 if usual is None else usual
    drawn = 0.0 if usual is None else _INTERCEPT_PENALTY

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        head = flat.reshape(start.shape)
        # Products are as exact as the rows; what the search adds up is in float64.
        coef = head[:, :-1].astype(X.dtype, copy=False)
        scores = (X @ coef.T).astype(np.float64) + head[:, -1]
        loss, residual = task.logistic_loss(scores, targets, weights, known)
        residual = residual.astype(X.dtype, copy=False)
        off = head[:, -1] - start[:, -1]
        gradient = np.empty_like(head)
        gradient[:, :-1] = residual.T @ X + penalty * head[:, :-1]
        gradient[:, -1] = residual.sum(axis=0) + drawn * off
        square = penalty * float((head[:, :-1] ** 2).sum()) + drawn * float(off @ off)
        return loss + square / 2, gradient.ravel()

    # A gradient takes two products of n × d × K.
    with _threads_for(4.0 * X.size * n_classes):
        found = minimize(
            objective,
            start.ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": _MAX_ITER, **options},
        )
    head = found.x.reshape(start.shape)
    return head[:, :-1], head[:, -1]


def _fit_labels(
    X: np.ndarray, targets: np.ndarray, known: np.ndarray, C: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights and intercepts of a regression a label, of inverse strength C.

    ``known`` (n, K) says how far each entry of ``targets`` counts.
    """
    # A label that is never known counts as rare, not as present in every second image.
    share = ((targets * known).sum(axis=0) + 0.5) / (known.sum(axis=0) + 2)
    usual = np.log(share / (1 - share))
    return _fit_logistic(
        MultiLabel(), X, targets, C, known, penalty=1.0, usual=usual, ftol=1e-7, gtol=1e-3
    )
