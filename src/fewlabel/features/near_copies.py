"""Near-copies: bursts, crops and re-encodings, found among the nearest neighbors of the graph."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from fewlabel.data import ImageSet, Labels
from fewlabel.texts import _percent_text

_NO_PAIRS = np.empty((0, 2), np.int64)

# Candidates are among so few neighbors, and nearer than this part of the local scale.
_NEAREST, _RATIO = 5, 0.6
# What is left of distinct neighbors' thumbnails once aligned, and the part of it that is a copy's.
_SAMPLE, _QUANTILE, _PART, _RESIDUALS = 500, 0.01, 0.3, (0.0015, 0.01)
# Of a batch, so many must be copies for the next one, whose pairs are farther apart.
_BATCH, _ENOUGH = 2_000, 0.05
_SIDE, _MARGIN, _STEPS = 28, 3, 4
# Fractions of half a side: a crop of a tenth in one corner, and a little more.
_MAX_STEP, _MAX_MOVE = 0.1, 0.25


class _ImageGroups(NamedTuple):
    """Which images belong together, as numbers (n,), and pairs (m, 2) of near-copies."""

    # The same for exact copies.
    content: np.ndarray
    # For near-copies as well.
    copies: np.ndarray
    # And for what the column `group` joins.
    number: np.ndarray
    pairs: np.ndarray

    @property
    def n_near(self) -> int:
        """Images that nearly repeat another."""
        return int(self.content.max() - self.copies.max()) if len(self.content) else 0

    def _akin(self, rows: np.ndarray) -> np.ndarray:
        """Return which images (n,) share a group with one of these, and are no exact copies."""
        near, same = (np.isin(of, of[rows]) for of in (self.number, self.content))
        return near & ~same

    def _in_words(self, images: ImageSet) -> str:
        """Return the share of near-copies and an example; empty where there are none."""
        if not self.n_near:
            return ""
        share, (first, second) = _percent_text(self.n_near / len(images)), self.pairs[0]
        pair = f"{images.names[first]} and {images.names[second]}"
        return f"{share} of all, such as {pair}: never both trained on and tested"


def _find_groups(
    images: ImageSet,
    labels: Labels | None = None,
    neighbors: np.ndarray | None = None,
    distances: np.ndarray | None = None,
) -> _ImageGroups:
    """Find near-copies: ratio test (Lowe 2004), then aligned thumbnails (Lucas & Kanade 1981)."""
    content, pairs = images.content_groups(), _NO_PAIRS
    if neighbors is not None and distances is not None and neighbors.shape[1] > 1:
        pairs = _near_copies(images, neighbors, distances)
    # Exact copies are known, and no near-copies.
    pairs = pairs[content[pairs[:, 0]] != content[pairs[:, 1]]]
    copies = _join_groups(content, pairs=pairs)
    return _ImageGroups(content, copies, _join_groups(copies, _given_groups(images, labels)), pairs)


def _near_copies(images: ImageSet, neighbors: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Return pairs (m, 2) of near-copies, the smaller index first, the nearest pairs first."""
    found, limit, pairs = _NO_PAIRS, 0.0, _candidates(neighbors, distances)
    for start in range(0, len(pairs), _BATCH):
        batch = pairs[start : start + _BATCH]
        limit = limit or _largest_residual(images, neighbors)
        copies = batch[_residuals(images, batch) < limit]
        found = np.concatenate([found, copies])
        # Of images that are all distinct, the time is that of a single batch.
        if len(copies) < _ENOUGH * len(batch):
            break
    return found


def _largest_residual(images: ImageSet, neighbors: np.ndarray) -> float:
    """Return how much aligned thumbnails of copies differ at most, given how much others do."""
    rows = np.unique(np.linspace(0, len(neighbors) - 1, _SAMPLE).astype(np.int64))
    others = _residuals(images, np.stack([rows, neighbors[rows, -1]], axis=1))
    return float(np.clip(_PART * np.quantile(others, _QUANTILE), *_RESIDUALS))


def _candidates(neighbors: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Return pairs that are far nearer than the last neighbor of either, nearest first."""
    near = neighbors[:, :_NEAREST]
    # Of a long burst, all neighbors are copies: what is usual elsewhere sets the scale, too.
    usual = np.median(distances[:, -1]) / 2
    scale = np.maximum(np.minimum(distances[:, -1:], distances[near, -1]), usual)
    ratio = distances[:, :_NEAREST] / np.maximum(scale, 1e-12)
    row, place = np.nonzero(ratio < _RATIO)
    order = np.argsort(ratio[row, place], kind="stable")
    pairs = np.sort(np.stack([row, near[row, place]], axis=1)[order], axis=1)
    _, first = np.unique(pairs, axis=0, return_index=True)
    return pairs[np.sort(first)]


def _residuals(images: ImageSet, pairs: np.ndarray) -> np.ndarray:
    """Return 1 - correlation of the gray, blurred thumbnails of each pair, once aligned."""
    rows, at = np.unique(pairs, return_inverse=True)
    pixels = images.read(rows, size=(_SIDE, _SIDE), channels=1).astype(np.float32) / 255
    gray = functional.pad(torch.from_numpy(pixels[..., 0])[:, None], (1, 1, 1, 1), "replicate")
    # What encoders and resizing do to single pixels does not count.
    blurred, at = functional.avg_pool2d(gray, 3, 1), at.reshape(pairs.shape)
    return _aligned(blurred[at[:, 0]], blurred[at[:, 1]])


def _aligned(moving: torch.Tensor, fixed: torch.Tensor) -> np.ndarray:
    """Align by Gauss-Newton steps in shift and zoom; return the least 1 - correlation."""
    n, side = len(moving), moving.shape[-1]
    inside = slice(_MARGIN, side - _MARGIN)
    axis = torch.linspace(-1 + 1 / side, 1 - 1 / side, side)
    x, y = torch.meshgrid(axis, axis, indexing="xy")
    to = fixed[:, 0, inside, inside].reshape(n, -1)
    to = to - to.mean(1, keepdim=True)
    move, least = torch.zeros(n, 3, 1, 1), torch.full((n,), 2.0)
    for _ in range(_STEPS + 1):
        grid = torch.stack([x, y], -1) * (1 + move[:, 2:]) + move[:, None, None, :2, 0, 0]
        warped = functional.grid_sample(moving, grid, padding_mode="border", align_corners=False)
        down, right = torch.gradient(warped[:, 0], spacing=2 / side, dim=(1, 2))
        columns = torch.stack([warped[:, 0], right, down, x * right + y * down], 1)
        jacobian = columns[:, :, inside, inside].reshape(n, 4, -1)
        jacobian = jacobian - jacobian.mean(2, keepdim=True)
        length = jacobian[:, 0].norm(dim=1) * to.norm(dim=1)
        same = (jacobian[:, 0] * to).sum(1) / length.clamp_min(1e-6)
        least = torch.minimum(least, 1 - same)
        product = jacobian @ jacobian.mT
        ridge = 1e-4 * product.diagonal(dim1=1, dim2=2) + 1e-8
        solved = torch.linalg.solve(product + torch.diag_embed(ridge), jacobian @ to[..., None])
        step = (solved[:, 1:] / solved[:, :1].clamp_min(0.2)).clamp(-_MAX_STEP, _MAX_STEP)
        move = (move + step[..., None]).clamp(-_MAX_MOVE, _MAX_MOVE)
    return np.asarray(least.numpy())


def _join_groups(*groups: Any, pairs: np.ndarray = _NO_PAIRS) -> np.ndarray:
    """Return one number for images that share a group in any grouping (n,), or stand in a pair."""
    # Imported late: listing and labeling images should not wait for scipy.
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    n, edges = len(groups[0]), [pairs]
    for group in groups:
        _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
        edges.append(np.stack([np.arange(n), first[inverse]], axis=1))
    rows, columns = np.concatenate(edges).T
    graph = sparse.coo_array((np.ones(len(rows)), (rows, columns)), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def _given_groups(images: Any, labels: Any = None) -> np.ndarray:
    """Return the groups that a manifest, a label table or both of them name."""
    groups: list[Any] = [np.arange(len(images))]
    for names in (images.given_groups, () if labels is None else labels.groups):
        # A blank one stands alone.
        groups += [[name or f"\0{i}" for i, name in enumerate(names)]] if names else []
    return _join_groups(*groups)
