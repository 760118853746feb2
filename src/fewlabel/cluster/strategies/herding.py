"""Strategies that cover all rows greedily: those that a model is unsure of count more."""

from dataclasses import replace

import numpy as np

from fewlabel.cluster.strategies import Picks, Pool, register_strategy
from fewlabel.cluster.strategies.clusters import _cluster, _leading, _systematic_sample

# Rows that stand for all in the sums: more of them change the picks little.
_MAX_COVERED = 5_000
# Squared width of the kernel, in squared distances of a row from the center of its cluster.
_WIDTH = 4.0
_BATCH = 64
# Of images that a model is sure of, too, those that are far from all labels count a little.
_LEAST = 1e-3


@register_strategy("herding")
def _herding(pool: Pool) -> Picks:
    """Cover the images greedily, those first that the model of a run is unsure of."""
    from fewlabel.cluster.lloyd import _unit_rows
    from fewlabel.cluster.neighbors import NeighborIndex

    pool = replace(pool, rows=_unit_rows(_leading(pool.rows)))
    found = _cluster(pool, pool.budget + len(pool.labeled))
    drawn = _systematic_sample(pool, found)
    # Not narrower than rounding: rows may be as many as clusters.
    width = max(_WIDTH * float(np.median(2 - 2 * found.closeness)), 1e-6)
    held = np.concatenate([pool.labeled, drawn])
    free = np.setdiff1d(np.flatnonzero(pool.available), drawn)
    best = _cover(pool, held, free, pool.budget - len(drawn), width)
    taken = np.concatenate([best, held])
    nearest = NeighborIndex(pool.rows[taken], "cosine").query(pool.rows, 1)[0][:, 0]
    sizes = np.bincount(nearest, minlength=len(taken))[: len(best)]
    represented = np.concatenate([sizes, np.zeros(len(drawn), np.int64)])
    return Picks(np.concatenate([best, drawn]), represented, len(drawn))


def _cover(pool: Pool, held: np.ndarray, free: np.ndarray, n: int, width: float) -> np.ndarray:
    """Return n of the free rows, each the one that adds most to what is covered."""
    rows, weight = pool.rows, pool.uncertainty
    if len(rows) > _MAX_COVERED:
        sample = np.sort(pool.rng.choice(len(rows), _MAX_COVERED, replace=False))
    else:
        sample = np.arange(len(rows))
    weight = np.ones(len(sample)) if weight is None else np.maximum(weight[sample], _LEAST)
    others, weight = rows[sample], weight.astype(np.float32)
    covered = np.zeros(len(sample), np.float32)
    for start in range(0, len(held), _BATCH):
        near = _kernel(rows[held[start : start + _BATCH]], others, width)
        np.maximum(covered, near.max(axis=0), out=covered)

    def gain(asked: np.ndarray) -> np.ndarray:
        near = _kernel(rows[asked], others, width)
        near -= covered
        return np.maximum(near, 0, out=near) @ weight

    gains, picks = np.empty(len(free), np.float32), []
    for start in range(0, len(free), _BATCH):
        gains[start : start + _BATCH] = gain(free[start : start + _BATCH])
    for _ in range(n):
        # A gain only falls as more is covered: what was less before is less now.
        stale = gains > -np.inf
        while stale[gains.argmax()]:
            ask = np.flatnonzero(stale)
            if len(ask) > _BATCH:
                ask = ask[np.argpartition(-gains[ask], _BATCH)[:_BATCH]]
            gains[ask] = gain(free[ask])
            stale[ask] = False
        best = int(gains.argmax())
        np.maximum(covered, _kernel(rows[free[[best]]], others, width)[0], out=covered)
        gains[best] = -np.inf
        picks.append(free[best])
    return np.array(picks, np.int64)


def _kernel(some: np.ndarray, others: np.ndarray, width: float) -> np.ndarray:
    """Return how like two sets of unit rows are (s, o), from 0 to 1."""
    near: np.ndarray = some @ others.T
    near -= 1
    near *= np.float32(2 / width)
    return np.exp(near, out=near)
