"""Nearest neighbors among up to millions of rows: a graph, or an index to query."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_array

from fewlabel.cluster.assignment import _squared_distances
from fewlabel.cluster.cells import BLOCK_ROWS, _Cells
from fewlabel.cluster.topk import _exhaustive_search
from fewlabel.compute import _as_generator, _return_memory
from fewlabel.engine import current_engine
from fewlabel.errors import UsageError
from fewlabel.params import _check_arguments, choice, integer, number
from fewlabel.reading import _release_mapped

METRICS = ("cosine", "euclidean")
METHODS = ("auto", "exact", "cells")

_CONSTRAINTS = {
    "metric": [choice(METRICS)],
    "method": [choice(METHODS)],
    "recall": [number(0, 1, closed="right")],
    "k": [integer(1)],
}

_EXACT_UP_TO = 10_000


def nearest_neighbors(
    X: Any,
    k: int,
    *,
    queries: Any = None,
    metric: str = "cosine",
    method: str = "auto",
    recall: float = 0.99,
    random_state: int | np.random.RandomState | None = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the k nearest rows of every row, or of every query.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Rows to search, finite; computed with as float32.
    k : int
        Neighbors of each row.
    queries : array-like of shape (m, d), optional
        Rows whose neighbors are wanted. By default the rows of ``X``, of which none is its own
        neighbor; an equal row elsewhere in ``X`` is.
    metric : {"cosine", "euclidean"}
        Cosine distance (1 - cosine) or Euclidean distance. A row of zeros has no direction:
        its cosine distance to every row is 1.
    method : {"auto", "exact", "cells"}
        ``"exact"`` compares all pairs. ``"cells"`` looks into the nearest of about ``sqrt(n)``
        cells, as many as ``recall`` takes. ``"auto"`` is exact up to 10,000 rows, then cells.
    recall : float
        Fraction of true neighbors that ``"cells"`` should find, in (0, 1].
    random_state : int, RandomState or None
        Seed of the cells.

    Returns
    -------
    indices : ndarray of shape (n or m, k)
        Neighbors, nearest first, int64.
    distances : ndarray of shape (n or m, k)
        Distances to them, float32, by direct differences: 0 between equal rows.

    Raises
    ------
    UsageError
        If a parameter is out of range or ``X`` has too few rows for ``k``.
    ValueError
        If ``X`` or ``queries`` is not a finite numeric matrix.

    See Also
    --------
    NeighborIndex : The same with an index that is kept for further queries.

    Examples
    --------
    >>> indices, distances = nearest_neighbors([[0.0], [1.0], [3.0]], 1, metric="euclidean")
    >>> indices.ravel().tolist(), distances.ravel().tolist()
    ([1, 0, 1], [1.0, 1.0, 2.0])
    """
    index = NeighborIndex(X, metric, method=method, recall=recall, random_state=random_state)
    return index.graph(k) if queries is None else index.query(queries, k)


class NeighborIndex:
    """Rows prepared for nearest-neighbor search.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Rows to search, finite; computed with as float32. Of float16, such as a mapped file,
        blocks alone are converted.
    metric : {"cosine", "euclidean"}
        Distance; see `nearest_neighbors`.
    method : {"auto", "exact", "cells"}
        How to search; see `nearest_neighbors`.
    recall : float
        Fraction of true neighbors that ``"cells"`` should find, in (0, 1].
    random_state : int, RandomState or None
        Seed of the cells.

    Attributes
    ----------
    method : {"exact", "cells"}
        What ``"auto"`` came to.
    measured_recall : float
        Fraction of the true neighbors of 600 rows that lie in the cells that the last new ``k``
        looks into; 1 where all pairs are compared.

    Raises
    ------
    UsageError
        If a parameter is out of range.
    ValueError
        If ``X`` is not a finite numeric matrix.

    Examples
    --------
    >>> index = NeighborIndex([[0.0], [1.0], [3.0]], "euclidean")
    >>> indices, distances = index.query([[2.8]], k=2)
    >>> indices.tolist()
    [[2, 1]]
    """

    def __init__(
        self,
        X: Any,
        metric: str = "cosine",
        *,
        method: str = "auto",
        recall: float = 0.99,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        given = {"metric": metric, "method": method, "recall": recall}
        _check_arguments("NeighborIndex", _CONSTRAINTS, **given)
        self.metric = metric
        self.recall = recall
        # Rows of half precision, which may be mapped from a file, are converted block by block.
        kept = [np.float32, np.float16]
        given_rows = check_array(X, dtype=kept, order="C", input_name="X")
        n = len(given_rows)
        # Distances do not change with the origin, but products round less near it.
        self._origin = given_rows.mean(axis=0, dtype=np.float64).astype(np.float32)
        self.method = method
        if method == "auto":
            self.method = "exact" if n <= _EXACT_UP_TO else "cells"
        self._rng = _as_generator(random_state)
        # By the number of neighbors: more of them lie in more cells.
        self._n_probes: dict[int, int] = {}
        self.measured_recall = 1.0
        self._cells = None
        # Rows are held in the order of their cells: inside, a row is known by its place in it.
        self._order = np.arange(n)
        if self.method == "cells":
            self._cells = _Cells(
                n,
                lambda part: self._prepare(given_rows[part])[0],
                spherical=metric == "cosine",
                rng=self._rng,
            )
            self._order = self._cells.order
        self._rows = np.empty(given_rows.shape, np.float32)
        self._zero = np.empty(n, bool)
        for part in gen_batches(n, BLOCK_ROWS):
            self._rows[part], self._zero[part] = self._prepare(given_rows[self._order[part]])
        _release_mapped(given_rows)
        self._bias = None
        if metric == "euclidean":
            self._bias = np.einsum("ij,ij->i", self._rows, self._rows) / 2
        if self._cells is not None:
            self._cells.fill(self._rows, self._bias)

    def __len__(self) -> int:
        return len(self._rows)

    def graph(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Find the nearest other rows of every stored row.

        Parameters
        ----------
        k : int
            Neighbors of each row, below the number of rows.

        Returns
        -------
        indices : ndarray of shape (n, k)
            Neighbors, nearest first, int64.
        distances : ndarray of shape (n, k)
            Distances to them, float32.

        Raises
        ------
        UsageError
            If there are not more than ``k`` rows.
        """
        _check_k(k, len(self) - 1, "other rows")
        engine = current_engine()
        is_shared = engine is not None and len(self) >= engine.min_rows
        found = engine.neighbors(self, k) if engine and is_shared else self._by_parts(k)
        indices, distances = _room(len(self), k)
        for part, (near, far) in found:
            at = self._order[part]
            indices[at], distances[at] = near, far
            if len(self) > BLOCK_ROWS:
                # Block by block, or what is left of each would add up.
                _return_memory()
        return indices, distances

    def query(self, queries: Any, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Find the nearest stored rows of new rows.

        Parameters
        ----------
        queries : array-like of shape (m, d)
            New rows.
        k : int
            Neighbors of each, at most the number of stored rows.

        Returns
        -------
        indices : ndarray of shape (m, k)
            Stored rows, nearest first, int64.
        distances : ndarray of shape (m, k)
            Distances to them, float32.

        Raises
        ------
        UsageError
            If there are fewer than ``k`` stored rows, or the widths differ.
        ValueError
            If ``queries`` is not a finite numeric matrix.
        """
        _check_k(k, len(self), "stored rows")
        kept = [np.float32, np.float16]
        rows = check_array(queries, dtype=kept, order="C", input_name="queries")
        if rows.shape[1] != self._rows.shape[1]:
            raise UsageError(
                f"The queries must have {self._rows.shape[1]} features like the stored rows. "
                f"Got {rows.shape[1]} instead."
            )
        indices, distances = _room(len(rows), k)
        for part in gen_batches(len(rows), BLOCK_ROWS):
            indices[part], distances[part] = self._find(*self._prepare(rows[part]), k, None)
        return indices, distances

    def _by_parts(self, k: int) -> Iterator[tuple[slice, tuple[np.ndarray, np.ndarray]]]:
        for part in gen_batches(len(self), BLOCK_ROWS):
            yield part, self._neighbors_of(part, k)

    def _neighbors_of(self, part: slice, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Find the nearest other rows of some that are held, in the order of their cells."""
        own = np.arange(part.start, part.stop)
        return self._find(self._rows[part], self._zero[part], k, own)

    def _prepare(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows in the form in which they are compared, and which of them are zero."""
        rows = np.asarray(rows, np.float32)
        if self.metric == "euclidean":
            return rows - self._origin, np.zeros(len(rows), dtype=bool)
        # Scaling by the largest entry first keeps tiny and huge rows from under- or overflowing.
        peak = np.maximum(rows.max(axis=1), -rows.min(axis=1))
        zero = peak == 0
        scaled = rows / np.where(zero, 1, peak)[:, None]
        lengths = np.sqrt(np.einsum("ij,ij->i", scaled, scaled))
        scaled /= np.where(zero, 1, lengths)[:, None]
        return scaled, zero

    def _find(
        self, queries: np.ndarray, zero: np.ndarray, k: int, own: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        ids = self._search(queries, k, own)
        # Cells may hold too few rows.
        short = np.flatnonzero((ids < 0).any(axis=1))
        if len(short):
            rest = None if own is None else own[short]
            ids[short] = self._exhaustive(queries[short], k, rest)
        return self._rank(queries, zero, ids, k)

    def _search(self, queries: np.ndarray, k: int, own: np.ndarray | None) -> np.ndarray:
        """Neighbors by cells, -1 where they hold too few; or by comparing all pairs."""
        if self._cells is None:
            return self._exhaustive(queries, k, own)
        if k not in self._n_probes:
            sample = self._cells.sample
            rows = self._rows[sample]
            limit = min(k, len(self) - 1)
            truth = self._exhaustive(rows, limit, sample)
            found = self._cells.needed(rows, truth, self.recall)
            self._n_probes[k], self.measured_recall = found
        n_probes = self._n_probes[k]
        # So many cells cost more than all pairs, which are whole products.
        if n_probes * 2 > self._cells.n_cells:
            return self._exhaustive(queries, k, own)
        return self._cells.search(queries, k, n_probes, own)

    def _exhaustive(self, queries: np.ndarray, k: int, own: np.ndarray | None) -> np.ndarray:
        return _exhaustive_search(self._rows, self._bias, queries, k, own)

    def _rank(
        self, queries: np.ndarray, zero: np.ndarray, ids: np.ndarray, k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Order neighbors (m, c), given by places, by true distances and index; keep k."""
        rows = np.repeat(np.arange(len(ids)), ids.shape[1])
        distances = _squared_distances(queries, rows, self._rows, ids.ravel()).reshape(ids.shape)
        if self.metric == "euclidean":
            np.sqrt(distances, out=distances)
        else:
            # Of unit vectors |a - b|² is 2 (1 - cos).
            distances /= 2
            distances[zero] = 1
            distances[self._zero[ids]] = 1
        ids = self._order[ids]
        order = np.lexsort((ids, distances), axis=1)[:, :k]
        return np.take_along_axis(ids, order, 1), np.take_along_axis(distances, order, 1)


def _room(m: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    return np.empty((m, k), np.int64), np.empty((m, k), np.float32)


def _check_k(k: Any, available: int, what: str) -> None:
    _check_arguments("NeighborIndex", _CONSTRAINTS, k=k)
    if k > available:
        raise UsageError(
            f"k={k} neighbors were asked for, but there are only {available} {what}: "
            "ask for fewer neighbors or give more rows."
        )
