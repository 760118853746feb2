"""The patch dictionary: image features learned without labels or pretrained weights."""

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted, validate_data

from fewlabel.cluster.transformer import Transformer
from fewlabel.compute import _as_generator
from fewlabel.errors import UsageError
from fewlabel.features.filters import (
    _learn_filters,
    _PatchFilters,
    _pooled_responses,
    _sample_patches,
)
from fewlabel.features.reduce import REDUCTION_CONSTRAINTS, DampedPCA
from fewlabel.params import check_parameters, integer, number

# An image is turned, sheared and scaled by up to this much,
# and moved by up to this share of its side.
_DEGREES, _SHEAR, _SCALE, _SHIFT = 8.0, 0.08, 0.06, 1 / 28
_N_COMPONENTS = 512
_N_DEFORMED = 10_000
_MAX_ROUNDS = 8
# Of the mean variance under deformations: how much any direction counts as having at least.
_SHRINKAGE = 0.03
_BLOCK = 1_024

# Pixels of the images that patches are cut from, in float32.
_POOL_VALUES = 30_000_000


@dataclass(eq=False, repr=False)
class PatchDictionary(Transformer):
    """Features of images from a dictionary of whitened patches.

    Patches are contrast-normalized and whitened, a dictionary of filters is learned from them
    by spherical k-means, and an image is described by how strongly each filter responds, with
    either sign, in each cell of a grid: two-sided soft threshold, mean over the cell, square
    root. Kept are the directions along which images differ most, measured by how much small
    random turns, shears, shifts and changes of scale move an image along them. No label is looked
    at.

    Parameters
    ----------
    n_filters : int
        Size of the dictionary.
    patch_size : int
        Side of a patch in pixels; a third of the image's shorter side at most.
    stride : int or None
        Pixels from patch to patch; None takes about 28 steps across the image.
    grid : int
        Cells a side over which responses are averaged.
    threshold : float
        Soft threshold, in standard deviations of the responses.
    n_components : int or None
        Dimensions that are kept; None keeps the pooled responses.
    power : float
        Each dimension is divided by its variance to this power, once all change alike under
        small deformations of an image.
    n_patches : int
        Patches that the dictionary is learned from.
    n_pca_samples : int
        Images that these dimensions are learned from.
    image_shape : tuple of int or None
        ``(H, W)`` or ``(H, W, C)`` of the images in the rows of a two-dimensional ``X``. By
        default such a row is taken for a square gray image, or a strip one pixel high.
    random_state : int, RandomState or None
        Seed of every random choice.

    Attributes
    ----------
    filters_ : PatchFilters
        The dictionary.
    reducer_ : DampedPCA or None
        The fitted reduction.
    image_shape_ : tuple of int
        ``(H, W, C)`` of the images seen in ``fit``.
    n_features_in_ : int
        Width of a two-dimensional ``X``; otherwise the height of the images.

    References
    ----------
    Coates, Lee and Ng, "An analysis of single-layer networks in unsupervised feature
    learning", AISTATS 2011. Coates and Ng, "Learning feature representations with k-means",
    Neural Networks: Tricks of the Trade, 2012.

    Examples
    --------
    >>> from fewlabel.data import load_images
    >>> X = load_images("digits").read(slice(0, 200))
    >>> PatchDictionary(16, n_components=10, random_state=0).fit_transform(X).shape
    (200, 10)
    """

    n_filters: int = 120
    _: KW_ONLY
    patch_size: int = 7
    stride: int | None = None
    grid: int = 4
    threshold: float = 0.25
    n_components: int | None = 128
    power: float = 0.25
    n_patches: int = 100_000
    n_pca_samples: int = 10_000
    image_shape: tuple[int, ...] | None = None
    random_state: int | np.random.RandomState | None = None

    _parameter_constraints: ClassVar[dict] = {
        "n_filters": [integer(1)],
        "patch_size": [integer(1)],
        "grid": [integer(1)],
        "n_patches": [integer(1)],
        "n_pca_samples": [integer(1)],
        "n_components": REDUCTION_CONSTRAINTS["n_components"],
        "stride": [integer(1), None],
        "threshold": [number(0, 10, closed="both")],
        "power": REDUCTION_CONSTRAINTS["power"],
    }

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the dictionary and the reduction from images (n, H, W), (n, H, W, C) or (n, d)."""
        check_parameters(self)
        images = self._as_images(X, reset=True)
        rng = _as_generator(self.random_state)
        self.image_shape_ = images.shape[1:]
        self.filters_ = self._learn(images, rng)
        self.reducer_ = None
        self._n_features_out = self.filters_.n_values
        if self.n_components is not None:
            rows = np.sort(rng.permutation(len(images))[: self.n_pca_samples])
            # One array from the start: joined blocks would be held twice.
            sample = np.empty((len(rows), self.filters_.n_values), dtype=np.float32)
            for block in gen_batches(len(rows), _BLOCK):
                sample[block] = _pooled_responses(images[rows[block]], self.filters_)
            self.reducer_ = _reduce_invariantly(
                images[rows],
                sample,
                lambda block: _pooled_responses(block, self.filters_),
                self.n_components,
                self.power,
                rng,
            )
            self._n_features_out = self.reducer_.n_components_
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Describe images like those in ``fit``."""
        check_is_fitted(self, "filters_")
        images = self._as_images(X, reset=False)
        if images.shape[1:] != self.image_shape_:
            raise ValueError(
                f"X has images of shape {images.shape[1:]}, but PatchDictionary was fitted on "
                f"{self.image_shape_}."
            )
        return self._describe(images)

    def _describe(self, images: np.ndarray) -> np.ndarray:
        """Describe images that need no check, which takes longer than to describe one."""
        rows = []
        for block in gen_batches(len(images), _BLOCK):
            pooled = _pooled_responses(images[block], self.filters_)
            rows.append(pooled if self.reducer_ is None else self.reducer_._reduce(pooled))
        return np.concatenate(rows)

    def _learn(self, images: np.ndarray, rng: np.random.Generator) -> _PatchFilters:
        shorter = min(images.shape[1:3])
        size = min(self.patch_size, max(1, shorter // 3))
        # Fewer patches see the border than the middle: a margin of zeros evens that out.
        pad = size // 3
        stride = self.stride or _usual_stride(images.shape[1:3])
        grid = max(1, min(self.grid, (shorter + 2 * pad - size) // stride + 1))
        # A patch an image is plenty, and the images that are cut from must fit in memory.
        n_pool = max(1, _POOL_VALUES // max(1, math.prod(images.shape[1:])))
        pool = np.sort(rng.permutation(len(images))[:n_pool])
        white = np.float32(255 if images.dtype == np.uint8 else 1)
        chosen = np.asarray(images[pool], np.float32) / white
        patches = _sample_patches(chosen, self.n_patches, size, pad, rng)
        return _learn_filters(
            patches,
            self.n_filters,
            threshold=self.threshold,
            patch_size=size,
            stride=stride,
            pad=pad,
            grid=grid,
            rng=rng,
        )

    def _as_images(self, X: Any, *, reset: bool) -> np.ndarray:
        given = np.asarray(X) if not hasattr(X, "sparse") else X
        kept = [np.uint8] if getattr(given, "dtype", None) == np.uint8 else [np.float32]
        array = validate_data(
            self, X, reset=reset, allow_nd=True, dtype=kept, order="C", ensure_min_samples=1
        )
        if array.ndim == 2:
            return array.reshape(len(array), *self._row_shape(array.shape[1]))
        if array.ndim == 3:
            return array[..., None]
        if array.ndim != 4:
            raise UsageError(f"X must have 2, 3 or 4 dimensions. Got {array.ndim} instead.")
        return array

    def _row_shape(self, width: int) -> tuple[int, int, int]:
        if self.image_shape is None:
            side = math.isqrt(width)
            return (side, side, 1) if side * side == width else (1, width, 1)
        height, breadth, channels = (*self.image_shape, 1)[:3]
        if height * breadth * channels != width:
            raise UsageError(
                f"The 'image_shape' parameter of PatchDictionary must match the {width} columns "
                f"of X. Got {self.image_shape} instead."
            )
        return height, breadth, channels


def _usual_stride(size: tuple[int, ...]) -> int:
    """Return the pixels from patch to patch that make about 28 steps across images."""
    return max(1, round(min(size) / 28))


def _reduce_invariantly(
    images: np.ndarray,
    rows: np.ndarray,
    describe: Callable[[np.ndarray], np.ndarray],
    n_components: int,
    power: float,
    rng: np.random.Generator,
) -> DampedPCA:
    """Return a reducer of rows (n, d), which are overwritten, of images.

    It keeps the directions along which images differ most beside how much small random deformations
    change them: Fisher's discriminant with every image as a class of its own.
    """
    seed = int(rng.integers(2**31))
    width = max(n_components, _N_COMPONENTS)
    reducer = DampedPCA(width, power=0, random_state=seed)._fit_overwriting(rows)
    reduced = rows @ reducer.components_
    reduced -= reduced.mean(axis=0)
    k = reduced.shape[1]
    within = np.zeros((k, k))
    for _ in range(min(_MAX_ROUNDS, max(1, _N_DEFORMED // len(images)))):
        for start in range(0, len(images), _BLOCK):
            block = slice(start, start + _BLOCK)
            deformed = describe(_deform(images[block], rng))
            change = reducer.transform(deformed) - reduced[block]
            within += change.T @ change
    floor = _SHRINKAGE * np.trace(within) / k
    if floor > 0:
        values, vectors = np.linalg.eigh(within + floor * np.eye(k))
        # Whitened so, every direction changes alike under deformations.
        whitening = vectors / np.sqrt(values / values.mean())
        spread = reduced @ whitening.astype(np.float32)
        values, vectors = np.linalg.eigh(np.cov(spread, rowvar=False).reshape(k, k))
        kept = np.flatnonzero(values > 1e-6 * values[-1])[: -n_components - 1 : -1]
        components = reducer.components_ @ (whitening @ vectors[:, kept])
        reducer.components_ = components.astype(np.float32)
        reducer.eigenvalues_ = values[kept].astype(np.float32)
    else:
        reducer.components_ = reducer.components_[:, :n_components].copy()
        reducer.eigenvalues_ = reducer.eigenvalues_[:n_components].copy()
    reducer.n_components_ = reducer._n_features_out = reducer.components_.shape[1]
    reducer.n_components, reducer.power = n_components, power
    return reducer


def _deform(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn, shear, scale and shift each of the images (n, H, W, C) a little, at random."""
    n = len(images)
    angle, shear = np.radians(rng.uniform(-_DEGREES, _DEGREES, n)), rng.uniform(-_SHEAR, _SHEAR, n)
    scale = np.exp(rng.uniform(-_SCALE, _SCALE, (2, n)))
    matrix = np.empty((n, 2, 3), np.float32)
    matrix[:, 0, 0], matrix[:, 0, 1] = np.cos(angle) * scale[0], shear - np.sin(angle) * scale[1]
    matrix[:, 1, 0], matrix[:, 1, 1] = np.sin(angle) * scale[0], np.cos(angle) * scale[1]
    # An image reaches from -1 to 1.
    matrix[:, :, 2] = rng.uniform(-2 * _SHIFT, 2 * _SHIFT, (n, 2))
    pixels = torch.from_numpy(np.asarray(images, np.float32)).permute(0, 3, 1, 2)
    grid = torch.nn.functional.affine_grid(
        torch.from_numpy(matrix), list(pixels.shape), align_corners=False
    )
    moved = torch.nn.functional.grid_sample(
        pixels, grid, padding_mode="border", align_corners=False
    )
    if images.dtype == np.uint8:
        moved.round_()
    return moved.permute(0, 2, 3, 1).contiguous().numpy().astype(images.dtype)
