r"""Does the budget adviser foretell what twice the labels bring? Held-out budgets on test images.

    FEWLABEL_DATA=... python benchmarks/bench_budget_adviser.py \
        --out benchmarks/results/budget_adviser.json

A fit with n labels foretells the accuracy with 2n, with an interval. Then n more images are
chosen, as `fewlabel select --labels` chooses them, their labels are looked up, and the new fit is
measured on the test images, which nothing else ever sees. Counted is how often that accuracy lies
in the interval, and how wide the intervals are: a wide one is no feat. The same is counted for the
gain, the difference between both accuracies on the test images.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score

import contest
from fewlabel.compute import _as_generator
from fewlabel.data import labels_from_truth, load_benchmark
from fewlabel.pipeline import Features, FitResult, extract_features, fit_images, select_images
from fewlabel.selection import Selection, _looked_up

CHAINS = ((50, 100, 200), (250, 500, 1_000, 2_000))
"""Budgets, each twice the one before; every chain starts from nothing."""


class Growth:
    """One data set with one seed: its features, computed once, and its hidden labels."""

    def __init__(self, dataset: str, seed: int, n_images: int) -> None:
        self.dataset, self.seed = dataset, seed
        self.train, self.test = load_benchmark(dataset, "train"), load_benchmark(dataset, "test")
        if n_images < len(self.train):
            rows = _as_generator(seed).choice(len(self.train), size=n_images, replace=False)
            self.train = self.train.subset(np.sort(rows))
        self.truth = labels_from_truth(self.train)
        self.prepared: Features = extract_features(self.train, seed=seed)
        self.test_rows = self.prepared.extractor.transform(self.test)
        self.test_y = labels_from_truth(self.test, self.truth.classes).y

    def grow(self, budgets: tuple[int, ...], selection: str) -> Iterator[tuple[FitResult, float]]:
        """Label up to each budget in turn; give the fit and its accuracy on the test images."""
        rounds: list[Selection] = []
        for budget in budgets:
            labels = _looked_up(self.truth, *rounds) if rounds else None
            chosen = select_images(
                self.train,
                budget - (labels.n_labeled if labels else 0),
                method=selection,
                labels=labels,
                seed=self.seed,
                prepared=self.prepared,
            )
            rounds.append(chosen)
            labels = _looked_up(self.truth, *rounds)
            result = fit_images(self.train, labels, prepared=self.prepared)
            proba = result.model.widen(result.main.predict_proba(self.test_rows))
            yield result, accuracy_score(self.test_y, proba.argmax(axis=1))


def foretell(growth: Growth, selection: str) -> list[dict[str, Any]]:
    """Compare what each fit foretold with what the next one reached."""
    records = []
    for budgets in CHAINS:
        before: tuple[FitResult, float] | None = None
        for result, reached in growth.grow(budgets, selection):
            if before is not None:
                records.append(_record(growth, selection, before, reached))
                print(records[-1], file=sys.stderr, flush=True)
            before = result, reached
    return records


def _record(
    growth: Growth, selection: str, before: tuple[FitResult, float], reached: float
) -> dict[str, Any]:
    result, had = before
    curve = result.curve
    assert curve is not None, result.no_curve
    return {
        "dataset": growth.dataset,
        "seed": growth.seed,
        "selection": selection,
        "n_images": len(growth.train),
        "n_now": curve.n_now,
        "next_n": curve.next_n,
        "method": result.method,
        "now": round(curve.now.expected, 4),
        "true_now": round(had, 4),
        "expected": round(curve.expected, 4),
        "low": round(curve.low, 4),
        "high": round(curve.high, 4),
        "true": round(reached, 4),
        "inside": bool(curve.low <= reached <= curve.high),
        "gain": [round(value, 4) for value in curve.gain],
        "true_gain": round(reached - had, 4),
        "gain_inside": bool(curve.gain.low <= reached - had <= curve.gain.high),
        "seconds": {stage: round(value, 2) for stage, value in result.seconds.items()},
    }


def summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Count how often the truth lay in the interval."""
    inside = [record["inside"] for record in records]
    return {
        "pairs": len(records),
        "inside": sum(inside),
        "share_inside": round(float(np.mean(inside)), 3),
        "mean_width": round(float(np.mean([r["high"] - r["low"] for r in records])), 4),
        "mean_miss": round(float(np.mean([abs(r["true"] - r["expected"]) for r in records])), 4),
        "share_gain_inside": round(float(np.mean([r["gain_inside"] for r in records])), 3),
        "mean_gain_width": round(float(np.mean([r["gain"][2] - r["gain"][1] for r in records])), 4),
        "curve_seconds_per_fit_second": round(
            sum(r["seconds"]["curve"] for r in records) / sum(r["seconds"]["fit"] for r in records),
            3,
        ),
    }


def main() -> None:
    """Measure, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="benchmarks/results/budget_adviser.json")
    parser.add_argument("--datasets", default="fashion-mnist,mnist")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--selections", default="representatives,random")
    parser.add_argument("--images", type=int, default=60_000)
    args = parser.parse_args()
    records: list[dict[str, Any]] = []
    for dataset in args.datasets.split(","):
        for seed in map(int, args.seeds.split(",")):
            growth = Growth(dataset, seed, args.images)
            for selection in args.selections.split(","):
                records += foretell(growth, selection)
    groups: dict[str, list[dict[str, Any]]] = {"all": records}
    for record in records:
        groups.setdefault(f"{record['dataset']}, {record['selection']}", []).append(record)
    contest.write(
        args.out,
        {
            "command": " ".join(["python", "benchmarks/bench_budget_adviser.py", *sys.argv[1:]]),
            "task": "fit with n labels, foretell the accuracy with 2n, label n more, measure",
            "machine": contest.machine(),
            "summary": {name: summary(rows) for name, rows in groups.items()},
            "records": records,
        },
    )


if __name__ == "__main__":
    main()
