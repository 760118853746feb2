"""The patch dictionary over an image set: fitted on a sample, applied in a stream."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from fewlabel.data import ImageSet
from fewlabel.errors import _damaged
from fewlabel.features.base import (
    FeatureExtractor,
    Progress,
    State,
    _fill,
    _reducer_from_state,
    _reducer_state,
    _size_to_read,
)
from fewlabel.features.filters import _PatchFilters
from fewlabel.features.patches import PatchDictionary
from fewlabel.features.reduce import DampedPCA, _sample_rows
from fewlabel.params import as_size

_BLOCK_SIZE = 512
_REDUCED_SIDE = 64


class PatchFeatures(FeatureExtractor):
    """Features from a patch dictionary learned on the images themselves.

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
        1 for gray, 3 for color.
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

    def _fit(self, images: ImageSet, progress: Progress | None) -> None:
        self.size_ = _size_to_read(images, self.size, "PatchFeatures", _REDUCED_SIDE)
        self.channels_ = 1 if images.is_gray else 3
        rows = _sample_rows(len(images), self.max_fit_samples, self.random_state)
        if progress is not None:
            progress("learn patches", 0, 1)
        sample = images.read(rows, size=self.size_, channels=self.channels_)
        self.dictionary_ = PatchDictionary(random_state=self.random_state).fit(sample)
        if progress is not None:
            progress("learn patches", 1, 1)

    def _transform(self, images: ImageSet, progress: Progress | None) -> np.ndarray:
        # The dictionary's default number of components is never None here.
        assert self.dictionary_.reducer_ is not None
        return _fill(
            len(images),
            self.dictionary_.reducer_.n_components_,
            images.blocks(_BLOCK_SIZE, size=self.size_, channels=self.channels_),
            lambda where, pixels: self.dictionary_.transform(pixels),
            "features",
            progress,
        )

    def _state(self) -> State:
        filters = asdict(self.dictionary_.filters_)
        arrays, reduction = _reducer_state(self.dictionary_.reducer_)
        arrays |= {name: filters.pop(name) for name in ("weight", "bias")}
        return arrays, {
            "size": list(self.size_),
            "channels": self.channels_,
            "max_fit_samples": self.max_fit_samples,
            "random_state": self.random_state,
            "filters": {**filters, "threshold": float(filters["threshold"])},
            **reduction,
        }

    @classmethod
    def _from_state(
        cls, arrays: dict[str, np.ndarray], meta: dict[str, Any], device: str
    ) -> PatchFeatures:
        extractor = cls(max_fit_samples=meta["max_fit_samples"], random_state=meta["random_state"])
        extractor.size_ = as_size(meta["size"], owner="PatchFeatures")
        extractor.channels_ = int(meta["channels"])
        filters = _PatchFilters(weight=arrays["weight"], bias=arrays["bias"], **meta["filters"])
        reducer = _reducer_from_state(arrays, meta)
        _check_shapes(filters, reducer, extractor.channels_)
        dictionary = PatchDictionary(random_state=extractor.random_state)
        dictionary.filters_ = filters
        dictionary.reducer_ = reducer
        dictionary.image_shape_ = (*extractor.size_, extractor.channels_)
        dictionary.n_features_in_ = extractor.size_[0]
        extractor.dictionary_ = dictionary
        return extractor


def _check_shapes(filters: _PatchFilters, reducer: DampedPCA | None, channels: int) -> None:
    expected = (filters.patch_size**2 * channels, len(filters.bias))
    if filters.weight.shape != expected or filters.bias.shape != expected[1:]:
        raise _damaged(f"The saved filters have shape {filters.weight.shape}, expected {expected}")
    if reducer is None or reducer.n_features_in_ != filters.n_values:
        raise _damaged("The saved components do not fit the filters")
