"""How long, how fast and how carefully a network trains."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from fewlabel.params import _check_arguments, integer, number

_CONSTRAINTS = {
    "n_epochs": [integer(1)],
    "min_steps": [integer(0)],
    "batch_size": [integer(1)],
    "learning_rate": [number(0, closed="neither")],
    "weight_decay": [number(0)],
    "warmup": [number(0, 1)],
    "ema_decay": [number(0, 1), None],
    "label_smoothing": [number(0, 1)],
    "patience": [integer(1), None],
}


@dataclass(frozen=True)
class TrainSettings:
    """Settings of one training run.

    Attributes
    ----------
    n_epochs : int
        Passes over the data, at most.
    min_steps : int
        Steps to take at least: few rows are passed over more often.
    batch_size : int
        Rows in a step, at most.
    learning_rate : float
        Peak rate of AdamW (Loshchilov & Hutter 2019).
    weight_decay : float
        Pull of the weight matrices towards 0; offsets and normalization are left alone.
    warmup : float
        Part of the steps in which the rate rises.
    ema_decay : float or None
        Decay of the averaged weights; None averages over about the last twentieth of the steps.
    label_smoothing : float
        Part of the uniform distribution in every target; whoever makes the loss applies it.
    patience : int or None
        Epochs without a better validation score after which training stops.
    seed : int
        Seed of weights, order, dropout and augmentation.
    checkpoint_seconds : float
        A checkpoint is written when an epoch ends, but not more often than this.
    """

    n_epochs: int = 20
    min_steps: int = 0
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    warmup: float = 0.05
    ema_decay: float | None = None
    label_smoothing: float = 0.0
    patience: int | None = None
    seed: int = 0
    checkpoint_seconds: float = 10.0

    def _check(self, who: str) -> None:
        """Raise, in the name of an estimator, if a setting is out of range."""
        _check_arguments(who, _CONSTRAINTS, **{name: getattr(self, name) for name in _CONSTRAINTS})

    def _epochs(self, steps_per_epoch: int) -> int:
        """Return the number of epochs that ``n_epochs`` and ``min_steps`` come to."""
        return max(self.n_epochs, math.ceil(self.min_steps / steps_per_epoch))

    def _decay(self, n_steps: int) -> float:
        """Return the decay of the averaged weights for a run of so many steps."""
        if self.ema_decay is not None:
            return self.ema_decay
        # Forgets within about a twentieth of the steps, in which the cosine is near its end.
        # The rate has come down by then, and what is averaged no longer moves much.
        return min(max(1 - 20 / n_steps, 0.5), 0.9999)


def _rate_factor(n_steps: int, warmup: float) -> Callable[[int], float]:
    """Return the learning rate of each step beside the peak: a linear rise, a cosine down to 0."""
    rise = max(1, round(warmup * n_steps))

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        done = (step - rise) / max(1, n_steps - rise)
        return 0.5 * (1 + math.cos(math.pi * done))

    return factor


def _parameter_groups(
    stages: Sequence[Iterable[nn.Parameter]], settings: TrainSettings, layer_decay: float = 1.0
) -> list[dict[str, Any]]:
    """Return AdamW's groups: a rate for each stage, weight decay on matrices and filters only."""
    groups: list[dict[str, Any]] = []
    for below, stage in enumerate(stages):
        rate = settings.learning_rate * layer_decay**below
        wanted = [parameter for parameter in stage if parameter.requires_grad]
        # Offsets and normalization scales have no size that decay should hold down.
        for is_matrix in (True, False):
            chosen = [parameter for parameter in wanted if (parameter.ndim > 1) == is_matrix]
            decay = settings.weight_decay if is_matrix else 0.0
            if chosen:
                # A schedule that goes on from a later step looks for the initial rate.
                rates = {"lr": rate, "initial_lr": rate}
                groups.append({"params": chosen, "weight_decay": decay, **rates})
    return groups
