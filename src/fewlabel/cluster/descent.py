"""Approximate nearest neighbors by pynndescent, for more rows than cells are good for."""

from __future__ import annotations

import numpy as np

from fewlabel.extras import require


class _Descent:
    """A pynndescent index that knows which row a query is."""

    def __init__(self, rows: np.ndarray, metric: str, k: int, seed: int) -> None:
        library = require("pynndescent", "The method 'pynndescent' of nearest_neighbors")
        self._index = library.NNDescent(
            rows, metric=metric, n_neighbors=max(k + 1, 16), random_state=seed
        )

    def search(self, queries: np.ndarray, k: int, own: np.ndarray | None) -> np.ndarray:
        """Find stored rows near each query."""
        if own is None:
            return self._index.query(queries, k)[0].astype(np.int64)
        found = self._index.query(queries, k + 1)[0].astype(np.int64)
        # Drop the row itself, or the last neighbor where the search did not find it.
        drop = found == own[:, None]
        drop[~drop.any(axis=1), -1] = True
        return found[~drop].reshape(len(found), k)
