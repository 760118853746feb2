"""What a row is measured by: accuracy, pseudo-labels, time, operations and bytes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from sklearn.metrics import balanced_accuracy_score, recall_score
from torch.utils.flop_counter import FlopCounterMode

from fewlabel.nets import Network

from ..protocol import Outcome
from .session import Task


@dataclass
class Meter:
    """Counts what training and predicting cost."""

    seconds: float = 0.0  # time of training and of giving pseudo-labels
    # Images that went forward and backward through a network, and those that went forward
    n_trained: int = 0
    n_predicted: int = 0
    n_bytes: int = 0  # size of all weights that the method keeps
    networks: list[Any] = field(default_factory=list)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Measure the time of a block."""
        start = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - start

    def trained(self, model: Any, n_rows: int) -> None:
        """Count a training by its steps."""
        batch = min(model.batch_size, n_rows)
        steps = len(model.history_) * max(1, n_rows // batch)
        self.n_trained += steps * batch

    def keep(self, network: Network) -> None:
        """Count the weights of a network that the method keeps."""
        self.networks.append(network)
        self.n_bytes += sum(t.numel() * t.element_size() for t in network.state_dict().values())

    def operations(self) -> float:
        """Return the floating-point operations of all passes; backward counts as two forward."""
        if not self.networks:
            return 0.0
        network = self.networks[0].eval()
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            network(torch.zeros(8, *network.spec.input_shape))
        each = counter.get_total_flops() / 8
        return float(each * (3 * self.n_trained + self.n_predicted))


@dataclass(frozen=True)
class PseudoLabels:
    """Pseudo-labels of all unlabeled images."""

    codes: np.ndarray  # (m,): class of each unlabeled image
    confidence: np.ndarray  # (m,)
    accepted: np.ndarray  # (m,): what it trains on


def measure(
    task: Task, predicted: np.ndarray, pseudo: PseudoLabels, meter: Meter, coverage: float
) -> Outcome:
    """Compare a method's predictions and pseudo-labels with the truth."""
    right = pseudo.codes == task.truth[task.pool]
    top = np.argsort(-pseudo.confidence, kind="stable")[: round(coverage * len(right))]
    recalls = recall_score(task.test_y, predicted, average=None, zero_division=0.0)
    extra = {
        "balanced": 100 * float(balanced_accuracy_score(task.test_y, predicted)),
        "worst_class": 100 * float(recalls.min()),
        "accepted": float(pseudo.accepted.sum()),
        "precision_covered": 100 * float(right[top].mean()),
        "train_seconds": meter.seconds,
        "gigaflop": meter.operations() / 1e9,
        "kilobytes": meter.n_bytes / 1e3,
    }
    if pseudo.accepted.any():
        extra["precision"] = 100 * float(right[pseudo.accepted].mean())
    return Outcome(float(np.mean(predicted == task.test_y)), extra)
