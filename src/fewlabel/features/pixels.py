"""Pixels as features: the simplest extractor, and the yardstick for the others."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Self

import numpy as np

from fewlabel.data import ImageSet
from fewlabel.features.base import (
    _IMAGE_FIELDS,
    FeatureExtractor,
    Progress,
    _fill,
    _reducer_from_state,
    _reducer_state,
    _size_to_read,
)
from fewlabel.features.reduce import REDUCTION_CONSTRAINTS, DampedPCA, _sample_rows
from fewlabel.params import _as_size, check_parameters
from fewlabel.persist.schema import State

_BLOCK_SIZE = 512
# Half that of patches: a row has a value for every pixel.
_REDUCED_SIDE = 32


@dataclass(eq=False, repr=False)
class Pixels(FeatureExtractor):
    """Resized pixels from 0 to 1, flattened, and optionally reduced by `DampedPCA`.

    Parameters
    ----------
    size : (int, int), int or None
        Height and width to read images at. None takes the size of the images where all share
        one and no side is longer than 64 pixels, and 32 × 32 otherwise.
    gray : bool or None
        Whether to read images as gray; None does so if all the images seen by `fit` are.
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
        1 for gray, 3 for color.
    reducer_ : DampedPCA or None
        The fitted reduction.
    """

    size: tuple[int, int] | int | None = None
    _: KW_ONLY
    gray: bool | None = None
    n_components: int | None = None
    power: float = 0.25
    max_fit_samples: int = 20_000
    random_state: int = 0

    name = "pixels"
    _fields = _IMAGE_FIELDS
    _parameter_constraints: ClassVar[dict] = REDUCTION_CONSTRAINTS

    @property
    def width(self) -> int:
        """Length of a row."""
        return self._width(self.reducer_)

    def _fit(self, images: ImageSet, progress: Progress | None) -> None:
        check_parameters(self)
        self.size_ = _size_to_read(images, self.size, "Pixels", _REDUCED_SIDE)
        gray = images.is_gray if self.gray is None else self.gray
        self.channels_ = 1 if gray else 3
        self.reducer_: DampedPCA | None = None
        if self.n_components is not None:
            rows = _sample_rows(len(images), self.max_fit_samples, self.random_state)
            pixels = self._read(images.subset(rows), None, "learn components", progress)
            reducer = DampedPCA(self.n_components, power=self.power, random_state=self.random_state)
            self.reducer_ = reducer.fit(pixels)

    def _transform(self, images: ImageSet, progress: Progress | None) -> np.ndarray:
        return self._read(images, self.reducer_, "pixels", progress)

    def _state(self) -> State:
        arrays, reduction = _reducer_state(self.reducer_)
        return arrays, {
            "size": list(self.size_),
            "channels": self.channels_,
            "max_fit_samples": self.max_fit_samples,
            "random_state": self.random_state,
            **reduction,
        }

    @classmethod
    def _from_state(cls, arrays: dict[str, np.ndarray], meta: dict[str, Any], device: str) -> Self:
        size, channels = _as_size(meta["size"], owner="Pixels"), meta["channels"]
        settings = {name: meta[name] for name in ("max_fit_samples", "random_state")}
        extractor = cls(size, gray=channels == 1, **settings)
        extractor.size_, extractor.channels_ = size, channels
        reducer = _reducer_from_state(arrays, meta, size[0] * size[1] * channels)
        extractor.reducer_ = reducer
        if reducer is not None:
            extractor.n_components, extractor.power = reducer.n_components, reducer.power
        return extractor

    def _width(self, reducer: DampedPCA | None) -> int:
        n_pixels = self.size_[0] * self.size_[1] * self.channels_
        return n_pixels if reducer is None else reducer.n_components_

    def _read(
        self, images: ImageSet, reducer: DampedPCA | None, stage: str, progress: Progress | None
    ) -> np.ndarray:
        def describe(where: slice, pixels: np.ndarray) -> np.ndarray:
            rows = pixels.reshape(len(pixels), -1).astype(np.float32)
            rows /= 255
            return rows if reducer is None else reducer.transform(rows)

        width = self._width(reducer)
        blocks = images.blocks(_BLOCK_SIZE, size=self.size_, channels=self.channels_)
        return _fill(len(images), width, blocks, describe, stage, progress)
