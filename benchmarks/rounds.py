"""Two rounds of labels against one of the same total, on hidden labels of the pool.

    python benchmarks/rounds.py --weights mobilenetv2_100.safetensors   # resumed where it stopped
    python benchmarks/rounds.py --table                                 # means over the seeds

Of each total, the first half is chosen by `fewlabel select`, and the rest by `representatives`
again or by `herding` on the confidence of the model that was fitted on the first half (`--run`).
A fifth of either round is drawn at random. Settings were fixed on seeds 101 to 103
(docs/decisions/0016).
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fewlabel.data import Labels, labels_from_truth
from fewlabel.features.extract import extract_features
from fewlabel.fit_result import FitResult
from fewlabel.fit_settings import FitSettings
from fewlabel.pipeline import fit_images, select_images
from fewlabel.runs.bench import _split
from fewlabel.selection import Selection, _looked_up
from honesty import PHOTOS, POOL, RECORD, add_row, covers, recorded, subset

TOTALS = {
    "grocery": (270, 540),
    "eurosat": (40, 100),
    "fashion-mnist": (100, 200),
    "mnist": (50,),
    "letters": (100,),
}
N_CLASSES = {"grocery": 43, "eurosat": 10, "fashion-mnist": 10, "mnist": 10, "letters": 26}
FIGURES = ("accuracy", "value", "low", "high", "n")
PLANS = {
    "one": "one round",
    "one herding": "one, `herding`",
    "two": "two rounds",
    "two herding": "two, `--run`",
}


def measure(dataset: str, seed: int, weights: str | None, totals: list[int]) -> Iterator[dict]:
    """Give a row for each total: what each plan reaches on the unlabeled images."""
    images = subset(_split(dataset, seed)[0], POOL, seed)
    truth, settings = labels_from_truth(images), FitSettings(seed=seed)
    features = extract_features(images, weights=weights if dataset in PHOTOS else None, seed=seed)
    select = partial(select_images, images, seed=seed, prepared=features)

    def learn(*rounds: Selection) -> tuple[Labels, FitResult]:
        labels = _looked_up(truth, *rounds)
        return labels, fit_images(images, labels, settings, prepared=features)

    for total in totals:
        row: dict[str, Any] = {"dataset": dataset, "seed": seed, "n_labels": total}
        first, rest = select(total // 2), total - total // 2
        labels, half = learn(first)
        plans = {
            "one": [select(total)],
            "one herding": [select(total, method="herding")],
            "two": [first, select(rest, labels=labels)],
            "two herding": [first, select(rest, labels=labels, confidence=half.confidence)],
        }
        for plan, rounds in plans.items():
            known, result = learn(*rounds)
            right = (result.predicted == truth.y)[known.y < 0].mean()
            found = (right, *(getattr(result.estimate, name) for name in FIGURES[1:]))
            row[plan] = {n: round(float(v), 4) for n, v in zip(FIGURES, found, strict=True)}
        yield row


def table(rows: list[dict[str, Any]]) -> str:
    """Write the means over the seeds, with standard errors."""
    headings = (
        "data",
        "labels",
        "a class, first half",
        *PLANS.values(),
        "gain of `--run`",
        "covers",
    )
    lines = ["| " + " | ".join(headings) + " |", "|---" * len(headings) + "|"]
    by_set: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in rows:
        by_set.setdefault((row["dataset"], row["n_labels"]), []).append(row)
    each = {(name, total): total / 2 / N_CLASSES[name] for name, total in by_set}
    for name, total in sorted(by_set, key=each.__getitem__, reverse=True):
        every = by_set[name, total]
        found = {plan: np.array([row[plan]["accuracy"] for row in every]) for plan in PLANS}
        cells = [f"{100 * a.mean():.1f} ± {100 * _error(a):.1f}" for a in found.values()]
        gain = found["two herding"] - found["one"]
        cells += [f"{100 * gain.mean():+.1f} ± {100 * _error(gain):.1f}"]
        fits = [row[plan] for row in every for plan in ("two", "two herding")]
        covered = sum(map(covers, fits))
        cells += [f"{covered} of {len(fits)}"]
        lines.append(f"| {name} | {total} | {each[name, total]:.1f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _error(values: np.ndarray) -> float:
    """Return the standard error of a mean."""
    return float(values.std(ddof=1) / len(values) ** 0.5)


def main() -> None:
    """Make the record, or print its table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", default="51,52,53")
    parser.add_argument("--datasets", default=",".join(TOTALS))
    parser.add_argument("--weights", help="a .safetensors file for the photos")
    parser.add_argument("--out", type=Path, default=RECORD.with_name("rounds.jsonl"))
    parser.add_argument("--table", action="store_true", help="print the table of the record")
    arguments = parser.parse_args()
    rows = recorded(arguments.out)
    if arguments.table:
        print(table(rows))
        return
    done = {(row["dataset"], row["seed"], row["n_labels"]) for row in rows}
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    for seed, dataset in itertools.product(seeds, arguments.datasets.split(",")):
        totals = [n for n in TOTALS[dataset] if (dataset, seed, n) not in done]
        for row in measure(dataset, seed, arguments.weights, totals) if totals else ():
            add_row(arguments.out, row)
            print(row, flush=True)


if __name__ == "__main__":
    main()
