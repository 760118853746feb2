"""Fewer, better scaled features: principal components whose eigenvalues are damped."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import eigh, qr
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from fewlabel.compute import as_generator
from fewlabel.errors import ModelFormatError, UsageError

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

    def covariance_times(Q: np.ndarray | None) -> np.ndarray:
        return _covariance_times(X, mean, scale, Q)

    eigenvalues, components = _leading(
        covariance_times, X.shape[1], min(n_components, len(X)), as_generator(random_state)
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


def sample_rows(
    n: int, max_samples: int, random_state: int | np.random.RandomState | None
) -> np.ndarray:
    """Draw the rows that a reducer is fitted on.

    Parameters
    ----------
    n : int
        Rows there are.
    max_samples : int
        Most rows to draw.
    random_state : int, RandomState or None
        Seed of the draw.

    Returns
    -------
    ndarray of int64
        Different indices, ascending; all where there are few.

    Examples
    --------
    >>> sample_rows(3, 10, 0).tolist()
    [0, 1, 2]
    """
    if n <= max_samples:
        return np.arange(n)
    return np.sort(as_generator(random_state).choice(n, size=max_samples, replace=False))


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


class DampedPCA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Standardize, project on principal components, damp their eigenvalues by a power.

    The reduction that Coates and Ng use after a dictionary: whitening (power 0.5) makes noise
    as loud as signal, plain PCA (power 0) lets a few components drown the rest.

    Parameters
    ----------
    n_components : int
        Most components; fewer where the data have fewer rows, features or directions.
    power : float
        Each component is divided by its eigenvalue to this power, between 0 and 0.5.
    standardize : bool
        Divide each feature by its standard deviation first.
    random_state : int, RandomState or None
        Seed of the randomized range finder (used above 512 features).

    Attributes
    ----------
    basis_ : PCABasis
        Mean, scale, components and eigenvalues.
    n_components_ : int
        Components there are.
    n_features_in_ : int
        Features seen by `fit`.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(50, 6))
    >>> DampedPCA(n_components=2, random_state=0).fit_transform(X).shape
    (50, 2)
    """

    def __init__(
        self,
        n_components: int = 128,
        *,
        power: float = 0.25,
        standardize: bool = True,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_components = n_components
        self.power = power
        self.standardize = standardize
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> DampedPCA:
        """Learn the components from some rows, a sample of the data set where it is large.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.
        y : None
            Ignored.

        Returns
        -------
        DampedPCA
            This estimator.

        Raises
        ------
        UsageError
            If a parameter is out of range.
        ValueError
            If ``X`` is not a finite numeric matrix.
        """
        check_reduction(self.n_components, self.power, owner="DampedPCA")
        X = validate_data(self, X, dtype=np.float32)
        self._set_basis(
            damped_pca(
                X,
                self.n_components,
                standardize=self.standardize,
                random_state=self.random_state,
            )
        )
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Reduce rows.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.

        Returns
        -------
        ndarray of shape (n, n_components_), dtype float32
            Reduced rows.
        """
        check_is_fitted(self)
        return project(validate_data(self, X, reset=False, dtype=np.float32), self.basis_, self.power)

    def to_state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Give what `from_state` needs.

        Returns
        -------
        arrays : dict of str to ndarray
            The basis.
        meta : dict
            Parameters, for JSON.
        """
        check_is_fitted(self)
        basis = self.basis_
        arrays = {
            "mean": basis.mean,
            "scale": basis.scale,
            "components": basis.components,
            "eigenvalues": basis.eigenvalues,
        }
        meta = {
            "n_components": int(self.n_components),
            "power": float(self.power),
            "standardize": bool(self.standardize),
        }
        return arrays, meta

    @classmethod
    def from_state(cls, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> DampedPCA:
        """Rebuild a fitted reducer.

        Parameters
        ----------
        arrays : dict of str to ndarray
            From `to_state`.
        meta : dict
            From `to_state`.

        Returns
        -------
        DampedPCA
            The reducer; it transforms as the saved one did, to the last bit.

        Raises
        ------
        ModelFormatError
            If something is missing or the shapes contradict each other.
        """
        try:
            reducer = cls(
                n_components=meta["n_components"],
                power=meta["power"],
                standardize=meta["standardize"],
            )
            names = ("mean", "scale", "components", "eigenvalues")
            basis = PCABasis(*(np.asarray(arrays[name], dtype=np.float32) for name in names))
        except KeyError as error:
            raise ModelFormatError(
                f"The saved reducer lacks {error.args[0]!r}: the model is damaged; "
                "save it again or copy it anew."
            ) from error
        d, k = basis.components.shape if basis.components.ndim == 2 else (-1, -1)
        shapes = (basis.mean.shape, basis.scale.shape, basis.eigenvalues.shape)
        if shapes != ((d,), (d,), (k,)):
            raise ModelFormatError(
                f"The arrays of the saved reducer contradict each other: components of shape "
                f"{basis.components.shape} beside mean, scale and eigenvalues of shapes {shapes}. "
                "The model is damaged; save it again or copy it anew."
            )
        reducer.n_features_in_ = d
        reducer._set_basis(basis)
        return reducer

    def _set_basis(self, basis: PCABasis) -> None:
        self.basis_ = basis
        self.n_components_ = self._n_features_out = basis.components.shape[1]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def check_reduction(n_components: Any, power: Any, *, owner: str) -> None:
    """Check the parameters of a reduction.

    Parameters
    ----------
    n_components : object
        Must be an int of at least 1.
    power : object
        Must be a number from 0 to 0.5.
    owner : str
        Class to name in the message.

    Raises
    ------
    UsageError
        If one is not.

    Examples
    --------
    >>> check_reduction(64, 0.25, owner="Pixels")
    """
    whole = isinstance(n_components, numbers.Integral) and not isinstance(n_components, bool)
    if not whole or n_components < 1:
        raise UsageError(
            f"The 'n_components' parameter of {owner} must be an int of at least 1. "
            f"Got {n_components!r} instead."
        )
    if not isinstance(power, numbers.Real) or not 0 <= power <= 0.5:
        raise UsageError(
            f"The 'power' parameter of {owner} must be a number from 0 to 0.5. "
            f"Got {power!r} instead."
        )
