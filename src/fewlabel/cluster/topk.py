"""Large entries of large score matrices, found through the maxima of small groups of columns.

A full ``topk`` over every score costs more than the product that made the scores. The maximum
of each group of 16 columns costs a tenth of that, and an entry can only be large
where its group's maximum is.
"""

import numpy as np
import torch

from fewlabel.compute import _in_threads

# Columns whose maximum is taken together.
_GROUP = 16

# A tile of scores, 16 MB, stays in the last-level cache until it has been looked through.
_QUERY_ROWS, _TILE_COLUMNS = 1_024, 4_096
# Rows whose candidates, up to thousands of each, are merged at once.
_MERGED = 1_024


class _ScoreBuffer:
    """A score matrix, and room for it that is reused from block to block."""

    def __init__(self) -> None:
        # Fresh memory for every block would cost a page fault for each 4 KiB of scores.
        self._room = torch.empty(0)
        self._half_room = torch.empty(0)
        self.scores = torch.empty(0, _GROUP)

    def product(
        self, left: torch.Tensor, right: torch.Tensor, *, bias: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Matrix product less a bias a column, padded to whole groups of columns."""
        m, n = len(left), right.shape[1]
        width = -(-n // _GROUP) * _GROUP
        if self._room.numel() < m * width:
            self._room = torch.empty(m * width)
            self._half_room = torch.empty(m * width // 2)
        self.scores = self._room[: m * width].view(m, width)
        inner = self.scores[:, :n]
        # Not in bfloat16: to convert what goes in and comes out takes longer than it saves.
        torch.mm(left, right, out=inner)
        if bias is not None:
            inner.sub_(bias)
        self.scores[:, n:] = -torch.inf
        return self.scores

    def above(self, floor: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Find the scores of the last product that exceed a floor for each row."""
        n_rows, width = self.scores.shape
        n_groups = width // _GROUP
        floors = floor.numpy()
        hot = np.flatnonzero(self._group_maxima().numpy() > floors[:, None])
        rows, groups = hot // n_groups, hot % n_groups
        members = self.scores.numpy().reshape(n_rows, _GROUP, n_groups)[rows, :, groups]
        inside = np.flatnonzero(members > floors[rows, None])
        pick = inside // _GROUP
        place = np.sort(rows[pick] * width + (inside % _GROUP) * n_groups + groups[pick])
        return place // width, place % width

    def _group_maxima(self) -> torch.Tensor:
        """Maxima of groups: column j belongs to group ``j % (width // 16)``."""
        # Halving the matrix by the larger of its two sides keeps to long contiguous runs, which
        # is several times faster than a reduction over 16 neighbors.
        n_rows, width = self.scores.shape
        half = width // 2
        maxima = self._half_room[: n_rows * half].view(n_rows, half)
        torch.maximum(self.scores[:, :half], self.scores[:, half:], out=maxima)
        while half > width // _GROUP:
            half //= 2
            torch.maximum(maxima[:, :half], maxima[:, half : 2 * half], out=maxima[:, :half])
        return maxima[:, :half]


class _TopScores:
    """The best k scores of each row, filled from candidates that arrive in portions."""

    # Candidates that wait: 40 MB of them, and three times as much while they are sorted.
    _FLUSH_AT = 2_000_000

    def __init__(self, n_rows: int, k: int) -> None:
        self.values = np.full((n_rows, k), -np.inf, dtype=np.float32)
        self.ids = np.full((n_rows, k), -1, dtype=np.int64)
        self._waiting: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._n_waiting = 0

    def floor(self, rows: np.ndarray | slice) -> torch.Tensor:
        """Score that a new candidate must beat, for some rows."""
        return torch.from_numpy(np.ascontiguousarray(self.values[rows, -1]))

    def put(self, rows: np.ndarray | slice, scores: torch.Tensor, ids: np.ndarray) -> None:
        """Take the best scores of a block as the first candidates of some rows."""
        k = min(self.values.shape[1], len(ids))
        best = scores[:, : len(ids)].topk(k, dim=1)
        values = best.values.numpy()
        self.values[rows, :k] = values
        self.ids[rows, :k] = np.where(values > -np.inf, ids[best.indices.numpy()], -1)

    def add(self, rows: np.ndarray, ids: np.ndarray, values: np.ndarray) -> None:
        """Hand in candidates; they count from the next `flush`, which is due now and then."""
        self._waiting.append((rows, ids, values))
        self._n_waiting += len(rows)
        if self._n_waiting > self._FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        """Merge the waiting candidates into the best."""
        if not self._n_waiting:
            return
        rows, ids, values = (np.concatenate(part) for part in zip(*self._waiting, strict=True))
        self._waiting, self._n_waiting = [], 0
        order = np.argsort(rows, kind="stable")
        rows, ids, values = rows[order], ids[order], values[order]
        present, first, count = np.unique(rows, return_index=True, return_counts=True)
        # Rows with like numbers of candidates share a block, so that little of it is padding.
        by_count = np.argsort(count, kind="stable")
        for start in range(0, len(present), _MERGED):
            some = by_count[start : start + _MERGED]
            self._merge(present[some], first[some], count[some], ids, values)

    def _merge(
        self,
        rows: np.ndarray,
        first: np.ndarray,
        count: np.ndarray,
        ids: np.ndarray,
        values: np.ndarray,
    ) -> None:
        k = self.values.shape[1]
        offset = np.arange(int(count.max()))
        real = offset < count[:, None]
        at = np.where(real, first[:, None] + offset, 0)
        all_values = np.concatenate(
            [self.values[rows], np.where(real, values[at], np.float32(-np.inf))], axis=1
        )
        all_ids = np.concatenate([self.ids[rows], np.where(real, ids[at], -1)], axis=1)
        best, index = torch.from_numpy(all_values).topk(k, dim=1)
        self.values[rows] = best.numpy()
        self.ids[rows] = np.take_along_axis(all_ids, index.numpy(), axis=1)


def _exhaustive_search(
    rows: np.ndarray,
    bias: np.ndarray | None,
    queries: np.ndarray,
    k: int,
    own: np.ndarray | None = None,
) -> np.ndarray:
    """Find the rows with the highest scores for each query among all rows."""
    stored = torch.from_numpy(rows)
    biases = None if bias is None else torch.from_numpy(bias)
    ids = np.empty((len(queries), k), dtype=np.int64)

    def search(some: slice) -> None:
        buffer = _ScoreBuffer()
        for start in range(some.start, min(some.stop, len(queries)), _QUERY_ROWS):
            part = slice(start, min(start + _QUERY_ROWS, len(queries)))
            block = torch.from_numpy(queries[part])
            top = _TopScores(len(block), k)
            for left in range(0, len(rows), _TILE_COLUMNS):
                tile = slice(left, min(left + _TILE_COLUMNS, len(rows)))
                tile_bias = None if biases is None else biases[tile]
                scores = buffer.product(block, stored[tile].T, bias=tile_bias)
                if own is not None:
                    inside = np.flatnonzero((own[part] >= tile.start) & (own[part] < tile.stop))
                    scores.numpy()[inside, own[part][inside] - left] = -np.inf
                # The first tile fills the lists, so that the next ones have a floor to pass.
                if left == 0:
                    top.put(slice(None), scores, np.arange(tile.stop))
                    continue
                at, columns = buffer.above(top.floor(slice(None)))
                top.add(at, left + columns, scores.numpy()[at, columns])
                top.flush()
            ids[part] = top.ids

    _in_threads(search, len(queries), _QUERY_ROWS)
    return ids
