"""15 nearest neighbors of 70,000 Fashion-MNIST features: fewlabel, faiss and scikit-learn.

    FEWLABEL_DATA=... python benchmarks/bench_neighbors.py --out benchmarks/results/neighbors.json

The features are the 128 leading principal components of the pixels, eigenvalues damped by a
power of 0.25, compared by the cosine. Seconds include building the index and leave out imports
and reading. Recall is measured on 2,000 rows against a float64 product.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

import contest

K = 15
CONTENDERS = ["fewlabel", "fewlabel-exact", "faiss", "scikit-learn"]


def features() -> np.ndarray:
    """Make unit rows of 128 damped principal components, (70000, 128) float32."""
    X = contest.fashion_mnist("train", "t10k")
    X -= X[:60000].mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov(X[:60000].T))
    values, vectors = values[::-1][:128], vectors[:, ::-1][:, :128]
    Z = X @ (vectors * values**-0.25).astype(np.float32)
    return Z / np.linalg.norm(Z, axis=1, keepdims=True)


def prepare(name: str, Z: np.ndarray) -> Callable[[], np.ndarray]:
    """Import a contender; give a function that returns neighbors, with or without the row."""
    if name.startswith("fewlabel"):
        from fewlabel.cluster.neighbors import nearest_neighbors

        method = "exact" if name.endswith("exact") else "auto"
        return lambda: nearest_neighbors(Z, K, method=method)[0]
    if name == "faiss":
        import faiss

        def run() -> np.ndarray:
            index = faiss.IndexFlatIP(Z.shape[1])
            index.add(Z)
            return index.search(Z, K + 1)[1]

        return run
    from sklearn.neighbors import NearestNeighbors

    # On unit rows the Euclidean order is the cosine's, and scikit-learn is fastest with it.
    model = NearestNeighbors(n_neighbors=K, algorithm="brute")
    return lambda: model.fit(Z).kneighbors(return_distance=False)


def recall(Z: np.ndarray, neighbors: np.ndarray) -> float:
    """Share of the 15 true neighbors of 2,000 rows that are found."""
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


def compete(name: str, Z: np.ndarray) -> None:
    """Run one contender in this process and print its figures."""
    neighbors, figures = contest.timed(prepare(name, Z))
    print(json.dumps({**figures, "recall": recall(Z, neighbors)}))


def compete_queries(Z: np.ndarray, method: str) -> None:
    """Time queries of 10,000 new rows against 60,000 stored ones."""
    from fewlabel.cluster.neighbors import NeighborIndex

    index = NeighborIndex(Z[:60000], method=method)
    index.query(Z[60000:60100], K)
    _, figures = contest.timed(lambda: index.query(Z[60000:], K))
    print(json.dumps({**figures, "queries_per_second": 10000 / figures["seconds"]}))


def main() -> None:
    """Measure all contenders and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="benchmarks/results/neighbors.json")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--contender")
    parser.add_argument("--folder")
    args = parser.parse_args()
    if args.contender:
        Z = np.load(Path(args.folder) / "Z.npy")
        if args.contender.startswith("queries-"):
            compete_queries(Z, args.contender.removeprefix("queries-"))
        else:
            compete(args.contender, Z)
        return
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "Z.npy", features())
        results = contest.contest(__file__, CONTENDERS, args.repeats, "--folder", folder)
        names = ["queries-cells", "queries-exact"]
        queries = contest.contest(__file__, names, args.repeats, "--folder", folder)
    contest.write(
        args.out,
        {
            "command": "python benchmarks/bench_neighbors.py "
            "--out benchmarks/results/neighbors.json",
            "task": f"{K} nearest neighbors by cosine, Fashion-MNIST train + test 70000x128",
            "machine": contest.machine(),
            "repeats": args.repeats,
            "median": results,
            "times_as_long_as_fewlabel": contest.ratios(results, "fewlabel"),
            "queries_10000_against_60000": queries,
        },
    )


if __name__ == "__main__":
    main()
