"""The patch dictionary over an image set: fitted on a sample, applied in a stream."""

import copy
import math
from dataclasses import KW_ONLY, asdict, dataclass
from typing import Any, Self

import numpy as np

from fewlabel.data import ImageSet
from fewlabel.errors import _damaged
from fewlabel.features.base import (
    _IMAGE_FIELDS,
    FeatureExtractor,
    Progress,
    _fill,
    _reducer_from_state,
    _reducer_state,
    _size_to_read,
)
from fewlabel.features.filters import _map_shape, _PatchFilters
from fewlabel.features.patches import PatchDictionary, _usual_stride
from fewlabel.features.reduce import _sample_rows
from fewlabel.params import _as_size, integer, number
from fewlabel.persist.schema import _OBJECT, State, _check_arrays, _Fields

_BLOCK_SIZE = 512
# Of a fine dictionary, at every other step of the usual one.
_FINE = {"n_filters": 80, "patch_size": 5, "grid": 6}
_REDUCED_SIDE = 64
_SIDES = [integer(1, 64)]
_FILTERS: _Fields = {
    "threshold": [number(-1e6, 1e6)],
    "pad": [integer(0, 64)],
    "patch_size": _SIDES,
    "stride": _SIDES,
    "grid": _SIDES,
}
# Responses of one image to all filters, which are held at once.
_MAX_RESPONSES = 1 << 26


@dataclass(eq=False, repr=False)
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
    fine : bool
        Smaller patches, pooled over smaller cells: details.

    Attributes
    ----------
    dictionary_ : PatchDictionary
        The fitted dictionary.
    size_ : (int, int)
        Height and width that images are read at.
    channels_ : int
        1 for gray, 3 for color.
    """

    size: tuple[int, int] | int | None = None
    _: KW_ONLY
    max_fit_samples: int = 10_000
    random_state: int = 0
    fine: bool = False

    name = "patches"
    _fields = {**_IMAGE_FIELDS, "reduce": [_OBJECT], "filters": [_FILTERS]}

    def _fit(self, images: ImageSet, progress: Progress | None) -> None:
        self.size_ = _size_to_read(images, self.size, "PatchFeatures", _REDUCED_SIDE)
        self.channels_ = 1 if images.is_gray else 3
        rows = _sample_rows(len(images), self.max_fit_samples, self.random_state)
        if progress is not None:
            progress("learn patches", 0, 1)
        sample = images.read(rows, size=self.size_, channels=self.channels_)
        kind: dict[str, Any] = {}
        if self.fine:
            kind = _FINE | {"stride": 2 * _usual_stride(self.size_)}
        self.dictionary_ = PatchDictionary(random_state=self.random_state, **kind).fit(sample)
        if progress is not None:
            progress("learn patches", 1, 1)

    def _transform(self, images: ImageSet, progress: Progress | None) -> np.ndarray:
        return _fill(
            len(images),
            self.width,
            images.blocks(_BLOCK_SIZE, size=self.size_, channels=self.channels_),
            lambda where, pixels: self.dictionary_._describe(pixels),
            "features",
            progress,
        )

    @property
    def width(self) -> int:
        """Length of a row."""
        # The dictionary's default number of components is never None here.
        assert self.dictionary_.reducer_ is not None
        return self.dictionary_.reducer_.n_components_

    def _leading(self, n: int) -> Self:
        """Return the extractor of the first ``n`` columns alone."""
        one = copy.copy(self)
        one.dictionary_ = copy.copy(self.dictionary_)
        assert self.dictionary_.reducer_ is not None
        one.dictionary_.reducer_ = self.dictionary_.reducer_._leading_only(n)
        return one

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
    def _from_state(cls, arrays: dict[str, np.ndarray], meta: dict[str, Any], device: str) -> Self:
        extractor = cls(max_fit_samples=meta["max_fit_samples"], random_state=meta["random_state"])
        extractor.size_ = _as_size(meta["size"], owner="PatchFeatures")
        extractor.channels_ = int(meta["channels"])
        filters = _saved_filters(arrays, meta)
        reducer = _reducer_from_state(arrays, meta, filters.n_values)
        dictionary = PatchDictionary(random_state=extractor.random_state)
        dictionary.filters_ = filters
        dictionary.reducer_ = reducer
        dictionary.image_shape_ = (*extractor.size_, extractor.channels_)
        dictionary.n_features_in_ = extractor.size_[0]
        extractor.dictionary_ = dictionary
        return extractor


def _saved_filters(arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> _PatchFilters:
    """Rebuild filters that fit their images."""
    numbers = {name: meta["filters"][name] for name in _FILTERS}
    n_pixels = numbers["patch_size"] ** 2 * meta["channels"]
    _check_arrays(arrays, {"weight": "p f", "bias": "f"}, "features", {"p": n_pixels})
    filters = _PatchFilters(weight=arrays["weight"], bias=arrays["bias"], **numbers)
    sides = _map_shape((1, *meta["size"]), filters)
    if min(sides) < filters.grid or math.prod(sides) * len(filters.bias) > _MAX_RESPONSES:
        raise _damaged(f"The saved filters do not fit images of {meta['size']}")
    return filters
