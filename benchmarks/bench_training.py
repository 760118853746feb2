"""Training steps: fewlabel's loop beside a plain float32 loop, on the same network in one run.

    FEWLABEL_DATA=... python benchmarks/bench_training.py

The network is `fewlabel.nets`' small ResNet (5×5 stem of stride 2, widths 32, 64 and 128) on
Fashion-MNIST images of 28×28, 320 in a step. ``supervised``: cross-entropy on random labels.
``plain`` is the loop of a tutorial: float32 images in NCHW, AdamW as torch runs it by default, the
averaged weights one parameter at a time. ``consistency``: 64 labelled and 256 unlabelled images a
step. There ``plain`` passes labelled, weakly and strongly changed images through the network
together, all with gradients, as the published FixMatch code does; fewlabel passes the weak ones
once, without a graph. Both change images by the same functions, so that the loops alone differ.
``mild`` is the time to change 320 images. Seconds leave out imports and a warm-up.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import contest

CONTENDERS = [
    "fewlabel supervised",
    "plain supervised",
    "fewlabel consistency",
    "plain consistency",
    "mild augmentation",
]
GOAL = 1.5
BATCH, LABELED = 320, 64
CPU = torch.device("cpu")


def images(n: int) -> np.ndarray:
    """Give test images of Fashion-MNIST, (n, 28, 28) uint8."""
    X = contest.fashion_mnist("t10k")[:n].reshape(-1, 28, 28)
    return np.rint(X * 255).astype(np.uint8)


def targets(n: int) -> np.ndarray:
    """Give random classes, (n, 10) float32."""
    return np.eye(10, dtype=np.float32)[np.random.default_rng(0).integers(10, size=n)]


def network() -> Any:
    """Build the small ResNet with the same weights for every contender."""
    from fewlabel.nets import NetworkSpec, build_network

    torch.manual_seed(0)
    return build_network(NetworkSpec("resnet", (1, 28, 28), 10))


def ours_supervised(n_steps: int) -> None:
    """Train by fewlabel's loop."""
    from fewlabel.nets import Trainer, TrainingSet, TrainSettings

    n = n_steps * BATCH
    data = TrainingSet.of(np.resize(images(10_000), (n, 28, 28)), targets(n))
    Trainer(network(), TrainSettings(n_epochs=1, batch_size=BATCH), device=CPU).fit(data)


def ours_consistency(n_steps: int) -> None:
    """Train by fewlabel's consistency loop."""
    from fewlabel.nets import TrainingSet, TrainSettings
    from fewlabel.nets.augment import PRESETS
    from fewlabel.semisupervised.consistency_trainer import (
        _ConsistencySettings,
        _ConsistencyTrainer,
    )

    _ConsistencyTrainer(
        network(),
        TrainSettings(n_epochs=1, batch_size=LABELED),
        device=CPU,
        unlabeled=TrainingSet.of(images(5_000), np.zeros((5_000, 10))),
        weak=PRESETS["weak"],
        strong=PRESETS["strong"],
        consistency=_ConsistencySettings(method="fixmatch", alignment="none"),
        class_shares=torch.full((10,), 0.1),
        steps_per_epoch=n_steps,
    ).fit(TrainingSet.of(images(1_000), targets(1_000)))


def plain_loop(n_steps: int, loss_of: Callable[[Any, int], torch.Tensor]) -> None:
    """Train as a tutorial does; ``loss_of(network, step)`` makes the loss."""
    net = network()
    average = {name: p.detach().clone() for name, p in net.named_parameters()}
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    for step in range(n_steps):
        loss = loss_of(net, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
        with torch.no_grad():
            for name, p in net.named_parameters():
                average[name].mul_(0.99).add_(p, alpha=0.01)


def plain_supervised(n_steps: int) -> None:
    """Train by the plain loop."""
    X = torch.from_numpy(images(10_000)).float().div(255)[:, None]
    classes = torch.from_numpy(targets(10_000).argmax(1))
    order = torch.Generator().manual_seed(0)

    def loss(net: Any, step: int) -> torch.Tensor:
        rows = torch.randint(10_000, (BATCH,), generator=order)
        return torch.nn.functional.cross_entropy(net(X[rows]), classes[rows])

    plain_loop(n_steps, loss)


def plain_consistency(n_steps: int) -> None:
    """Train by the plain loop: three batches through the network, all with gradients."""
    from fewlabel.nets.augment import PRESETS

    X = torch.from_numpy(images(10_000)).float().div(255)[:, None]
    classes = torch.from_numpy(targets(10_000).argmax(1))
    draws = torch.Generator().manual_seed(0)
    entropy = torch.nn.functional.cross_entropy

    def loss(net: Any, step: int) -> torch.Tensor:
        known = torch.randint(1_000, (LABELED,), generator=draws)
        rest = torch.randint(10_000, (BATCH - LABELED,), generator=draws)
        weak = PRESETS["weak"](torch.cat([X[known], X[rest]]), draws)
        strong = PRESETS["strong"](X[rest], draws)
        known_logits, weak_logits, strong_logits = net(torch.cat([weak, strong])).split(
            [LABELED, BATCH - LABELED, BATCH - LABELED]
        )
        confidence, label = weak_logits.detach().softmax(1).max(1)
        unlabeled = entropy(strong_logits, label, reduction="none") * (confidence > 0.95)
        return entropy(known_logits, classes[known]) + unlabeled.mean()

    plain_loop(n_steps, loss)


def mild_augmentation(n_steps: int) -> None:
    """Change batches of images mildly."""
    from fewlabel.nets.augment import make_augmentation

    augment = make_augmentation("mild", flip=True)
    batch, generator = torch.rand(BATCH, 1, 28, 28), torch.Generator()
    for _ in range(n_steps):
        augment(batch, generator)


WORK: dict[str, Callable[[int], None]] = {
    "fewlabel supervised": ours_supervised,
    "plain supervised": plain_supervised,
    "fewlabel consistency": ours_consistency,
    "plain consistency": plain_consistency,
    "mild augmentation": mild_augmentation,
}


def main() -> None:
    """Measure all contenders and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="benchmarks/results/training.json")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--contender")
    args = parser.parse_args()
    if args.contender:
        work = WORK[args.contender]
        work(3)
        _, figures = contest.timed(lambda: work(args.steps))
        rate = args.steps * BATCH / figures["seconds"]
        print(json.dumps(figures | {"images_per_second": rate}))
        return
    results = contest.contest(__file__, CONTENDERS, args.repeats, "--steps", str(args.steps))
    rates = {name: row["images_per_second"] for name, row in results.items()}
    kinds = ("supervised", "consistency")
    ratios = {k: round(rates[f"fewlabel {k}"] / rates[f"plain {k}"], 2) for k in kinds}
    contest.write(
        args.out,
        {
            "command": "python benchmarks/bench_training.py",
            "task": f"training steps of {BATCH} images of 28×28, small ResNet",
            "machine": contest.machine(),
            "threads": torch.get_num_threads(),
            "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
            "steps": args.steps,
            "repeats": args.repeats,
            "median": results,
            "goal_times_plain": GOAL,
            "times_plain": ratios,
            "reached": {kind: ratio >= GOAL for kind, ratio in ratios.items()},
            "milliseconds_per_step_of_mild_augmentation": round(
                1e3 * results["mild augmentation"]["seconds"] / args.steps, 2
            ),
        },
    )


if __name__ == "__main__":
    main()
