"""Exact nearest neighbors: all pairs, tile by tile."""

from __future__ import annotations

import numpy as np
import torch

from fewlabel.cluster.topk import _ScoreBuffer, _TopScores

_QUERY_ROWS, _TILE_COLUMNS = 1_024, 4_096
"""A tile of scores, 16 MB, stays in the last-level cache until it has been looked through."""


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
    buffer = _ScoreBuffer()
    top = _TopScores(len(queries), k)
    for start in range(0, len(queries), _QUERY_ROWS):
        part = slice(start, min(start + _QUERY_ROWS, len(queries)))
        block = torch.from_numpy(queries[part])
        for left in range(0, len(rows), _TILE_COLUMNS):
            tile = slice(left, min(left + _TILE_COLUMNS, len(rows)))
            tile_bias = None if biases is None else biases[tile]
            scores = buffer.product(block, stored[tile].T, bias=tile_bias)
            if own is not None:
                inside = np.flatnonzero((own[part] >= tile.start) & (own[part] < tile.stop))
                scores.numpy()[inside, own[part][inside] - left] = -np.inf
            if left == 0:
                top.put(part, scores, np.arange(tile.stop))
                continue
            at, columns = buffer.above(top.floor(part))
            top.add(start + at, left + columns, scores.numpy()[at, columns])
            top.flush()
    return top.ids
