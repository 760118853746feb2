"""Approximate nearest neighbors by cells: compare a row with the rows of its nearest cells only.

The rows are split into about ``sqrt(n)`` cells by k-means, as in an inverted file. All rows that
look into a cell are multiplied with its members in one product, so that the work stays a
sequence of matrix products. How many cells each row looks into is not guessed: it is the least
number that reaches the wanted recall on a sample whose neighbors were found exhaustively.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.utils import gen_batches

from fewlabel.cluster.lloyd import _lloyd
from fewlabel.cluster.topk import _ScoreBuffer, _TopScores
from fewlabel.compute import _in_threads

BLOCK_ROWS = 65_536
"""Rows that are prepared, or whose neighbors are searched, at once."""

_TRAINING_ROWS_PER_CELL = 48
_SAMPLE = 600
# Two standard errors of a recall near 0.99 measured on the sample's 9,000 neighbors (k = 15).
_SAMPLING_MARGIN = 0.003
# So few queries are quicker one by one: in most cells, no two of them look.
_FEW = 128
# Of fewer queries, hardly any look into the same cell.
_QUERIES_A_THREAD = 4_096


class _Cells:
    """Rows sorted by cell, with what a search needs to know about the cells."""

    def __init__(
        self,
        n: int,
        prepared: Callable[[Any], np.ndarray],
        *,
        spherical: bool,
        rng: np.random.Generator,
    ) -> None:
        # ``prepared`` gives some of the n rows as they are compared: all of them at once may be
        # more than there is memory for.
        # Of 140,000 rows, twice as many cells take a fifth longer.
        n_cells = int(np.clip(round(n**0.5), 2, 4096))
        centers = _train(n, prepared, n_cells, spherical=spherical, rng=rng)
        self._centers = torch.from_numpy(centers)
        self._center_bias = torch.from_numpy(np.einsum("ij,ij->i", centers, centers) / 2)
        parts = [self.rank(prepared(part), 1)[:, 0] for part in gen_batches(n, BLOCK_ROWS)]
        cell_of = np.concatenate(parts)
        # Rows of a cell lie side by side, so that looking into one is a product of slices.
        self.order = np.argsort(cell_of, kind="stable")
        self._cell_of = cell_of[self.order]
        self._starts = np.searchsorted(self._cell_of, np.arange(n_cells + 1))
        # Places of rows on which recall is measured.
        self.sample = np.sort(rng.choice(n, min(n, _SAMPLE), replace=False))

    def fill(self, rows: np.ndarray, bias: np.ndarray | None) -> None:
        """Take the rows in their new ``order``: what is found are places in it."""
        self._rows = torch.from_numpy(rows)
        self._bias = None if bias is None else torch.from_numpy(bias)

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self._centers)

    def rank(self, queries: np.ndarray, n_best: int) -> np.ndarray:
        """Find the nearest cells of each query."""
        best = np.empty((len(queries), n_best), dtype=np.int16)
        for start in range(0, len(queries), 8192):
            part = torch.from_numpy(queries[start : start + 8192])
            scores = part @ self._centers.T - self._center_bias
            best[start : start + 8192] = scores.topk(n_best, dim=1).indices.numpy()
        return best

    def needed(
        self, queries: np.ndarray, neighbors: np.ndarray, recall: float
    ) -> tuple[int, float]:
        """Find how many cells a query must look into, and the recall that was measured so."""
        ranking = np.argsort(self.rank(queries, self.n_cells), axis=1)
        ranks = np.take_along_axis(ranking, self._cell_of[neighbors].astype(np.int64), axis=1)
        found = np.cumsum(np.bincount(ranks.ravel(), minlength=self.n_cells)) / ranks.size
        n_probes = int(np.searchsorted(found, min(recall + _SAMPLING_MARGIN, 1.0))) + 1
        n_probes = min(n_probes, self.n_cells)
        return n_probes, float(found[n_probes - 1])

    def search(
        self, queries: np.ndarray, k: int, n_probes: int, own: np.ndarray | None
    ) -> np.ndarray:
        """Find the places (m, k) of the best stored rows of each query in its nearest cells."""
        ids = np.empty((len(queries), k), dtype=np.int64)

        def search(part: slice) -> None:
            place = None if own is None else own[part]
            ids[part] = self._search(queries[part], k, n_probes, place).ids

        # Visits to a cell are few and large where a thread has as many queries as there can be.
        share = -(-len(queries) // torch.get_num_threads())
        _in_threads(search, len(queries), max(share, _QUERIES_A_THREAD))
        return ids

    def _search(
        self, queries: np.ndarray, k: int, n_probes: int, own: np.ndarray | None
    ) -> _TopScores:
        top = _TopScores(len(queries), k)
        cells = self.rank(queries, n_probes)
        if own is None and len(queries) <= _FEW:
            for row, near in enumerate(cells.tolist()):
                self._put_nearest(torch.from_numpy(queries[row]), near, top, row)
            return top
        buffer = _ScoreBuffer()
        # Each pass raises the floors, so that the next and larger one lets fewer scores through.
        for first, last in ((0, 1), (1, 4), (4, n_probes)):
            if first < min(last, n_probes):
                self._pass(queries, cells[:, first:last], top, own, buffer, fresh=first == 0)
        return top

    def _put_nearest(
        self, query: torch.Tensor, cells: list[int], top: _TopScores, row: int
    ) -> None:
        """Score the members of all cells that one query looks into."""
        parts = [slice(self._starts[cell], self._starts[cell + 1]) for cell in cells]
        scores = torch.cat([self._rows[part] @ query for part in parts])
        if self._bias is not None:
            scores -= torch.cat([self._bias[part] for part in parts])
        members = np.concatenate([np.arange(part.start, part.stop) for part in parts])
        top.put(slice(row, row + 1), scores[None], members)

    def _pass(
        self,
        queries: np.ndarray,
        cells: np.ndarray,
        top: _TopScores,
        own: np.ndarray | None,
        buffer: _ScoreBuffer,
        *,
        fresh: bool,
    ) -> None:
        """Look into the given cells of each query."""
        width = cells.shape[1]
        flat = cells.ravel()
        order = np.argsort(flat, kind="stable")
        bounds = np.searchsorted(flat[order], np.arange(self.n_cells + 1))
        tensor = torch.from_numpy(queries)
        for cell in np.flatnonzero(np.diff(bounds) * np.diff(self._starts)):
            visitors = order[bounds[cell] : bounds[cell + 1]] // width
            self._visit(int(cell), visitors, tensor, top, own, buffer, fresh=fresh)
        top.flush()

    def _visit(
        self,
        cell: int,
        visitors: np.ndarray,
        queries: torch.Tensor,
        top: _TopScores,
        own: np.ndarray | None,
        buffer: _ScoreBuffer,
        *,
        fresh: bool,
    ) -> None:
        """Score the members of one cell for all queries that look into it."""
        start, stop = int(self._starts[cell]), int(self._starts[cell + 1])
        members = np.arange(start, stop)
        bias = None if self._bias is None else self._bias[start:stop]
        # A block of scores takes 16 MB at most, as in the exhaustive search.
        step = max(256, 4_000_000 // (stop - start))
        for at in range(0, len(visitors), step):
            some = visitors[at : at + step]
            block = queries[torch.from_numpy(some)]
            scores = buffer.product(block, self._rows[start:stop].T, bias=bias)
            if own is not None:
                # No row is its own neighbor.
                place = own[some] - start
                inside = np.flatnonzero((place >= 0) & (place < stop - start))
                scores.numpy()[inside, place[inside]] = -np.inf
            if fresh:
                top.put(some, scores, members)
                continue
            rows, columns = buffer.above(top.floor(some))
            top.add(some[rows], members[columns], scores.numpy()[rows, columns])


def _train(
    n: int,
    prepared: Callable[[Any], np.ndarray],
    n_cells: int,
    *,
    spherical: bool,
    rng: np.random.Generator,
) -> np.ndarray:
    size = min(n, _TRAINING_ROWS_PER_CELL * n_cells)
    sample = prepared(np.sort(rng.choice(n, size, replace=False)))
    start = sample[rng.choice(size, n_cells, replace=False)]
    return _lloyd(sample, start, max_iter=8, spherical=spherical)[0]
