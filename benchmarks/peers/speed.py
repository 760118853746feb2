"""Data and measures of the contests in k-means and in nearest neighbors, both on Fashion-MNIST."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import contest

CLUSTERS, K = 2_000, 15


def write(kind: str, work: Path) -> Path:
    """Write what the contenders are given, once: images and first centers, or unit rows."""
    folder = work / kind
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "kmeans" and not (folder / "start.npy").exists():
        X = contest.fashion_mnist("train")
        np.save(folder / "X.npy", X)
        rows = np.random.default_rng(0).choice(len(X), CLUSTERS, replace=False)
        np.save(folder / "start.npy", X[rows])
    if kind == "neighbors" and not (folder / "Z.npy").exists():
        np.save(folder / "Z.npy", unit_rows())
    return folder


def unit_rows() -> np.ndarray:
    """Return unit rows of 128 damped principal components, (70000, 128) float32."""
    X = contest.fashion_mnist("train", "t10k")
    X -= X[:60000].mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(X[:60000].T))
    values, vectors = values[::-1][:128], vectors[:, ::-1][:, :128]
    Z = X @ (vectors * values**-0.25).astype(np.float32)
    return Z / np.linalg.norm(Z, axis=1, keepdims=True)


def inertia(X: np.ndarray, centers: np.ndarray) -> float:
    """Return the sum of squared distances to the nearest centers, in float64."""
    centers = centers.astype(np.float64)
    halves = (centers**2).sum(axis=1) / 2
    total = 0.0
    for start in range(0, len(X), 2000):
        block = X[start : start + 2000].astype(np.float64)
        best = (block @ centers.T - halves).max(axis=1)
        total += float((block**2).sum() - 2 * best.sum())
    return total


def recall(Z: np.ndarray, neighbors: np.ndarray) -> float:
    """Return the share of the 15 true neighbors of 2,000 rows that are found."""
    rows = np.random.default_rng(0).choice(len(Z), 2000, replace=False)
    hits = 0
    for part in np.array_split(rows, 20):
        scores = Z[part].astype(np.float64) @ Z.T.astype(np.float64)
        scores[np.arange(len(part)), part] = -np.inf
        best = np.argpartition(-scores, K, axis=1)[:, :K]
        for row, truth in zip(part, best, strict=True):
            found = neighbors[row][neighbors[row] != row][:K]
            hits += len(np.intersect1d(found, truth))
    return hits / (len(rows) * K)
