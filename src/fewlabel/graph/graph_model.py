"""The graph as a predictor: cross-fitted for all folds in one solve, then for good."""

from hashlib import blake2b
from typing import Any

import numpy as np
from scipy import sparse

from fewlabel.cluster.neighbors import NeighborIndex
from fewlabel.data.task import Task
from fewlabel.evaluate.crossfit import LabelFolds
from fewlabel.graph.fold_scores import _FoldScores, _LabelScores
from fewlabel.graph.neighbor_graph import (
    _VALUES_A_SOLVE,
    _affinity_graph,
    _normalize_graph,
    _reach_further,
    _spread_near,
    spread,
)
from fewlabel.graph.propagation import _chord, _weighted_average

# Numbers of a solve that are held; of a larger one, sums, and those of a sample of the rows.
_AT_ONCE, _SAMPLED = 40_000_000, 10_000_000
# Times as many neighbors as there are edges: a refined graph chooses among them.
_CANDIDATES = 2


class _GraphModel:
    """Label spreading, which is linear in the labels, for several settings and folds at once."""

    def __init__(self, X: np.ndarray, n_neighbors: int, seed: int, *, graph: bool = True) -> None:
        self.seed = seed
        self.rows = X
        self.index = NeighborIndex(X, "cosine", random_state=seed)
        self.n_neighbors = min(n_neighbors, len(X) - 1)
        self.n_candidates = min(_CANDIDATES * n_neighbors, len(X) - 1)
        self.neighbors: np.ndarray | None = None
        self.graph: Any = None
        self._last: tuple[bytes, tuple[np.ndarray, np.ndarray]] | None = None
        # A saved model only predicts, by the neighbor search alone.
        if graph and self.n_neighbors >= 1:
            neighbors, self.distances = self.index.graph(self.n_candidates)
            self.neighbors = neighbors.astype(np.int32)
            near, distances = (
                found[:, : self.n_neighbors] for found in (self.neighbors, self.distances)
            )
            self.graph = _normalize_graph(_affinity_graph(near, _chord(distances)))

    @property
    def saved_rows(self) -> np.ndarray:
        """The rows as a model keeps them: mapped ones of half precision as they are."""
        return self.rows if self.rows.dtype == np.float16 else np.asarray(self.rows, np.float32)

    def solve(
        self,
        task: Task,
        y: np.ndarray,
        folds: LabelFolds,
        n_classes: int,
        alpha: float,
        *,
        keep: bool = False,
    ) -> _FoldScores:
        """Spread the labels of every fold apart; ``keep`` what comes of each at all rows.

        Of a solve that does not fit into memory, that is a sample of the rows.
        """
        fold_of = np.full(len(y), -1)
        fold_of[folds.labeled] = folds.number
        rows, column, n_columns = task.seeds(y, n_classes)
        # One column for each pair of fold and class: the scores without a fold are the sum of all
        # less that fold's columns, so that cross-fitting costs no refitting.
        pairs, place = np.unique(
            np.stack([fold_of[rows], column], axis=1), axis=0, return_inverse=True
        )
        place, labeled, m = place.ravel(), folds.labeled, len(pairs)
        whole = len(y) * m <= _AT_ONCE
        width = m if whole else max(1, _VALUES_A_SOLVE // len(y))
        total = None if whole else np.zeros((len(y), n_columns), np.float32)
        kept: Any = slice(None) if whole else self._sample(labeled, max(1, _SAMPLED // m))
        of_kept = None if whole or not keep else np.empty((len(kept), m), np.float32)
        mass = np.empty(m)
        at_labels = np.empty((len(labeled), m), np.float32)
        for start in range(0, m, width):
            stop = min(start + width, m)
            here = (place >= start) & (place < stop)
            seeds = np.zeros((len(y), stop - start), dtype=np.float32)
            seeds[rows[here], place[here] - start] = 1
            scores = self._spread(seeds, alpha, whole=whole)
            at_labels[:, start:stop] = scores[labeled]
            mass[start:stop] = scores.sum(axis=0, dtype=np.float64)
            if whole:
                of_kept = scores
            elif of_kept is not None:
                of_kept[:, start:stop] = scores[kept]
            # Of a solve that does not fit into memory, only what predicts all images is added up.
            if total is not None:
                ones = np.ones(stop - start, np.float32)
                where = np.arange(stop - start), pairs[start:stop, 1]
                total += scores @ sparse.csr_array((ones, where), shape=(stop - start, n_columns))
        if total is not None and self.graph is not None:
            total = _reach_further(self.graph, total, alpha)
        found = _LabelScores(
            task, at_labels, mass, pairs, n_columns, y[labeled], fold_of[labeled], n_classes
        )
        return _FoldScores(found, of_kept, total, kept)

    def _spread(self, seeds: np.ndarray, alpha: float, *, whole: bool) -> np.ndarray:
        if self.graph is None:
            return seeds
        # What a part of the labels does not reach may be reached by the others.
        return spread(self.graph, seeds, alpha) if whole else _spread_near(self.graph, seeds, alpha)

    def _sample(self, labeled: np.ndarray, n: int) -> np.ndarray:
        """Draw n rows, the labeled ones among them; ascending."""
        drawn = np.random.default_rng(self.seed).permutation(len(self.rows))[:n]
        return np.union1d(drawn, labeled)

    def predict(self, X: np.ndarray, task: Task, probabilities: np.ndarray) -> np.ndarray:
        """Average the probabilities (n, K) of the nearest images: (m, K)."""
        return task.rescale(self.average(X, probabilities))

    def average(self, X: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Average the values (n, K) of the nearest images: (m, K)."""
        k = max(1, min(self.n_neighbors, len(self.index)))
        indices, distances = self.nearest(X, k)
        return _weighted_average(indices, _chord(distances), values)

    def nearest(self, X: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Find the nearest rows (m, k) of new ones; who asks for the same ones next has them."""
        # A prediction searches twice: for the probabilities, and for what is unlike all labels.
        # By content, since an array may be filled anew; taken at once, since threads may share it.
        last, key = self._last, blake2b(X.tobytes()).digest()
        if last is None or last[0] != key or last[1][0].shape[1] < k:
            last = self._last = key, self.index.query(X, k)
        indices, distances = last[1]
        return indices[:, :k], distances[:, :k]
