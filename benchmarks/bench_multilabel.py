"""Training on several labels an image: fewlabel's loop beside a plain float32 loop, in one run.

    python benchmarks/bench_multilabel.py

The network is `fewlabel.nets`' small CNN on random grey images of 56×56 with 36 labels, 64 in a
step; ``study`` is the one of the study combo (widths 16, 32, 64 and 128), ``default`` that of
`fewlabel.NetworkClassifier` (32, 64 and 128). ``plain`` is the loop of a tutorial: float32 images
in NCHW, binary cross-entropy, AdamW as torch runs it by default. ``fewlabel`` is
`NetworkClassifier.fit`, which besides masks what is not known and averages the weights. Seconds
leave out imports and a warm-up. Ratios are of processor seconds, which other work on the machine
hardly changes. The goal of 2,000 images a second is for two cores with AVX-512 or matrix units
that do nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from functools import partial
from typing import Any

import numpy as np
import torch

import contest

WIDTHS = {"study": (16, 32, 64, 128), "default": (32, 64, 128)}
GOAL = 2_000
BATCH = 64


def images(n: int) -> np.ndarray:
    """Give random images, (n, 56, 56) uint8: what they show does not change the time."""
    return np.random.default_rng(0).integers(0, 256, (n, 56, 56), dtype=np.uint8)


def targets(n: int) -> np.ndarray:
    """Give a digit and a letter each, (n, 36)."""
    rng = np.random.default_rng(1)
    table = np.zeros((n, 36), dtype=np.int64)
    table[np.arange(n), rng.integers(10, size=n)] = 1
    table[np.arange(n), 10 + rng.integers(26, size=n)] = 1
    return table


def ours(n_steps: int, network: str, data: Any) -> None:
    """Train by fewlabel's estimator."""
    from fewlabel import NetworkClassifier

    model = NetworkClassifier(
        "cnn",
        options={"widths": WIDTHS[network]},
        n_epochs=1,
        min_steps=1,
        batch_size=BATCH,
        device="cpu",
        random_state=0,
    )
    model.fit(data[0][: n_steps * BATCH], data[1][: n_steps * BATCH])


def plain(n_steps: int, network: str, data: Any) -> None:
    """Train as a tutorial does."""
    from fewlabel.nets import NetworkSpec, build_network

    torch.manual_seed(0)
    net = build_network(NetworkSpec("cnn", (1, 56, 56), 36, {"widths": WIDTHS[network]}))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    X = torch.from_numpy(data[0]).float().div(255)[:, None]
    Y = torch.from_numpy(data[1]).float()
    for step in range(n_steps):
        rows = slice(step * BATCH, (step + 1) * BATCH)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(net(X[rows]), Y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()


WORK = {
    f"{who} {network}": partial(learn, network=network)
    for network in WIDTHS
    for who, learn in (("fewlabel", ours), ("plain", plain))
}


def main() -> None:
    """Measure all contenders and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="benchmarks/results/multilabel.json")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--contender")
    args = parser.parse_args()
    n = args.steps * BATCH
    if args.contender:
        work, data = WORK[args.contender], (images(n), targets(n))
        work(3, data=data)
        start = time.process_time()
        _, figures = contest.timed(lambda: work(args.steps, data=data))
        rates = {
            "images_per_second": n / figures["seconds"],
            "images_per_processor_second": n / (time.process_time() - start),
        }
        print(json.dumps(figures | rates))
        return
    results = contest.contest(__file__, list(WORK), args.repeats, "--steps", str(args.steps))
    key = "images_per_processor_second"
    rates = {name: row[key] for name, row in results.items()}
    contest.write(
        args.out,
        {
            "command": "python benchmarks/bench_multilabel.py",
            "task": f"training steps of {BATCH} images of 56×56 with 36 labels, small CNN",
            "machine": contest.machine(),
            "threads": torch.get_num_threads(),
            "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
            "steps": args.steps,
            "repeats": args.repeats,
            "median": results,
            "times_plain": {
                network: round(rates[f"fewlabel {network}"] / rates[f"plain {network}"], 2)
                for network in WIDTHS
            },
            "goal_images_per_second_on_two_cores": GOAL,
            "reached": results["fewlabel study"]["images_per_second"] >= GOAL,
        },
    )


if __name__ == "__main__":
    main()
