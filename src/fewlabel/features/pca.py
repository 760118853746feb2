"""Principal components of many rows: exact for few features, randomized for many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.linalg import eigh, qr

from fewlabel.compute import as_generator

_BLOCK_ROWS = 2_048
# Up to this many features the whole covariance costs less than finding its range.
_EXACT_WIDTH = 512
_OVERSAMPLES = 32
_POWER_ITERATIONS = 3
# Covariances are summed from float32 products: what lies below is rounding.
_RELATIVE_TOLERANCE = 1e-6


@dataclass(frozen=True)
class PCABasis:
    """What `damped_pca` learned.

    Parameters
    ----------
    mean : ndarray of shape (d,), dtype float32
        Mean of each feature.
    scale : ndarray of shape (d,), dtype float32
        What each feature is divided by: its standard deviation, or 1.
    components : ndarray of shape (d, k), dtype float32
        Orthonormal directions, the one of most variance first.
    eigenvalues : ndarray of shape (k,), dtype float32
        Variance along each; 1 for the only component of constant data.

    Examples
    --------
    >>> damped_pca(np.eye(3), 2).components.shape
    (3, 2)
    """

    mean: np.ndarray
    scale: np.ndarray
    components: np.ndarray
    eigenvalues: np.ndarray


def damped_pca(
    X: np.ndarray,
    n_components: int,
    *,
    standardize: bool = True,
    random_state: int | np.random.RandomState | None = 0,
) -> PCABasis:
    """Find the leading principal components of some rows.

    Up to 512 features the covariance is decomposed whole; above, its leading subspace is
    found by the randomized subspace iteration of Halko, Martinsson and Tropp (2011). Rows are
    standardized block by block, so that no second copy of ``X`` is made.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Rows, finite; float32 is not copied.
    n_components : int
        Most components. There are fewer where ``X`` has fewer rows, features or independent
        directions, and always at least one.
    standardize : bool
        Divide each feature by its standard deviation first. Constant features are left.
    random_state : int, RandomState or None
        Seed of the starting subspace.

    Returns
    -------
    PCABasis
        Mean, scale, components and eigenvalues. The entry of largest magnitude of each
        component is positive.

    Examples
    --------
    >>> X = np.array([[0, 1.0], [0, 2], [0, 4]])
    >>> damped_pca(X, 2, standardize=False).components.tolist()
    [[0.0], [1.0]]
    """
    X = np.asarray(X, dtype=np.float32)
    mean, deviation = _moments(X)
    scale = np.where(deviation > 0, deviation, 1) if standardize else np.ones_like(deviation)
    mean, scale = mean.astype(np.float32), scale.astype(np.float32)
    eigenvalues, components = _leading(
        partial(_covariance_times, X, mean, scale),
        X.shape[1],
        min(n_components, len(X)),
        as_generator(random_state),
    )
    keep = eigenvalues > _RELATIVE_TOLERANCE * max(float(eigenvalues[0]), 0)
    if not (deviation > 0).any() or not keep.any():
        # Constant rows: one feature that is zero everywhere is a valid, useless answer.
        keep = np.arange(len(eigenvalues)) == 0
        eigenvalues = np.ones_like(eigenvalues)
    components = components[:, keep]
    largest = np.abs(components).argmax(axis=0)
    signs = np.where(components[largest, np.arange(components.shape[1])] < 0, -1, 1)
    return PCABasis(
        mean, scale, (components * signs).astype(np.float32), eigenvalues[keep].astype(np.float32)
    )


def project(X: np.ndarray, basis: PCABasis, power: float = 0.25) -> np.ndarray:
    """Project rows on principal components and damp them.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Rows.
    basis : PCABasis
        From `damped_pca`.
    power : float
        Each component is divided by its eigenvalue to this power: 0 keeps the variances,
        0.5 makes them equal, which is whitening.

    Returns
    -------
    ndarray of shape (n, k), dtype float32
        ``((X - mean) / scale) @ components / eigenvalues**power``.

    Examples
    --------
    >>> X = np.array([[0.0, 1], [0, 3]])
    >>> project(X, damped_pca(X, 1), power=0.5).tolist()
    [[-1.0], [1.0]]
    """
    eigenvalues = basis.eigenvalues.astype(np.float64)
    weights = basis.components / basis.scale[:, None] / eigenvalues**power
    weights = weights.astype(np.float32)
    projected = np.empty((len(X), weights.shape[1]), dtype=np.float32)
    for start in range(0, len(X), _BLOCK_ROWS):
        rows = np.asarray(X[start : start + _BLOCK_ROWS], dtype=np.float32)
        # Subtracting from the rows, not from the products, keeps digits where means are large.
        np.matmul(rows - basis.mean, weights, out=projected[start : start + _BLOCK_ROWS])
    return projected


def _blocks(X: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(X), _BLOCK_ROWS):
        yield X[start : start + _BLOCK_ROWS]


def _moments(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation in float64; exactly 0 for a constant feature."""
    mean = np.zeros(X.shape[1])
    for rows in _blocks(X):
        mean += rows.sum(axis=0, dtype=np.float64)
    mean /= len(X)
    squares = np.zeros(X.shape[1])
    for rows in _blocks(X):
        squares += ((rows - mean) ** 2).sum(axis=0)
    deviation = np.sqrt(squares / len(X))
    rounding = 10 * np.finfo(np.float32).eps * np.abs(mean)
    return mean, np.where(deviation <= rounding, 0, deviation)


def _covariance_times(
    X: np.ndarray, mean: np.ndarray, scale: np.ndarray, Q: np.ndarray | None
) -> np.ndarray:
    """Covariance of the standardized rows times ``Q``, or itself, summed in float64."""
    total = np.zeros((X.shape[1], X.shape[1] if Q is None else Q.shape[1]))
    for rows in _blocks(X):
        rows = rows - mean
        rows /= scale
        total += rows.T @ (rows if Q is None else rows @ Q)
    return total / len(X)


def _leading(
    covariance_times: Callable[[np.ndarray | None], np.ndarray],
    n_features: int,
    n_components: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Leading eigenvalues, descending, and eigenvectors of a covariance given by products."""
    n_components = min(n_components, n_features)
    width = n_components + _OVERSAMPLES
    if n_features <= max(_EXACT_WIDTH, width):
        values, vectors = eigh(covariance_times(None))
        return values[::-1][:n_components], vectors[:, ::-1][:, :n_components]
    Q = rng.standard_normal((n_features, width)).astype(np.float32)
    for _ in range(_POWER_ITERATIONS):
        Q = qr(covariance_times(Q), mode="economic")[0].astype(np.float32)
    inside = Q.T.astype(np.float64) @ covariance_times(Q)
    values, vectors = eigh((inside + inside.T) / 2)
    leading = vectors[:, ::-1][:, :n_components]
    return values[::-1][:n_components], Q.astype(np.float64) @ leading
