"""k-means with 2,000 clusters on Fashion-MNIST: fewlabel, scikit-learn and faiss.

    FEWLABEL_DATA=... python benchmarks/bench_kmeans.py --out benchmarks/results/kmeans.json

Ten Lloyd iterations from the same rows, then fewlabel's `KMeans` from k-means++ to convergence.
Seconds leave out imports and reading. faiss is timed without the final assignment, which it does
not do; fewlabel and scikit-learn return labels. The inertia is that of the exact assignment to
the final centers, computed afterwards in float64 for every contender.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

import contest

CONTENDERS = ["fewlabel", "scikit-learn", "faiss"]
ITERATIONS = 10


def prepare(name: str, X: np.ndarray, start: np.ndarray) -> Callable[[], np.ndarray]:
    """Import a contender; give a function that returns its final centers."""
    if name == "fewlabel":
        from fewlabel import KMeans

        given = KMeans(len(start), init=start, max_iter=ITERATIONS, tol=0)
        return lambda: given.fit(X).cluster_centers_
    if name == "fewlabel-converged":
        from fewlabel import KMeans

        return lambda: KMeans(len(start), random_state=0).fit(X).cluster_centers_
    if name == "scikit-learn":
        from sklearn.cluster import KMeans as SklearnKMeans

        model = SklearnKMeans(
            len(start), init=start, n_init=1, max_iter=ITERATIONS, tol=0, algorithm="lloyd"
        )
        return lambda: model.fit(X).cluster_centers_
    import faiss

    kmeans = faiss.Kmeans(
        X.shape[1], len(start), niter=ITERATIONS, min_points_per_centroid=1, seed=1
    )

    def run() -> np.ndarray:
        kmeans.train(X, init_centroids=start)
        return kmeans.centroids

    return run


def inertia(X: np.ndarray, centers: np.ndarray) -> float:
    """Sum of squared distances to the nearest centers, in float64."""
    centers = centers.astype(np.float64)
    halves = (centers**2).sum(axis=1) / 2
    total = 0.0
    for start in range(0, len(X), 2000):
        block = X[start : start + 2000].astype(np.float64)
        best = (block @ centers.T - halves).max(axis=1)
        total += float((block**2).sum() - 2 * best.sum())
    return total


def compete(name: str, folder: Path) -> None:
    """Run one contender in this process and print its figures."""
    import warnings

    warnings.simplefilter("ignore")
    X, start = np.load(folder / "X.npy"), np.load(folder / "start.npy")
    centers, figures = contest.timed(prepare(name, X, start))
    print(json.dumps({**figures, "inertia": inertia(X, centers)}))


def main() -> None:
    """Measure all contenders and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="benchmarks/results/kmeans.json")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clusters", type=int, default=2000)
    parser.add_argument("--contender")
    parser.add_argument("--folder")
    args = parser.parse_args()
    if args.contender:
        compete(args.contender, Path(args.folder))
        return
    with tempfile.TemporaryDirectory() as folder:
        X = contest.fashion_mnist("train")
        rows = np.random.default_rng(0).choice(len(X), args.clusters, replace=False)
        np.save(Path(folder) / "X.npy", X)
        np.save(Path(folder) / "start.npy", X[rows])
        results = contest.contest(__file__, CONTENDERS, args.repeats, "--folder", folder)
        converged = contest.contest(__file__, ["fewlabel-converged"], 1, "--folder", folder)
    contest.write(
        args.out,
        {
            "command": "python benchmarks/bench_kmeans.py --out benchmarks/results/kmeans.json",
            "task": f"k-means, Fashion-MNIST train {X.shape[0]}x{X.shape[1]}, "
            f"{args.clusters} clusters, {ITERATIONS} Lloyd iterations from the same rows",
            "machine": contest.machine(),
            "repeats": args.repeats,
            "median": results,
            "times_as_long_as_fewlabel": contest.ratios(results, "fewlabel"),
            "inertia_relative_to_fewlabel": {
                name: round(row["inertia"] / results["fewlabel"]["inertia"], 6)
                for name, row in results.items()
            },
            "kmeans_plus_plus_to_convergence": converged["fewlabel-converged"],
        },
    )


if __name__ == "__main__":
    main()
