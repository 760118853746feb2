"""Rows with clusters, and their true neighbors, for the tests of this package."""

import numpy as np
from scipy.spatial.distance import cdist


def blobs(n_blobs, per_blob, n_features, spread=0.1, seed=0):
    rng = np.random.default_rng(seed)
    X = np.repeat(rng.normal(size=(n_blobs, n_features)), per_blob, axis=0)
    return (X + spread * rng.normal(size=X.shape)).astype(np.float32)


X = blobs(6, 20, 12, spread=0.3)
GROUP = np.repeat(np.arange(6), 20)


def clustered(n, d, seed=0):
    return blobs(40, -(-n // 40), d, 0.5, seed)[:n]


def truth(X, queries=None, metric="cosine"):
    """All distances in float64; infinity from a row to itself."""
    own = queries is None
    X = np.asarray(X, dtype=np.float64)
    Q = X if own else np.asarray(queries, dtype=np.float64)
    if metric == "euclidean":
        distances = cdist(Q, X)
    else:
        lengths = np.linalg.norm(Q, axis=1)[:, None] * np.linalg.norm(X, axis=1)
        distances = 1 - np.divide(Q @ X.T, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    if own:
        np.fill_diagonal(distances, np.inf)
    return distances


def assert_nearest(indices, distances, expected, k, atol=2e-6):
    """The neighbors are the k nearest up to ties, in order, each once, with true distances."""
    nearest = np.sort(expected, axis=1)[:, :k]
    np.testing.assert_allclose(distances, nearest, atol=atol)
    np.testing.assert_allclose(np.take_along_axis(expected, indices, 1), nearest, atol=atol)
    assert (np.diff(distances, axis=1) >= 0).all()
    assert (np.diff(np.sort(indices, axis=1), axis=1) > 0).all()


def recall(indices, expected):
    k = indices.shape[1]
    best = np.argpartition(expected, k, axis=1)[:, :k]
    return np.mean([len(np.intersect1d(a, b)) for a, b in zip(indices, best, strict=True)]) / k
