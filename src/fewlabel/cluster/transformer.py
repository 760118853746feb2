"""What the transformers of this package share: the contract of ``fit`` and ``transform``."""

from abc import abstractmethod
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin


class Transformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Rows or images in, float32 rows out."""

    @abstractmethod
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from rows, without labels.

        Parameters
        ----------
        X : array-like of shape (n, d), or of images where the class says so
            Rows; computed with as float32.
        y : None
            Ignored.

        Returns
        -------
        Transformer
            This estimator.

        Raises
        ------
        UsageError
            If a parameter is out of range or does not suit ``X``.
        ValueError
            If ``X`` is not a finite numeric array.
        """

    @abstractmethod
    def transform(self, X: Any) -> np.ndarray:
        """Transform rows.

        Parameters
        ----------
        X : array-like
            Rows like those of `fit`.

        Returns
        -------
        ndarray of shape (n, n_features_out), dtype float32
            New rows.
        """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
