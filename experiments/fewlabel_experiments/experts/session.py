"""Images, labels and networks that the rows of the study share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fewlabel import NetworkClassifier
from fewlabel.data import labels_from_truth, load_benchmark

from ..protocol import Session

FEWEST = 2
"""Labels of every class: one to train on, one to hold out."""


@dataclass(frozen=True)
class Task:
    """Images of which some are labeled, and test images."""

    images: np.ndarray  # (n, H, W): labeled and unlabeled images
    y: np.ndarray  # (n,): classes, -1 where the label is hidden
    truth: np.ndarray  # (n,): all classes; nothing but the measurement reads it
    test_images: np.ndarray  # (m, H, W): test images
    test_y: np.ndarray  # (m,): their classes

    @property
    def labeled(self) -> np.ndarray:
        """Rows with a label."""
        return np.flatnonzero(self.y >= 0)

    @property
    def pool(self) -> np.ndarray:
        """Rows without one."""
        return np.flatnonzero(self.y < 0)

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return int(self.truth.max()) + 1


class ExpertsSession(Session):
    """Data sets and settings of one seed."""

    def task(self, data: str, n_labeled: int, imbalance: float = 1.0) -> Task:
        """Draw images and labels."""
        images, truth, test_images, test_y = self.work.get(f"{data}: images", lambda: _read(data))
        rng = np.random.default_rng([self.seed, 11])
        n_classes = int(truth.max()) + 1
        shares = imbalance ** (-np.arange(n_classes) / (n_classes - 1))
        kept = _draw(truth, shares, self.config["n_images"], rng)
        labels = _draw(truth[kept], shares, n_labeled, rng)
        y = np.full(len(kept), -1)
        y[labels] = truth[kept][labels]
        tested = slice(self.config["n_test"] or None)
        return Task(images[kept], y, truth[kept], test_images[tested], test_y[tested])

    def network(self, n_rows: int, seed: int, **settings: Any) -> NetworkClassifier:
        """Make a network that is not trained yet."""
        config = self.config
        common: dict[str, Any] = {
            "options": {"widths": tuple(config["widths"]), "dropout": config["dropout"]},
            "n_epochs": 1,
            "min_steps": config["steps"],
            "batch_size": config["batch"],
            "learning_rate": config["rate"],
            "augment": config["augment"],
            "random_state": self.seed * 1_000 + seed,
        }
        return NetworkClassifier("cnn", **common | settings)


def _read(data: str) -> tuple[np.ndarray, ...]:
    train, test = load_benchmark(data, "train"), load_benchmark(data, "test")
    known = labels_from_truth(train)
    return (
        train.read(slice(None))[..., 0],
        known.y,
        test.read(slice(None))[..., 0],
        labels_from_truth(test, known.classes).y,
    )


def _draw(y: np.ndarray, shares: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw rows with given class shares, and at least two of every class."""
    if np.ptp(shares) == 0:
        rows = rng.permutation(len(y))[:n]
        while np.bincount(y[rows], minlength=len(shares)).min() < FEWEST:
            rows = rng.permutation(len(y))[:n]
        return np.sort(rows)
    counts = np.maximum(np.round(n * shares / shares.sum()).astype(int), FEWEST)
    counts = np.minimum(counts, np.bincount(y, minlength=len(shares)))
    drawn = [rng.permutation(np.flatnonzero(y == k))[: counts[k]] for k in range(len(shares))]
    return np.sort(np.concatenate(drawn))
