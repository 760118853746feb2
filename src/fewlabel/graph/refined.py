"""The graph refined: neighbors that scores of the spread labels tell apart count less."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array
from sklearn.utils import gen_batches

from fewlabel.graph.graph_model import _GraphModel
from fewlabel.graph.linear_model import _BLOCK_ROWS, _unit_rows
from fewlabel.graph.neighbor_graph import (
    _affinity_graph,
    _class_mass_normalize,
    _normalize_graph,
    _spread_clamped,
    spread,
)
from fewlabel.graph.propagation import _chord, _neighbor_average
from fewlabel.graph.score_network import _ScoreNetwork, _train_score_network
from fewlabel.reading import _release_mapped

# What the scores weigh in a distance beside the features.
_SHARE = np.float32(0.4)
# Of the mean variance of a feature: of many features on few rows, a regression learns by heart.
_RIDGE = 1e-2
# Rows a class: of fewer a network learns by heart what was spread, and tells new images worse.
_MIN_TRAINED = 200
# Rows whose candidates are ranked at once: their scores stay in the cache.
_RANKED_ROWS = 1_024
# Where labels stay as they are, little depends on it: 0.97 and 1 lose 0 to 0.3 points.
_CLAMPED_ALPHA = 0.9


class _LinearScores(NamedTuple):
    """Weights (d, K) of scores."""

    coef: np.ndarray

    def scores(self, rows: np.ndarray) -> np.ndarray:
        """Return the scores (m, K) of rows of unit mean square."""
        return np.asarray(rows @ self.coef)


class _Discriminant:
    """What tells apart the classes that were spread to rows: ridge regression, or a network.

    The regressions on all rows differ in their targets only, and share one factor.
    """

    def __init__(self, X: np.ndarray) -> None:
        self.rows = _unit_rows(X)
        self.center = self.rows.mean(axis=0)
        self.rows -= self.center
        self.scale = float(max(np.linalg.norm(self.rows) / self.rows.size**0.5, 1e-6))
        self.rows /= np.float32(self.scale)
        gram = (self.rows.T @ self.rows).astype(np.float64)
        gram += _RIDGE * max(np.trace(gram) / len(gram), 1e-12) * np.eye(len(gram))
        self.factor = cho_factor(gram, overwrite_a=True, check_finite=False)

    def regress(self, proba: np.ndarray) -> _LinearScores:
        """Return linear scores for the most probable classes of all rows."""
        # Not the probabilities: all of them are nearly equal where a graph is unsure of much.
        targets = np.eye(proba.shape[1], dtype=np.float32)[proba.argmax(axis=1)]
        weights = cho_solve(self.factor, self.rows.T @ targets, check_finite=False)
        return _LinearScores(np.asarray(weights, dtype=np.float32))

    def can_train(self, n_classes: int) -> bool:
        """Say whether there are rows enough for a network."""
        return len(self.rows) >= _MIN_TRAINED * n_classes

    def train(self, proba: np.ndarray, seed: int) -> _ScoreNetwork:
        """Return a network's scores for the most probable classes of all rows."""
        targets, n_classes = proba.argmax(axis=1), proba.shape[1]
        return _train_score_network(
            self.rows, targets, n_classes, seed, center=self.center, scale=self.scale
        )


class _RefinedGraph:
    """A graph whose neighbors are ranked by features and scores, with what was spread over it."""

    def __init__(self, base: _GraphModel, scorer: _LinearScores | _ScoreNetwork) -> None:
        self.base = base
        self.scorer = scorer
        parts = []
        for part in gen_batches(len(base.rows), _BLOCK_ROWS):
            parts.append(scorer.scores(_unit_rows(base.rows[part])))
            _release_mapped(base.rows)
        scores = np.concatenate(parts)
        self.center = scores.mean(axis=0)
        self.scores = _unit_rows(scores - self.center)
        self.probabilities = np.empty((0, scores.shape[1]))

    def solve(
        self, seeds: np.ndarray, alpha: float, start: np.ndarray | None, tol: float
    ) -> np.ndarray:
        """Return scores (n, K) of seeds spread over the graph, to a relative residual."""
        if self.base.neighbors is None:
            return seeds
        return spread(self._normalized()[0], seeds, alpha, start=start, tol=tol)

    def spread(
        self,
        seeds: np.ndarray,
        alpha: float,
        prior: np.ndarray,
        clamps: Sequence[bool],
        start: np.ndarray | None = None,
    ) -> list[np.ndarray]:
        """Spread seeds (n, K) over the graph, clamped or not: probabilities of its rows for each.

        The first are kept, for new rows. ``start`` (n, K) are scores over one much alike.
        """
        found = [seeds for _ in clamps]
        if self.base.neighbors is not None:
            graph, degree = self._normalized()
            found = [
                _spread_clamped(graph, degree, seeds, _CLAMPED_ALPHA)
                if clamp
                else spread(graph, seeds, alpha, start=start)
                for clamp in clamps
            ]
        probabilities = [_class_mass_normalize(scores, prior) for scores in found]
        self.probabilities = probabilities[0]
        return probabilities

    def _normalized(self) -> tuple[csr_array, np.ndarray]:
        """Return the normalized graph, and what its rows summed to before (n,)."""
        assert self.base.neighbors is not None
        graph = _affinity_graph(*self._rank(self.base.neighbors, self.base.distances, self.scores))
        return _normalize_graph(graph), graph.sum(axis=1)

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Average the probabilities of the nearest images: (m, K)."""
        found = self.base.nearest(X, min(self.base.n_candidates, len(self.base.index)))
        scores = _unit_rows(self.scorer.scores(_unit_rows(X)) - self.center)
        return _neighbor_average(*self._rank(*found, scores), self.probabilities)

    def _rank(
        self, indices: np.ndarray, distances: np.ndarray, scores: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the nearest of some candidates (m, c) by features and scores, and how far."""
        blocks = list(gen_batches(len(indices), _RANKED_ROWS))
        found = [self._rank_part(indices[at], distances[at], scores[at]) for at in blocks]
        return np.concatenate([i for i, _ in found]), np.concatenate([d for _, d in found])

    def _rank_part(
        self, indices: np.ndarray, distances: np.ndarray, scores: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        cosine = (self.scores[indices] @ scores[:, :, None])[:, :, 0] / scores.shape[1]
        joined = (1 - _SHARE) * distances + _SHARE * (1 - cosine)
        k = max(1, self.base.n_neighbors)
        order = np.argpartition(joined, k - 1, axis=1)[:, :k]
        nearest = np.take_along_axis(joined, order, 1)
        return np.take_along_axis(indices, order, 1), _chord(nearest)
