"""Pages of look-alike images: a person confirms all of them at once, but for the exceptions."""

from __future__ import annotations

import numpy as np

from fewlabel.cluster.kmeans import KMeans
from fewlabel.compute import _as_generator

# Images that a model is less sure of are better looked at one by one.
_MIN_CONFIDENCE = 0.5


def _look_alikes(
    rows: np.ndarray,
    labels: np.ndarray,
    confidence: np.ndarray,
    size: int,
    *,
    random_state: int = 0,
) -> list[np.ndarray]:
    """Return images that look alike and are presumed to have one label, page by page.

    The images of each presumed label are clustered by k-means, the most confident
    cluster first, and cut into pages.

    >>> X = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], np.float32)
    >>> [page.tolist() for page in _look_alikes(X, np.array(["a", "a", "b", ""]), np.ones(4), 2)]
    [[0, 1], [2]]
    """
    rng = _as_generator(random_state)
    pages: list[np.ndarray] = []
    for label in np.unique(labels):
        members = np.flatnonzero((labels == label) & (confidence >= _MIN_CONFIDENCE))
        if label == "" or not len(members):
            continue
        n_clusters = -(-len(members) // size)
        # Cut from the clusters one after the other, so that every page but the last is full.
        if n_clusters > 1:
            seed = int(rng.integers(2**31))
            kmeans = KMeans(n_clusters, spherical=True, max_iter=20, random_state=seed)
            number = kmeans.fit_predict(rows[members])
            sure = np.bincount(number, confidence[members]) / np.maximum(np.bincount(number), 1)
            members = members[np.lexsort((-confidence[members], number, -sure[number]))]
        pages += [members[start : start + size] for start in range(0, len(members), size)]
    return sorted(pages, key=lambda page: -float(confidence[page].mean()))
