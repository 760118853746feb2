"""Exact nearest centers of a fixed set of rows, for centers that move a little each round.

Two facts make a round of k-means cheaper than the full product of rows and centers.

*Projection.* Write ``p`` for the leading principal directions and ``r`` for the length of what
they leave over. Then ``|x - c|² ≥ |p(x) - p(c)|² + (r(x) - r(c))²``, and the right-hand side is
one product of rows with ``m + 1`` columns instead of ``d``. Only the centers whose bound lies
below the distance to the row's present center are looked at in full, about two a row.

*Unmoved centers.* If a row's own center did not move away from it, a center that did not move
at all cannot have become nearer. Such rows are compared with the moved centers alone.

Neither drops a nearest center: bounds carry a margin for rounding, and every distance that
decides is a float32 sum of squared differences in full space.
"""

from typing import NamedTuple

import numpy as np
import torch
from sklearn.utils import gen_batches

from fewlabel.cluster.topk import _ScoreBuffer
from fewlabel.compute import _in_threads

# Rows gathered together for direct distances: two such blocks stay in the second-level cache.
_PAIRS_AT_ONCE = 256
# Fewer pairs than this are not worth a second thread.
_PAIRS_A_THREAD = 2_048
_ROWS_AT_ONCE, _ROWS_FORMED = 16_384, 2_048
_SCORES_AT_ONCE = 1_048_576
# With fewer centers the full product costs less than the bookkeeping that would avoid it.
_PLAIN_BELOW = 64
# Below these sizes the full product costs less than finding the principal directions.
_MIN_ROWS, _MIN_CENTERS, _MIN_FEATURES = 8_192, 256, 192


def _squared_distances(
    X: np.ndarray, rows: np.ndarray, centers: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Squared Euclidean distances of given pairs, by direct differences."""
    squared = np.empty(len(rows), dtype=np.float32)

    def fill(part: slice) -> None:
        _fill_squared(X, rows[part], centers, labels[part], squared[part])

    _in_threads(fill, len(rows), _PAIRS_A_THREAD)
    return squared


def _fill_squared(
    X: np.ndarray, rows: np.ndarray, centers: np.ndarray, labels: np.ndarray, out: np.ndarray
) -> None:
    size = min(len(rows), _PAIRS_AT_ONCE)
    left_room, right_room = np.empty((2, size, X.shape[1]), dtype=np.float32)
    for start in range(0, len(rows), _PAIRS_AT_ONCE):
        chunk = slice(start, start + _PAIRS_AT_ONCE)
        n_pairs = len(rows[chunk])
        left, right = left_room[:n_pairs], right_room[:n_pairs]
        # mode="clip" lets take write straight into the room; "raise" would copy through its own.
        np.take(X, rows[chunk], axis=0, out=left, mode="clip")
        np.take(centers, labels[chunk], axis=0, out=right, mode="clip")
        left -= right
        np.einsum("ij,ij->i", left, left, out=out[chunk])


class _Centers(NamedTuple):
    """Centers to compare with, and those ``columns`` of them as the product sees them."""

    centers: np.ndarray
    columns: np.ndarray
    # Of each center the place among the columns, or -1.
    position: np.ndarray
    factor: torch.Tensor
    halves: torch.Tensor
    margin: float


class _CenterSearch:
    """Keeps rows in the form in which their nearest centers are found fastest."""

    def __init__(self, X: np.ndarray, n_clusters: int) -> None:
        self._X = X
        mean = X.mean(axis=0, dtype=np.float64).astype(np.float32)
        self.basis = None
        if len(X) >= _MIN_ROWS and n_clusters >= _MIN_CENTERS and X.shape[1] >= _MIN_FEATURES:
            self.basis = _leading_directions(X, mean)
        self.mean_variance = _mean_variance(X, mean)
        # Centering shrinks the rounding margin; without an offset to remove it only costs a copy.
        if self.basis is None and float(mean @ mean) <= self.mean_variance * X.shape[1]:
            mean = np.zeros_like(mean)
        self._mean = mean
        self._rows, self._norms = self._represent(X, keep=not mean.any())
        columns = self._rows.shape[1]
        # Rounding of half a dot product of unit vectors: random-walk growth, several times over.
        self._rounding = 6e-8 * 8 * columns**0.5

    def nearest(self, centers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the nearest center of every row from scratch."""
        labels = np.full(len(self._X), -1, dtype=np.int64)
        squared = np.full(len(self._X), np.inf, dtype=np.float32)
        self.update(labels, squared, centers, np.ones(len(centers), dtype=bool))
        self.measure(labels, squared, centers)
        return labels, squared

    def update(
        self, labels: np.ndarray, squared: np.ndarray, centers: np.ndarray, moved: np.ndarray
    ) -> None:
        """Bring nearest centers up to date after some centers moved."""
        if len(centers) < _PLAIN_BELOW:
            self._assign_plainly(labels, squared, centers)
            return
        new = labels < 0
        # A row whose own center moved has another distance to it now.
        stale = np.flatnonzero(~new & moved[labels])
        before = squared[stale]
        squared[stale] = _squared_distances(self._X, stale, centers, labels[stale])
        # Only where its own center went away may one that did not move have become the nearest.
        open_to_all = new
        open_to_all[stale[squared[stale] > before]] = True
        columns = np.flatnonzero(moved)
        # Gathering rows costs about as much as a quarter of the columns saves.
        if len(columns) * 4 >= len(centers) * 3:
            open_to_all[:] = True
        form, norms = self._represent(centers, keep=False)
        target = self._target(centers, np.arange(len(centers)), form, norms)
        self._improve(np.flatnonzero(open_to_all), target, labels, squared)
        if len(columns):
            some = form[torch.from_numpy(columns)]
            target = self._target(centers, columns, some, norms[columns])
            self._improve(np.flatnonzero(~open_to_all), target, labels, squared)

    def _assign_plainly(self, labels: np.ndarray, squared: np.ndarray, centers: np.ndarray) -> None:
        """Compare all rows with all centers."""
        form, norms = self._represent(centers, keep=False)
        factor, halves = form.T.contiguous(), torch.from_numpy(norms / 2)
        for start in range(0, len(labels), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            scores = (self._rows[part] @ factor).sub_(halves).numpy()
            best = scores.argmax(axis=1)
            labels[part] = best
            rough = self._norms[part] - 2 * scores[np.arange(len(best)), best]
            # What is left between equal points is rounding: it must not look like a distance.
            squared[part] = np.where(rough > 4e-6 * self._norms[part], rough, 0)

    def measure(self, labels: np.ndarray, squared: np.ndarray, centers: np.ndarray) -> None:
        """Replace rough distances, which `update` gives for few centers, by direct ones."""
        if len(centers) < _PLAIN_BELOW:
            squared[:] = _squared_distances(self._X, np.arange(len(labels)), centers, labels)

    def _target(
        self, centers: np.ndarray, columns: np.ndarray, form: torch.Tensor, norms: np.ndarray
    ) -> _Centers:
        position = np.full(len(centers), -1, dtype=np.int64)
        position[columns] = np.arange(len(columns))
        margin = self._rounding * float(norms.max())
        halves = torch.from_numpy(norms / 2)
        return _Centers(centers, columns, position, form.T.contiguous(), halves, margin)

    def _improve(
        self, rows: np.ndarray, target: _Centers, labels: np.ndarray, squared: np.ndarray
    ) -> None:
        """Give ``rows`` a nearer center among those of ``target`` where there is one."""
        step = max(64, min(_ROWS_AT_ONCE, _SCORES_AT_ONCE // len(target.columns)))
        whole = len(rows) == len(self._X)

        def improve(some: slice) -> None:
            buffer = _ScoreBuffer()
            for start in range(some.start, min(some.stop, len(rows)), step):
                part = slice(start, min(start + step, some.stop))
                chunk = rows[part]
                block = self._rows[part] if whole else self._rows[torch.from_numpy(chunk)]
                buffer.product(block, target.factor, bias=target.halves)
                self._improve_chunk(chunk, buffer, target, labels, squared)

        _in_threads(improve, len(rows), step)

    def _improve_chunk(
        self,
        chunk: np.ndarray,
        buffer: _ScoreBuffer,
        target: _Centers,
        labels: np.ndarray,
        squared: np.ndarray,
    ) -> None:
        scores = buffer.scores.numpy()
        if labels[chunk[0]] < 0:
            labels[chunk] = scores.argmax(axis=1)
            squared[chunk] = _squared_distances(self._X, chunk, target.centers, labels[chunk])
        # The present center is not a candidate against itself.
        own = target.position[labels[chunk]]
        inside = np.flatnonzero(own >= 0)
        scores[inside, own[inside]] = -np.inf
        # |x - c|² < |x - own|², written for the score x·c - |c|²/2 that the product gives.
        floor = (self._norms[chunk] - squared[chunk]) / 2
        floor -= self._rounding * self._norms[chunk] + target.margin
        at, column = buffer.above(torch.from_numpy(floor))
        if len(at):
            candidates = target.columns[column]
            found = _squared_distances(self._X, chunk[at], target.centers, candidates)
            _settle(chunk, at, candidates, found, labels, squared)

    def _represent(self, points: np.ndarray, *, keep: bool) -> tuple[torch.Tensor, np.ndarray]:
        """Points as the product sees them, and their squared distances to the mean."""
        if self.basis is None:
            centered = points if keep else points - self._mean
            norms = np.einsum("ij,ij->i", centered, centered)
            return torch.from_numpy(centered), norms
        n_directions = self.basis.shape[1]
        form = np.empty((len(points), n_directions + 1), dtype=np.float32)
        norms = np.empty(len(points), dtype=np.float32)
        basis = torch.from_numpy(self.basis)

        def fill(some: slice) -> None:
            for part in gen_batches(len(points[some]), _ROWS_FORMED):
                centered = points[some][part] - self._mean
                formed, squares = form[some][part], norms[some][part]
                squares[:] = np.einsum("ij,ij->i", centered, centered)
                formed[:, :-1] = (torch.from_numpy(centered) @ basis).numpy()
                inside = np.einsum("ij,ij->i", formed[:, :-1], formed[:, :-1])
                # Rounding must not make the remainder too short: longer, it weakens the bound.
                formed[:, -1] = np.sqrt(np.maximum(squares - inside, 0) + 4e-6 * squares)

        _in_threads(fill, len(points), _ROWS_FORMED)
        return torch.from_numpy(form), norms


def _settle(
    chunk: np.ndarray,
    at: np.ndarray,
    candidates: np.ndarray,
    found: np.ndarray,
    labels: np.ndarray,
    squared: np.ndarray,
) -> None:
    """Move rows to the nearest of their candidates where it is nearer than their center."""
    # found[i] is the squared distance of chunk[at[i]] to candidates[i]; at ascends.
    first = np.flatnonzero(np.diff(at, prepend=-1))
    best = np.minimum.reduceat(found, first)
    # The first candidate that attains the minimum, so that ties take the lowest index.
    attains = np.flatnonzero(found == np.repeat(best, np.diff(first, append=len(at))))
    winner = attains[np.unique(at[attains], return_index=True)[1]]
    row = chunk[at[first]]
    nearer = best < squared[row]
    labels[row[nearer]] = candidates[winner[nearer]]
    squared[row[nearer]] = best[nearer]


def _mean_variance(X: np.ndarray, mean: np.ndarray) -> float:
    """Return the variance of a feature, averaged over them, from a sample of the rows."""
    return float(((X[:: max(1, len(X) // 4096)] - mean) ** 2).sum(axis=1).mean()) / X.shape[1]


def _leading_directions(X: np.ndarray, mean: np.ndarray) -> np.ndarray | None:
    """Principal directions that leave 8 % of the variance, or None if they are too many."""
    sample = torch.from_numpy(X[:: max(1, len(X) // 8192)] - mean)
    covariance = (sample.T @ sample).double().numpy()
    values, vectors = np.linalg.eigh(covariance)
    left = 1 - np.cumsum(values[::-1]) / max(float(values.sum()), np.finfo(float).tiny)
    n_directions = int(np.searchsorted(-left, -0.08)) + 1
    n_directions = -(-n_directions // 16) * 16 - 1
    if n_directions > X.shape[1] // 2:
        return None
    return np.ascontiguousarray(vectors[:, ::-1][:, :n_directions], dtype=np.float32)
