"""Rows of which few are labeled, for the tests of the graph."""

import numpy as np


def groups(n=80, n_labeled=24, n_classes=3, seed=0):
    """Overlapping groups with one label a row, unevenly labeled."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(n_classes, size=n)
    X = rng.normal(size=(n, 6)) + 3 * np.eye(n_classes, 6)[truth]
    codes = np.full(n, -1)
    labeled = rng.permutation(n)[:n_labeled]
    codes[labeled] = truth[labeled]
    return X.astype(np.float32), codes


def tables(n=120, n_labeled=60):
    """Three labels a row, some of which are unknown."""
    rng = np.random.default_rng(0)
    truth = (rng.random((n, 3)) < 0.4).astype(np.int8)
    X = rng.normal(size=(n, 8)) + 3 * truth @ np.eye(3, 8)
    y = np.where(np.arange(n)[:, None] < n_labeled, truth, -1).astype(np.int8)
    y[:10, 1] = -1
    return X.astype(np.float32), y
