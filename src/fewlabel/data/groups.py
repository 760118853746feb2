"""Images that belong together: copies, near-copies, and groups that the user names."""

from __future__ import annotations

from typing import Any

import numpy as np

_NO_PAIRS = np.empty((0, 2), np.int64)


def _join_groups(*groups: Any, pairs: np.ndarray = _NO_PAIRS) -> np.ndarray:
    """Return one number for images that share a group in any grouping (n,), or stand in a pair."""
    # Imported late: listing and labeling images should not wait for scipy.
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    n, edges = len(groups[0]), [pairs]
    for group in groups:
        _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
        edges.append(np.stack([np.arange(n), first[inverse]], axis=1))
    rows, columns = np.concatenate(edges).T
    graph = sparse.coo_array((np.ones(len(rows)), (rows, columns)), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def _given_groups(images: Any, labels: Any = None) -> np.ndarray:
    """Return the groups that a manifest, a label table or both of them name."""
    groups: list[Any] = [np.arange(len(images))]
    for names in (images.given_groups, () if labels is None else labels.groups):
        # A blank one stands alone.
        groups += [[name or f"\0{i}" for i, name in enumerate(names)]] if names else []
    return _join_groups(*groups)
