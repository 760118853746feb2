"""The patch dictionary over an image set: fitted on a sample, applied in a stream."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from fewlabel.data import ImageSet
from fewlabel.data.resample import as_size
from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.features.filters import PatchFilters
from fewlabel.features.patches import PatchDictionary
from fewlabel.features.pixels import Progress, reducer_from_state
from fewlabel.features.reduce import DampedPCA, sample_rows

_BLOCK_SIZE = 512
_LARGEST_SIDE = 64


class PatchFeatures:
    """Features from a patch dictionary learnt on the images themselves.

    Parameters
    ----------
    size : (int, int), int or None
        Height and width to read images at. None takes the size of the images where all share
        one and no side is longer than 64 pixels, and 64 × 64 otherwise.
    max_fit_samples : int
        Images to learn the dictionary and its components from.
    random_state : int
        Seed of the sample and the dictionary.

    Attributes
    ----------
    dictionary_ : PatchDictionary
        The fitted dictionary.
    size_ : (int, int)
        Height and width that images are read at.
    channels_ : int
        1 for grey, 3 for colour.

    Examples
    --------
    >>> from fewlabel.data import load_images
    >>> images = load_images("digits").subset(range(300))
    >>> PatchFeatures().fit(images).transform(images).shape
    (300, 128)
    """

    name = "patches"

    def __init__(
        self,
        size: tuple[int, int] | int | None = None,
        *,
        max_fit_samples: int = 10_000,
        random_state: int = 0,
    ) -> None:
        self.size = size
        self.max_fit_samples = max_fit_samples
        self.random_state = random_state

    def fit(self, images: ImageSet, *, progress: Progress | None = None) -> PatchFeatures:
        """Learn the dictionary from a sample of the images.

        Parameters
        ----------
        images : ImageSet
            Images; their labels are not looked at.
        progress : callable, optional
            Called as ``progress(stage, done, total)``.

        Returns
        -------
        PatchFeatures
            This extractor.

        Raises
        ------
        DataError
            If an image cannot be read any more.
        """
        native = images.native_shape
        small = native is not None and max(native[:2]) <= _LARGEST_SIDE
        self.size_ = (
            (native[:2] if native is not None and small else (_LARGEST_SIDE,) * 2)
            if self.size is None
            else as_size(self.size, owner="PatchFeatures")
        )
        self.channels_ = 1 if images.is_grey else 3
        rows = sample_rows(len(images), self.max_fit_samples, self.random_state)
        if progress is not None:
            progress("learn patches", 0, 1)
        sample = images.read(rows, size=self.size_, channels=self.channels_)
        self.dictionary_ = PatchDictionary(random_state=self.random_state).fit(sample)
        if progress is not None:
            progress("learn patches", 1, 1)
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
            Features.

        Raises
        ------
        UsageError
            If the extractor is not fitted.
        DataError
            If an image cannot be read any more.
        """
        if not hasattr(self, "dictionary_"):
            raise UsageError("This PatchFeatures extractor is not fitted: call fit first.")
        assert self.dictionary_.reducer_ is not None
        width = self.dictionary_.reducer_.n_components_
        features = np.empty((len(images), width), dtype=np.float32)
        blocks = images.blocks(_BLOCK_SIZE, size=self.size_, channels=self.channels_)
        for where, pixels in blocks:
            features[where] = self.dictionary_.transform(pixels)
            if progress is not None:
                progress("features", where.stop, len(images))
        return features

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
            Filters and components.
        meta : dict
            Settings, for JSON.
        """
        filters = asdict(self.dictionary_.filters_)
        arrays = {name: filters.pop(name) for name in ("weight", "bias")}
        assert self.dictionary_.reducer_ is not None
        reduced, reduce = self.dictionary_.reducer_.to_state()
        arrays |= {f"reduce.{name}": array for name, array in reduced.items()}
        meta = {
            "extractor": self.name,
            "size": list(self.size_),
            "channels": self.channels_,
            "max_fit_samples": self.max_fit_samples,
            "random_state": self.random_state,
            "filters": {**filters, "threshold": float(filters["threshold"])},
            "reduce": reduce,
        }
        return arrays, meta

    @classmethod
    def from_state(cls, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> PatchFeatures:
        """Rebuild a fitted extractor.

        Parameters
        ----------
        arrays : dict of str to ndarray
            From `to_state`.
        meta : dict
            From `to_state`.

        Returns
        -------
        PatchFeatures
            The extractor; it transforms as the saved one did.

        Raises
        ------
        ModelFormatError
            If something is missing or does not fit together.
        """
        try:
            extractor = cls(
                max_fit_samples=meta["max_fit_samples"], random_state=meta["random_state"]
            )
            extractor.size_ = as_size(meta["size"], owner="PatchFeatures")
            extractor.channels_ = int(meta["channels"])
            filters = PatchFilters(weight=arrays["weight"], bias=arrays["bias"], **meta["filters"])
            reducer = reducer_from_state(arrays, meta["reduce"])
        except (KeyError, TypeError) as error:
            raise ModelFormatError(
                f"The saved patch features do not hold together ({error}): the model is "
                "damaged; save it again or copy it anew."
            ) from error
        _check_shapes(filters, reducer, extractor.channels_)
        dictionary = PatchDictionary(random_state=extractor.random_state)
        dictionary.filters_ = filters
        dictionary.reducer_ = reducer
        dictionary.image_shape_ = (*extractor.size_, extractor.channels_)
        dictionary.n_features_in_ = extractor.size_[0]
        extractor.dictionary_ = dictionary
        return extractor


def _check_shapes(filters: PatchFilters, reducer: DampedPCA | None, channels: int) -> None:
    expected = (filters.patch_size**2 * channels, len(filters.bias))
    if filters.weight.shape != expected or filters.bias.shape != expected[1:]:
        raise ModelFormatError(
            f"The saved filters have shape {filters.weight.shape}, expected {expected}: the "
            "model is damaged; save it again or copy it anew."
        )
    if reducer is None or reducer.n_features_in_ != filters.n_values:
        raise ModelFormatError(
            "The saved components do not fit the filters: the model is damaged; save it again "
            "or copy it anew."
        )
