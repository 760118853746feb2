"""Images that are unlike anything labeled: few labels reach them, or from many classes alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from fewlabel.errors import _damaged
from fewlabel.evaluate import Comparison, LabelFolds, Problem
from fewlabel.evaluate.outliers import MIN_LABELS, _alarm_threshold, _Alarms
from fewlabel.graph.candidates import MainFit
from fewlabel.graph.graph_model import _GraphModel
from fewlabel.graph.neighbor_graph import spread
from fewlabel.graph.propagation import _chord, _weighted_average
from fewlabel.graph.shared_fit import NEIGHBORS
from fewlabel.params import integer
from fewlabel.persist.schema import _MAX_COUNT, _check_arrays, _check_fields

# How far labels reach: nearer to 1 they reach everything, see docs/decisions/0016-photos.md.
_ALPHA = 0.9
_TINY, _LEAST = 1e-12, 1e-6
# Cosine distance of an image from itself, whose features may be rounded another way.
_ITSELF = 1e-5
_FIELDS = {"n_neighbors": [integer(1, _MAX_COUNT)], "seed": [integer(0, 2**63)]}
_ARRAYS = {"rows": "n d", "mass": "n", "weights": "two", "calibration": "m"}
# What a model may keep for this beside what it predicts with: 80 MB.
_MAX_KEPT = 20_000_000


@dataclass(frozen=True, eq=False)
class _Novelty:
    """Scores how unlike all labeled images an image is, with a threshold.

    It adds how little of the labels arrives at the nearest images (``mass``, logarithmic) and the
    entropy of the prediction, each divided by its interquartile range (``weights``).
    ``calibration`` are the scores of labeled images, each without its own label.
    """

    graph: _GraphModel
    mass: np.ndarray
    weights: np.ndarray
    calibration: np.ndarray

    @cached_property
    def alarms(self) -> _Alarms:
        """The score above which an image is unlike anything labeled."""
        return _alarm_threshold(self.calibration)

    def scores(self, rows: np.ndarray, entropy: np.ndarray) -> np.ndarray:
        """Score new images (m,) by their features and the entropy of their predictions."""
        indices, distances = self._nearest(rows)
        mass = _weighted_average(indices, _chord(distances), self.mass[:, None])
        return np.asarray(self.weights @ np.stack([_rarity(mass[:, 0]), entropy]))

    def _nearest(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the nearest images (m, k), and how far: without an image of the fit itself."""
        n = len(self.graph.index)
        k = max(1, min(self.graph.n_neighbors, n))
        indices, distances = self.graph.nearest(rows, min(k + 1, n))
        # In the fit it had no part in its own score.
        start = (distances[:, :1] < _ITSELF) * (distances.shape[1] - k)
        places = start + np.arange(k)
        return np.take_along_axis(indices, places, 1), np.take_along_axis(distances, places, 1)

    def to_state(
        self, known: np.ndarray | None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any] | None]:
        """Return what scoring needs beside ``known`` rows; nothing where that is too much."""
        arrays = {"mass": self.mass, "weights": self.weights, "calibration": self.calibration}
        rows = self.graph.saved_rows
        if known is not rows and (known is None or not np.array_equal(known, rows)):
            if rows.size > _MAX_KEPT:
                return {}, None
            arrays["rows"] = rows
        return arrays, {"n_neighbors": self.graph.n_neighbors, "seed": self.graph.seed}

    @classmethod
    def from_state(
        cls,
        arrays: Mapping[str, np.ndarray],
        meta: Mapping[str, Any],
        known: np.ndarray | None,
        width: int,
        graph: _GraphModel | None = None,
    ) -> Self:
        """Return what was saved for rows (m, width); raise `ModelFormatError` if it is damaged.

        ``graph`` is one that the model has of the ``known`` rows already.
        """
        _check_fields(meta, _FIELDS, "novelty")
        settings = meta["n_neighbors"], meta["seed"]
        if graph and ("rows" in arrays or (graph.n_neighbors, graph.seed) != settings):
            graph = None
        arrays = ({} if known is None else {"rows": known}) | dict(arrays)
        if _check_arrays(arrays, _ARRAYS, "novelty", {"two": 2, "d": width})["m"] < MIN_LABELS:
            raise _damaged(f"The array novelty.calibration has fewer than {MIN_LABELS} numbers")
        graph = graph or _GraphModel(arrays["rows"], *settings, graph=False)
        return cls(graph, *(arrays[name] for name in ("mass", "weights", "calibration")))


def _fit_novelty(
    problem: Problem, main: MainFit, kept: Comparison, rows: np.ndarray, audited: np.ndarray
) -> tuple[_Novelty, np.ndarray] | tuple[None, None]:
    """Return what scores new images, and scores of all, tested ones as if not labeled.

    ``rows`` are what the kept candidate was fitted on, and ``audited`` images of labeled classes
    whose labels were not trained on. Both are None where fewer than 19 labels can be tested.
    """
    # What no other fold teaches is unlike all others, and measures no false alarm.
    tested, seen = kept.tested[~kept.unseen], ~kept.unseen
    known = np.concatenate([tested, audited])
    if problem.folds is None or len(known) < MIN_LABELS:
        return None, None
    graph = main.shared.graph
    if graph.rows is not rows:
        graph = _GraphModel(rows, NEIGHBORS, graph.seed)
    mass, rarity = _spread_mass(graph, problem.folds)
    entropy = problem.task.entropy(kept.kept.proba).astype(np.float64)
    entropy[tested] = problem.task.entropy(kept.oof_proba[kept.kept.name][seen])
    both = np.stack([rarity, entropy])
    low, high = np.quantile(both[:, known], [0.25, 0.75], axis=1)
    # Where most are equal, nothing can be told by it.
    weights = np.where(high - low > _LEAST, 1 / np.maximum(high - low, _LEAST), 0)
    scores = weights @ both
    return _Novelty(graph, mass, weights, scores[known]), scores


def _spread_mass(graph: _GraphModel, folds: LabelFolds) -> tuple[np.ndarray, np.ndarray]:
    """Return what arrives at all images, and its rarity around them without their own fold."""
    assert graph.neighbors is not None
    labeled, k = folds.labeled, graph.n_neighbors
    seeds = np.zeros((len(graph.rows), len(folds.folds)), dtype=np.float32)
    seeds[labeled, folds.number] = 1
    parts = spread(graph.graph, seeds, _ALPHA)
    around = _weighted_average(graph.neighbors[:, :k], _chord(graph.distances[:, :k]), parts)
    total = around.sum(axis=1)
    total[labeled] -= around[labeled, folds.number]
    return parts.sum(axis=1), _rarity(total)


def _rarity(mass: np.ndarray) -> np.ndarray:
    """Return how little arrives, on a logarithmic scale."""
    return np.asarray(-np.log(np.maximum(mass, _TINY)))
