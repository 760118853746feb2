"""A small network that learns what has been spread: its scores tell apart what edges join."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

_UNITS = 128
# Longer training learns the mistakes of what was spread by heart.
_STEPS, _BATCH = 100, 256
_LEARNING_RATE, _MOMENTUM, _WARM_UP = 0.1, 0.9, 0.3
_DROPOUT = 0.2
# Parameter of the Beta distribution by which two images are mixed (mixup, Zhang et al. 2018).
_MIXED = 0.4


class _ScoreNetwork(NamedTuple):
    """One hidden layer: weights (d, h), offsets (h,) and weights (h, K), float32.

    Scores are compared with their mean, so those of the output need no offsets.
    """

    hidden: np.ndarray
    offset: np.ndarray
    output: np.ndarray

    def scores(self, rows: np.ndarray) -> np.ndarray:
        """Return the scores (m, K) of rows of unit mean square."""
        units = rows @ self.hidden
        units += self.offset
        return np.asarray(np.maximum(units, 0, out=units) @ self.output)


def _train_score_network(
    rows: np.ndarray,
    targets: np.ndarray,
    n_classes: int,
    seed: int,
    *,
    center: np.ndarray,
    scale: float,
) -> _ScoreNetwork:
    """Train on the classes (n,) of rows (n, d), from which a center (d,) and scale were taken."""
    generator = torch.Generator().manual_seed(seed)
    X, y, classes = torch.from_numpy(rows), torch.from_numpy(targets), torch.eye(n_classes)
    layers = hidden, hidden_offset, output, output_offset = (
        *_layer(rows.shape[1], _UNITS, generator),
        *_layer(_UNITS, n_classes, generator),
    )
    velocities = [torch.zeros_like(layer) for layer in layers]
    parts = np.random.default_rng(seed).beta(_MIXED, _MIXED, _STEPS).tolist()
    for done, part in enumerate(parts, start=1):
        drawn = torch.randint(len(X), (_BATCH,), generator=generator)
        x, wanted = (torch.lerp(a.roll(1, 0), a, part) for a in (X[drawn], classes[y[drawn]]))
        kept = (torch.rand(_BATCH, _UNITS, generator=generator) >= _DROPOUT) / (1 - _DROPOUT)
        units = x @ hidden + hidden_offset
        kept *= units > 0
        units *= kept
        # Gradients by hand: for so small a network automatic ones take half as long again.
        errors = ((units @ output + output_offset).softmax(dim=1) - wanted) / _BATCH
        of_units = errors @ output.T * kept
        gradients = x.T @ of_units, of_units.sum(dim=0), units.T @ errors, errors.sum(dim=0)
        rate = _learning_rate(done / _STEPS)
        # And so the steps: the optimizers of torch take a second to import what nobody needs here.
        for layer, velocity, gradient in zip(layers, velocities, gradients, strict=True):
            layer -= rate * velocity.mul_(_MOMENTUM).add_(gradient)
    learned = [layer.numpy() for layer in (hidden, hidden_offset, output)]
    # Rows as they were, neither centered nor scaled, have the same scores.
    learned[0] = learned[0] / np.float32(scale)
    learned[1] = learned[1] - center @ learned[0]
    return _ScoreNetwork(*learned)


def _layer(n_in: int, n_out: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return weights (n_in, n_out) and offsets (n_out,) of a layer, drawn as torch draws them."""
    bound = n_in**-0.5
    drawn = torch.empty(n_in + 1, n_out).uniform_(-bound, bound, generator=generator)
    return drawn[:-1], drawn[-1]


def _learning_rate(done: float) -> float:
    """Return the rate after a part of the training: rising, then falling along a cosine."""
    falling = max(0.0, (done - _WARM_UP) / (1 - _WARM_UP))
    return _LEARNING_RATE * min(done / _WARM_UP, 1) * (1 + math.cos(math.pi * falling)) / 2
