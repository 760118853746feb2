"""A small network that learns what has been spread: its scores tell apart what edges join."""

from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import cross_entropy

_UNITS = 128
# Longer training learns the mistakes of what was spread by heart.
_STEPS, _BATCH = 100, 256
_LEARNING_RATE, _WEIGHT_DECAY = 1e-2, 1e-2
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
    sizes = ((rows.shape[1], _UNITS), (_UNITS,), (_UNITS, n_classes), (n_classes,))
    fan_in = (rows.shape[1], rows.shape[1], _UNITS, _UNITS)
    layers = [
        torch.empty(size).uniform_(-(n**-0.5), n**-0.5, generator=generator).requires_grad_()
        for size, n in zip(sizes, fan_in, strict=True)
    ]
    hidden, hidden_offset, output, output_offset = layers
    optimizer = torch.optim.AdamW(layers, _LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, total_steps=_STEPS)
    parts = np.random.default_rng(seed).beta(_MIXED, _MIXED, _STEPS).tolist()
    for part in parts:
        drawn = torch.randint(len(X), (_BATCH,), generator=generator)
        first, second = X[drawn], y[drawn].roll(1)
        units = torch.relu(torch.lerp(first.roll(1, 0), first, part) @ hidden + hidden_offset)
        kept = torch.rand(units.shape, generator=generator) >= _DROPOUT
        logits = (units * kept / (1 - _DROPOUT)) @ output + output_offset
        loss = part * cross_entropy(logits, y[drawn])
        loss = loss + (1 - part) * cross_entropy(logits, second)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    learned = [layer.detach().numpy() for layer in (hidden, hidden_offset, output)]
    # Rows as they were, neither centered nor scaled, have the same scores.
    learned[0] = learned[0] / np.float32(scale)
    learned[1] = learned[1] - center @ learned[0]
    return _ScoreNetwork(*learned)
