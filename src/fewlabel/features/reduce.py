"""Fewer, better scaled features: principal components whose eigenvalues are damped."""

import copy
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from sklearn.utils import gen_batches
from sklearn.utils.extmath import randomized_svd
from sklearn.utils.validation import check_is_fitted, validate_data

from fewlabel.cluster.transformer import Transformer
from fewlabel.compute import _as_generator, _product
from fewlabel.params import check_parameters, integer, number
from fewlabel.persist.schema import _FLAG, _MAX_COUNT, Saved, State, _check_arrays, _check_fields

REDUCTION_CONSTRAINTS = {
    "n_components": [integer(1), None],
    "power": [number(0, 0.5, closed="both")],
}
"""What extractors accept that reduce their rows."""

_BLOCK_ROWS = 2_048
# The scaler holds its rows several times over in float64.
_MOMENT_ROWS = 256
# Up to this many features the whole covariance costs less than finding its range.
_EXACT_WIDTH = 512
# Components with less of the largest variance are rounding.
_RELATIVE_TOLERANCE = 1e-6
_ARRAYS = {"mean": "d", "scale": "d", "components": "d k", "eigenvalues": "k"}
_FIELDS = {
    "n_components": [integer(1, _MAX_COUNT)],
    "power": REDUCTION_CONSTRAINTS["power"],
    "standardize": [_FLAG],
}


@dataclass(eq=False, repr=False)
class DampedPCA(Transformer, Saved):
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
    ridge : float
        So many times the variance of a row, divided by the rows that it was learned from, is
        added to each eigenvalue: those of few rows are uncertain by about as much, and
        whitening would make the noise of the smallest as loud as what is known.
    random_state : int, RandomState or None
        Seed of scikit-learn's randomized solver, which is used above 512 features.

    Attributes
    ----------
    mean_, scale_ : ndarray of shape (d,), dtype float32
        Mean of each feature, and what it is divided by: its standard deviation, or 1.
    components_ : ndarray of shape (d, k), dtype float32
        Orthonormal directions, the one of most variance first.
    eigenvalues_ : ndarray of shape (k,), dtype float32
        Variance along each, with the ridge; 1 for the only component of constant data.
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

    n_components: int = 128
    _: KW_ONLY
    power: float = 0.25
    standardize: bool = True
    ridge: float = 0.0
    random_state: int | np.random.RandomState | None = None

    _parameter_constraints: ClassVar[dict] = {
        "n_components": [integer(1)],
        "power": REDUCTION_CONSTRAINTS["power"],
        "standardize": ["boolean"],
        "ridge": [number(0)],
    }

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the components from some rows, a sample of the data set where it is large."""
        return self._fit_overwriting(validate_data(self, X, dtype=np.float32, copy=True))

    def _fit_overwriting(self, X: np.ndarray) -> Self:
        # Rows that nobody needs any more: a large sample is not copied.
        check_parameters(self)
        self.n_features_in_ = X.shape[1]
        mean, deviation = _moments(X)
        scale = np.where(deviation > 0, deviation, 1) if self.standardize else np.ones(X.shape[1])
        self.mean_, self.scale_ = mean.astype(np.float32), scale.astype(np.float32)
        if (deviation > 0).any():
            X -= self.mean_
            X /= self.scale_
            self.components_, self.eigenvalues_ = self._leading(X)
            variance = float((deviation.astype(np.float64) / scale) @ (deviation / scale))
            self.eigenvalues_ += np.float32(self.ridge * variance / len(X))
        else:
            # Constant rows: one feature that is zero everywhere is a valid, useless answer.
            self.components_ = np.eye(X.shape[1], 1, dtype=np.float32)
            self.eigenvalues_ = np.ones(1, dtype=np.float32)
        self.n_components_ = self._n_features_out = self.components_.shape[1]
        self._weights()
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return ``((X - mean_) / scale_) @ components_ / eigenvalues_**power``."""
        check_is_fitted(self)
        return self._reduce(validate_data(self, X, reset=False, dtype=np.float32))

    def _reduce(self, X: np.ndarray) -> np.ndarray:
        """Reduce rows that need no check, which takes longer than to reduce a few."""
        weights = self._weights()
        reduced = np.empty((len(X), self.n_components_), dtype=np.float32)
        for block in gen_batches(len(X), _BLOCK_ROWS):
            # Subtracting from the rows, not from the products, keeps digits where means are large.
            reduced[block] = _product(X[block] - self.mean_, weights)
        return reduced

    def _leading_only(self, n: int) -> Self:
        """Return the reducer to the first ``n`` components."""
        one = copy.copy(self)
        one.components_ = np.ascontiguousarray(self.components_[:, :n])
        one.eigenvalues_ = self.eigenvalues_[:n].copy()
        one.n_components = one.n_components_ = one._n_features_out = one.components_.shape[1]
        return one

    def _weights(self) -> np.ndarray:
        """Return what rows less their mean are multiplied by, (d, k) float32; made once."""
        of = (self.components_, self.scale_, self.eigenvalues_, self.power)
        kept = getattr(self, "_folded", None)
        # To make them takes ten times as long as to multiply one row.
        if kept is None or any(a is not b for a, b in zip(kept[0], of, strict=True)):
            damping = self.eigenvalues_.astype(np.float64) ** self.power
            weights = (self.components_ / self.scale_[:, None] / damping).astype(np.float32)
            kept = self._folded = of, weights
        return kept[1]

    def to_state(self) -> State:
        """Return parameters, and mean, scale, components and eigenvalues."""
        check_is_fitted(self)
        meta = {
            "n_components": int(self.n_components),
            "power": float(self.power),
            "standardize": bool(self.standardize),
        }
        return {name: getattr(self, f"{name}_") for name in _ARRAYS}, meta

    @classmethod
    def from_state(cls, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> Self:
        """Rebuild a reducer that transforms as the saved one did, to the last bit."""
        _check_fields(meta, _FIELDS, "reduce")
        sizes = _check_arrays(arrays, _ARRAYS, "reduce", positive=("scale", "eigenvalues"))
        reducer = cls(**{name: meta[name] for name in _FIELDS})
        for name in _ARRAYS:
            setattr(reducer, f"{name}_", np.asarray(arrays[name], dtype=np.float32))
        reducer.n_features_in_ = sizes["d"]
        reducer.n_components_ = reducer._n_features_out = sizes["k"]
        return reducer

    def _leading(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Leading principal directions of standardized rows, and the variances along them."""
        n, d = rows.shape
        k = min(self.n_components, n, d)
        if d <= _EXACT_WIDTH:
            exact = PCA(k, svd_solver="covariance_eigh").fit(rows.astype(np.float64))
            directions, variances = exact.components_, exact.explained_variance_ * ((n - 1) / n)
        else:
            # What PCA's randomized solver calls; PCA itself would hold the rows twice more.
            seed = int(_as_generator(self.random_state).integers(2**31))
            _, lengths, directions = randomized_svd(
                rows, k, n_oversamples=32, n_iter=3, flip_sign=False, random_state=seed
            )
            variances = lengths**2 / n
        keep = variances > _RELATIVE_TOLERANCE * variances[0]
        components = np.ascontiguousarray(directions[keep].T, dtype=np.float32)
        largest = np.abs(components).argmax(axis=0)
        # An eigenvector has two signs: the same one on every machine.
        components *= np.sign(components[largest, np.arange(components.shape[1])])
        return components, variances[keep].astype(np.float32)


def _moments(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation in float64; exactly 0 for a constant feature."""
    scaler = StandardScaler()
    for block in gen_batches(len(X), _MOMENT_ROWS):
        scaler.partial_fit(X[block])
    deviation = np.sqrt(scaler.var_)
    # A constant feature varies by rounding, which must not be blown up to unit variance.
    rounding = 10 * np.finfo(np.float32).eps * np.abs(scaler.mean_)
    return scaler.mean_, np.where(deviation <= rounding, 0, deviation)


def _sample_rows(
    n: int, max_samples: int, random_state: int | np.random.RandomState | None
) -> np.ndarray:
    """Draw the rows that a reducer is fitted on: different, ascending; all where there are few."""
    if n <= max_samples:
        return np.arange(n)
    return np.sort(_as_generator(random_state).choice(n, size=max_samples, replace=False))
