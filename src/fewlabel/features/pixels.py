"""Pixels as features: the simplest extractor, and the yardstick for the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fewlabel.data import ImageSet
from fewlabel.data.resample import as_size
from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.features.reduce import DampedPCA, check_reduction, reducer_from_state, sample_rows

_BLOCK_SIZE = 512
_LARGEST_NATIVE_SIDE = 64
_REDUCED_SIZE = (32, 32)

Progress = Callable[[str, int, int], None]
"""Called with the stage, what is done and what there is to do."""


class Pixels:
    """Resized pixels from 0 to 1, flattened, and optionally reduced by `DampedPCA`.

    Parameters
    ----------
    size : (int, int), int or None
        Height and width to read images at. None takes the size of the images where all share
        one and no side is longer than 64 pixels, and 32 × 32 otherwise.
    grey : bool or None
        Whether to read images as grey; None does so if all the images seen by `fit` are.
    n_components : int or None
        Most principal components to reduce to; None keeps the pixels.
    power : float
        Each component is divided by its eigenvalue to this power, between 0 and 0.5.
    max_fit_samples : int
        Images to learn the components from.
    random_state : int
        Seed of the sample and of the reduction.

    Attributes
    ----------
    size_ : (int, int)
        Height and width that images are read at.
    channels_ : int
        1 for grey, 3 for colour.
    reducer_ : DampedPCA or None
        The fitted reduction.

    Examples
    --------
    >>> from fewlabel.data import load_images
    >>> images = load_images("digits")
    >>> Pixels().fit(images).transform(images).shape
    (1797, 64)
    """

    name = "pixels"

    def __init__(
        self,
        size: tuple[int, int] | int | None = None,
        *,
        grey: bool | None = None,
        n_components: int | None = None,
        power: float = 0.25,
        max_fit_samples: int = 20_000,
        random_state: int = 0,
    ) -> None:
        self.size = size
        self.grey = grey
        self.n_components = n_components
        self.power = power
        self.max_fit_samples = max_fit_samples
        self.random_state = random_state

    def fit(self, images: ImageSet, *, progress: Progress | None = None) -> Pixels:
        """Settle the size and the colours, and learn the components if there are any.

        Parameters
        ----------
        images : ImageSet
            Images; their labels are not looked at.
        progress : callable, optional
            Called as ``progress(stage, done, total)``.

        Returns
        -------
        Pixels
            This extractor.

        Raises
        ------
        UsageError
            If a parameter is out of range.
        DataError
            If an image cannot be read any more.
        """
        self.size_ = _size_of(images) if self.size is None else as_size(self.size, owner="Pixels")
        grey = images.is_grey if self.grey is None else self.grey
        self.channels_ = 1 if grey else 3
        self.reducer_ = None
        if self.n_components is not None:
            check_reduction(self.n_components, self.power, owner="Pixels")
            sample = images.subset(
                sample_rows(len(images), self.max_fit_samples, self.random_state)
            )
            self.reducer_ = DampedPCA(
                self.n_components, power=self.power, random_state=self.random_state
            ).fit(self._read(sample, None, "learn components", progress))
        return self

    def transform(self, images: ImageSet, *, progress: Progress | None = None) -> np.ndarray:
        """Turn images into rows.

        Parameters
        ----------
        images : ImageSet
            Images.
        progress : callable, optional
            Called as ``progress(stage, done, total)``.

        Returns
        -------
        ndarray of shape (n, d), dtype float32
            Features. Without a reduction ``d`` is height × width × channels.

        Raises
        ------
        UsageError
            If the extractor is not fitted.
        DataError
            If an image cannot be read any more.
        """
        self._check_fitted()
        return self._read(images, self.reducer_, "pixels", progress)

    def fit_transform(self, images: ImageSet, *, progress: Progress | None = None) -> np.ndarray:
        """Fit, then turn the same images into rows.

        Parameters
        ----------
        images : ImageSet
            Images; their labels are not looked at.
        progress : callable, optional
            Called as ``progress(stage, done, total)``.

        Returns
        -------
        ndarray of shape (n, d), dtype float32
            Features.
        """
        return self.fit(images, progress=progress).transform(images, progress=progress)

    def to_state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Give what `from_state` needs.

        Returns
        -------
        arrays : dict of str to ndarray
            The reduction, if any.
        meta : dict
            Settings, for JSON.

        Raises
        ------
        UsageError
            If the extractor is not fitted.
        """
        self._check_fitted()
        meta: dict[str, Any] = {
            "extractor": self.name,
            "size": list(self.size_),
            "channels": self.channels_,
            "max_fit_samples": self.max_fit_samples,
            "random_state": self.random_state,
            "reduce": None,
        }
        if self.reducer_ is None:
            return {}, meta
        arrays, meta["reduce"] = self.reducer_.to_state()
        return {f"reduce.{name}": array for name, array in arrays.items()}, meta

    @classmethod
    def from_state(cls, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> Pixels:
        """Rebuild a fitted extractor.

        Parameters
        ----------
        arrays : dict of str to ndarray
            From `to_state`.
        meta : dict
            From `to_state`.

        Returns
        -------
        Pixels
            The extractor; it transforms as the saved one did, to the last bit.

        Raises
        ------
        ModelFormatError
            If the state is not one of `Pixels`, or something is missing.
        """
        try:
            if meta["extractor"] != cls.name:
                raise ModelFormatError(
                    f"The saved features are {meta['extractor']!r}, not {cls.name!r}."
                )
            size, channels, reduce = meta["size"], meta["channels"], meta["reduce"]
            extractor = cls(
                as_size(size, owner="Pixels"),
                grey=channels == 1,
                max_fit_samples=meta["max_fit_samples"],
                random_state=meta["random_state"],
            )
        except KeyError as error:
            raise ModelFormatError(
                f"The saved features lack {error.args[0]!r}: the model is damaged; "
                "save it again or copy it anew."
            ) from error
        extractor.size_ = as_size(size, owner="Pixels")
        extractor.channels_ = channels
        extractor.reducer_ = reducer_from_state(arrays, reduce)
        if extractor.reducer_ is not None:
            extractor.n_components = extractor.reducer_.n_components
            extractor.power = extractor.reducer_.power
        return extractor

    def _check_fitted(self) -> None:
        if not hasattr(self, "size_"):
            raise UsageError("This Pixels extractor is not fitted: call fit with images first.")

    def _read(
        self,
        images: ImageSet,
        reducer: DampedPCA | None,
        stage: str,
        progress: Progress | None,
    ) -> np.ndarray:
        width = self.size_[0] * self.size_[1] * self.channels_
        if reducer is not None:
            width = reducer.n_components_
        features = np.empty((len(images), width), dtype=np.float32)
        blocks = images.blocks(_BLOCK_SIZE, size=self.size_, channels=self.channels_)
        for where, pixels in blocks:
            rows = pixels.reshape(len(pixels), -1).astype(np.float32)
            rows /= 255
            features[where] = rows if reducer is None else reducer.transform(rows)
            if progress is not None:
                progress(stage, where.stop, len(images))
        return features


def _size_of(images: ImageSet) -> tuple[int, int]:
    shape = images.native_shape
    if shape is None or max(shape[:2]) > _LARGEST_NATIVE_SIDE:
        return _REDUCED_SIZE
    return shape[0], shape[1]
