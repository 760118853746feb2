"""The best linear head on frozen embeddings, found by a convex search."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from fewlabel.compute import threads_for

_MAX_ITER = 200
_TOLERANCE = 1e-5


def _fit_linear_probe(
    rows: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray | None,
    known: np.ndarray | None = None,
    *,
    exclusive: bool = True,
    C: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Fit logistic regression to soft targets, multinomial or a label at a time.

    Embeddings about 1 in size suit the default strength; ``known`` is how far each target counts
    where classes do not exclude each other. Returns the head's coef (K, d) and intercept (K,).
    """
    X = np.ascontiguousarray(rows, dtype=np.float32)
    Y = np.asarray(targets, dtype=np.float32)
    weight = np.ones(len(X), np.float32) if weights is None else np.asarray(weights, np.float32)
    total = max(float(weight.sum()), 1e-12)
    weight = (weight / total)[:, None]
    counts = 1.0 if known is None else known
    n_features, n_classes = X.shape[1], Y.shape[1]
    penalty = 1 / (C * total)

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        head = flat.reshape(n_classes, n_features + 1)
        coef = head[:, :-1].astype(np.float32)
        scores = (X @ coef.T).astype(np.float64) + head[:, -1]
        if exclusive:
            scores -= scores.max(axis=1, keepdims=True)
            scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
            loss = -float((weight * Y * scores).sum())
            mass = Y.sum(axis=1, keepdims=True)
            residual = (weight * (np.exp(scores) * mass - Y)).astype(np.float32)
        else:
            loss = float((weight * counts * (np.logaddexp(0, scores) - Y * scores)).sum())
            residual = (weight * counts * (expit(scores) - Y)).astype(np.float32)
        gradient = np.empty_like(head)
        gradient[:, :-1] = residual.T @ X + penalty * head[:, :-1]
        gradient[:, -1] = residual.sum(axis=0)
        return loss + penalty / 2 * float((head[:, :-1] ** 2).sum()), gradient.ravel()

    # A gradient takes two products of n × d × K.
    with threads_for(4.0 * X.size * n_classes):
        found = minimize(
            objective,
            np.zeros(n_classes * (n_features + 1)),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": _MAX_ITER, "gtol": _TOLERANCE},
        )
    head = found.x.reshape(n_classes, n_features + 1).astype(np.float32)
    return np.ascontiguousarray(head[:, :-1]), head[:, -1].copy()
