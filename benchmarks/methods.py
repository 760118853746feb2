"""Every method and every selection strategy on the same images: what the pages of methods show.

    python benchmarks/methods.py --datasets mnist                # resumed where it stopped
    python benchmarks/methods.py --datasets mnist --networks 100 # networks, so many seconds each
    python benchmarks/methods.py --rare                          # Fashion-MNIST, classes 1 to 1/50

Pools of at most 10,000 images (photos: 4,000, networks: 5,000); accuracy on the images that have no
label. Photos get the features of EfficientNet-Lite0. On seeds 71 to 73 nothing was tuned.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fewlabel.cluster.strategies import strategy_names
from fewlabel.compute import _as_generator
from fewlabel.data import labels_from_truth
from fewlabel.evaluate import candidate_names, scores
from fewlabel.features.extract import extract_features
from fewlabel.fit_result import FitSettings
from fewlabel.graph.predictor import METHODS
from fewlabel.pipeline import fit_images, select_images
from fewlabel.runs.bench import _split
from fewlabel.selection import _looked_up
from honesty import PHOTOS, POOL, RECORD, add_row, recorded, subset

OUT = RECORD.with_name("methods.jsonl")
BUDGETS = {
    "fashion-mnist": (50, 500),
    "mnist": (50, 500),
    "letters": (100, 500),
    "eurosat": (100,),
    "grocery": (271,),
}
# Fine-tuning is for photos, see `fewlabel reproduce photos`.
NETWORKS = tuple(n for n in candidate_names() if n not in (*METHODS, "fine-tuning"))
# Networks are tried from 50 labels on; on photos, other ones are trained.
N_NETWORK_LABELS, N_NETWORK_POOL, N_PHOTOS = 200, 5_000, 4_000


def of_graph(dataset: str, seed: int, done: set[tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    """Give a row for each number of labels and each strategy: all that train no network."""
    wanted = [
        (n, how)
        for n, how in itertools.product(BUDGETS[dataset], strategy_names())
        if (dataset, seed, n, how) not in done
    ]
    if not wanted:
        return
    n_pool = N_PHOTOS if dataset in PHOTOS else POOL
    images = subset(_split(dataset, seed)[0], n_pool, seed)
    truth = labels_from_truth(images)
    backbone = "tf_efficientnet_lite0" if dataset in PHOTOS else "auto"
    features = extract_features(images, features=backbone, seed=seed)
    for n, how in wanted:
        begin = time.perf_counter()
        chosen = select_images(images, n, seed=seed, prepared=features, method=how)
        labels = _looked_up(truth, chosen)
        result = fit_images(images, labels, FitSettings(seed=seed), prepared=features)
        hidden = labels.y < 0
        row = {"dataset": dataset, "seed": seed, "n_labels": n, "selection": how,
               "n_pool": len(images), "kept": result.method}  # fmt: skip
        for name in METHODS:
            proba = result.main.predictor.transduce(features.rows, name)
            right = result.model.widen(proba).argmax(axis=1) == truth.y
            row[name] = round(float(right[hidden].mean()), 4)
        yield row | {"seconds": round(time.perf_counter() - begin, 2)}


def of_networks(
    dataset: str, seed: int, seconds: float, names: list[str], done: set[tuple[Any, ...]]
) -> Iterator[dict[str, Any]]:
    """Give a row for each method that trains a network of its own on small images."""
    wanted = [name for name in names if (dataset, seed, name) not in done]
    if not wanted:
        return
    images = subset(_split(dataset, seed)[0], N_NETWORK_POOL, seed)
    truth = labels_from_truth(images)
    features = extract_features(images, seed=seed)
    chosen = select_images(images, N_NETWORK_LABELS, seed=seed, prepared=features)
    labels = _looked_up(truth, chosen)
    hidden = labels.y < 0
    for method in wanted:
        settings = FitSettings(seed=seed, method=method, time_budget=seconds)
        result = fit_images(images, labels, settings, prepared=features)
        found = {
            "accuracy": result.proba,
            "main": result.main.proba,
            "supervised": result.baseline.proba,
        }
        row = {
            "dataset": dataset,
            "seed": seed,
            "n_labels": N_NETWORK_LABELS,
            "method": method,
            "n_pool": len(images),
            "time_budget": seconds,
            "n_networks": result.n_networks,
        }
        for name, proba in found.items():
            wide = proba if name == "accuracy" else result.model.widen(proba)
            row[name] = round(float((wide.argmax(axis=1) == truth.y)[hidden].mean()), 4)
        yield row | {"seconds": round(sum(result.seconds.values()), 1)}


def of_rare(seed: int, done: set[tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    """Give a row for each strategy on a pool in which some classes are rare."""
    images = _split("fashion-mnist", seed)[0]
    y, rng = labels_from_truth(images).y, _as_generator(seed)
    sizes = [round(1_000 * 50 ** (-k / 9)) for k in range(10)]
    rows = [rng.permutation(np.flatnonzero(y == k))[:n] for k, n in enumerate(sizes)]
    images = images.subset(np.sort(np.concatenate(rows)))
    truth, features = labels_from_truth(images), extract_features(images, seed=seed)
    for n, how in itertools.product((100, 300), ("representatives", "herding", "random")):
        if (seed, n, how) in done:
            continue
        labels = _looked_up(
            truth, select_images(images, n, seed=seed, prepared=features, method=how)
        )
        result = fit_images(images, labels, FitSettings(seed=seed), prepared=features)
        hidden = labels.y < 0
        found = scores(truth.task, truth.y[hidden], result.proba[hidden])
        recall = (result.predicted == truth.y)[hidden & (truth.y >= 7)].mean()
        yield {
            "rare": how,
            "seed": seed,
            "n_labels": n,
            "n_pool": len(images),
            "n_classes": len(np.unique(labels.y[~hidden])),
            "accuracy": round(found["accuracy"], 4),
            "balanced_accuracy": round(found["balanced_accuracy"], 4),
            "recall_of_three_rarest": round(float(recall), 4),
        }


def main() -> None:
    """Make the record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", default="71,72,73")
    parser.add_argument("--datasets", default=",".join(BUDGETS))
    parser.add_argument("--networks", type=float, metavar="SECONDS")
    parser.add_argument("--rare", action="store_true")
    parser.add_argument("--methods", default=",".join(NETWORKS), help="with --networks")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    rows = recorded(arguments.out)
    main_done = {tuple(r[k] for k in ("dataset", "seed", "n_labels", "selection"))
                 for r in rows if "selection" in r}  # fmt: skip
    network_done = {(r["dataset"], r["seed"], r["method"]) for r in rows if "method" in r}
    rare_done = {(r["seed"], r["n_labels"], r["rare"]) for r in rows if "rare" in r}
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    for seed, dataset in itertools.product(seeds, arguments.datasets.split(",")):
        if arguments.rare and dataset != "fashion-mnist":
            continue
        found = (
            of_rare(seed, rare_done)
            if arguments.rare
            else of_networks(
                dataset, seed, arguments.networks, arguments.methods.split(","), network_done
            )
            if arguments.networks
            else of_graph(dataset, seed, main_done)
        )
        for row in found:
            add_row(arguments.out, row)
            print(row, flush=True)


if __name__ == "__main__":
    main()
