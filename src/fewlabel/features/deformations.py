"""Features that small deformations of an image change little: a discriminant without labels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from fewlabel.features.reduce import DampedPCA

# An image is turned, sheared and scaled by up to this much,
# and moved by up to this share of its side.
_DEGREES, _SHEAR, _SCALE, _SHIFT = 8.0, 0.08, 0.06, 1 / 28
_N_COMPONENTS = 512
_N_DEFORMED = 10_000
_MAX_ROUNDS = 8
# Of the mean variance under deformations: how much any direction counts as having at least.
_SHRINKAGE = 0.03
_BLOCK = 1_024


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
