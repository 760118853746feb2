"""Fewer, better scaled features: principal components whose eigenvalues are damped."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from fewlabel.compute import as_generator
from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.features.pca import PCABasis, damped_pca, project


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
        return project(
            validate_data(self, X, reset=False, dtype=np.float32), self.basis_, self.power
        )

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


def reducer_from_state(
    arrays: dict[str, np.ndarray], meta: dict[str, Any] | None
) -> DampedPCA | None:
    """Rebuild the reduction that an extractor keeps under ``reduce.``.

    Parameters
    ----------
    arrays : dict of str to ndarray
        Arrays of the extractor.
    meta : dict or None
        ``meta["reduce"]`` of the extractor; None if it reduces nothing.

    Returns
    -------
    DampedPCA or None
        The reduction.

    Raises
    ------
    ModelFormatError
        If something is missing.

    Examples
    --------
    >>> reducer_from_state({}, None) is None
    True
    """
    if meta is None:
        return None
    prefix = "reduce."
    own = {name[len(prefix) :]: a for name, a in arrays.items() if name.startswith(prefix)}
    return DampedPCA.from_state(own, meta)


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
    if not isinstance(power, numbers.Real) or not 0 <= float(power) <= 0.5:
        raise UsageError(
            f"The 'power' parameter of {owner} must be a number from 0 to 0.5. "
            f"Got {power!r} instead."
        )
