"""A small network that learns what has been spread: its scores tell apart what edges join."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

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
    X, y = torch.from_numpy(rows), torch.from_numpy(targets)
    layers = hidden, hidden_offset, output, output_offset = (
        *_layer(rows.shape[1], _UNITS, generator),
        *_layer(_UNITS, n_classes, generator),
    )
    velocities = [torch.zeros_like(layer) for layer in layers]
    parts = np.random.default_rng(seed).beta(_MIXED, _MIXED, _STEPS).tolist()
    for done, part in enumerate(parts, start=1):
        drawn = torch.randint(len(X), (_BATCH,), generator=generator)
        x, classes = X[drawn], y[drawn]
        units = torch.relu(torch.lerp(x.roll(1, 0), x, part) @ hidden + hidden_offset)
        kept = torch.rand(units.shape, generator=generator) >= _DROPOUT
        logits = (units * kept / (1 - _DROPOUT)) @ output + output_offset
        loss = part * cross_entropy(logits, classes)
        loss = loss + (1 - part) * cross_entropy(logits, classes.roll(1))
        gradients, rate = torch.autograd.grad(loss, layers), _learning_rate(done / _STEPS)
        with torch.no_grad():
            # By hand: the optimizers of torch take a second to import what they do not need here.
            for layer, velocity, gradient in zip(layers, velocities, gradients, strict=True):
                layer -= rate * velocity.mul_(_MOMENTUM).add_(gradient)
    learned = [layer.detach().numpy() for layer in (hidden, hidden_offset, output)]
    # Rows as they were, neither centered nor scaled, have the same scores.
    learned[0] = learned[0] / np.float32(scale)
    learned[1] = learned[1] - center @ learned[0]
    return _ScoreNetwork(*learned)


def _layer(n_in: int, n_out: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return weights (n_in, n_out) and offsets (n_out,) of a layer, drawn as torch draws them."""
    bound = n_in**-0.5
    drawn = torch.empty(n_in + 1, n_out).uniform_(-bound, bound, generator=generator)
    weights, offsets = drawn[:-1].clone(), drawn[-1].clone()
    return weights.requires_grad_(), offsets.requires_grad_()


def _learning_rate(done: float) -> float:
    """Return the rate after a part of the training: rising, then falling along a cosine."""
    falling = max(0.0, (done - _WARM_UP) / (1 - _WARM_UP))
    return _LEARNING_RATE * min(done / _WARM_UP, 1) * (1 + math.cos(math.pi * falling)) / 2
