"""One binary head a class on a shared trunk: a single product gives the scores of all of them."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from fewlabel.data.targets import _one_hot
from fewlabel.data.task import MultiLabel
from fewlabel.nets import (
    Network,
    Trainer,
    TrainingSet,
    TrainSettings,
    masked_binary_cross_entropy,
    predict_logits,
)
from fewlabel.nets.batches import _as_inputs, _input_shape
from fewlabel.nets.fine_tuning import _fit_linear_probe
from fewlabel.nets.layerwise import _layerwise_groups, _open_layers
from fewlabel.nets.photos import _as_images, _read_photos, _rows_at_once

BALANCES = ("loss", "over-sampling", "under-sampling", "none")
"""How an expert's few images of its class are made to count beside all the others."""

TRUNKS = ("fine-tuned", "frozen")
"""Whether the last block of the trunk learns with the heads."""

_HEADS_AT_ONCE = 128
"""Heads that are solved together, so that memory stays bounded with many classes."""

_DECAY = 1e-3
_MIN_TO_SCALE = 10
_BLOCK = 512


@dataclass(frozen=True)
class _HeadSettings:
    """How experts are made of a network."""

    trunk: str = "fine-tuned"
    balance: str = "loss"
    n_epochs: int = 10
    learning_rate: float = 3e-4
    batch_size: int = 128


def _balance_weights(
    codes: np.ndarray, n_classes: int, balance: str, rng: np.random.Generator
) -> np.ndarray:
    """Weigh every row for every head."""
    # Resampling is a weight of 0 or more for each head: all heads still share every batch.
    mine = _one_hot(codes, n_classes).astype(bool)
    n = len(codes)
    n_mine = np.maximum(mine.sum(axis=0), 1)
    n_others = np.maximum(n - n_mine, 1)
    if balance == "none":
        return np.ones((n, n_classes), dtype=np.float32)
    if balance == "loss":
        return np.where(mine, n / (2 * n_mine), n / (2 * n_others)).astype(np.float32)
    weights = np.zeros((n, n_classes))
    for head in range(n_classes):
        own, others = np.flatnonzero(mine[:, head]), np.flatnonzero(~mine[:, head])
        few, many = sorted((own, others), key=len)
        if balance == "over-sampling":
            drawn = rng.choice(few, size=len(many)) if len(few) else few
            weights[many, head] = 1
            np.add.at(weights[:, head], drawn, 1)
        else:
            weights[few, head] = 1
            weights[rng.choice(many, size=min(len(few), len(many)), replace=False), head] = 1
    return (weights / np.maximum(weights.mean(axis=0), 1e-12)).astype(np.float32)


def _solve_heads(
    rows: np.ndarray, targets: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find the best linear heads on features as they are, as convex problems."""
    # The penalty is the same for all inputs, so they must be of one scale; it is undone below.
    mean, scale = rows.mean(axis=0), rows.std(axis=0)
    scale = np.where(scale > 1e-6, scale, 1.0)
    standard = ((rows - mean) / scale).astype(np.float64)
    coef = np.empty((targets.shape[1], rows.shape[1]))
    intercept = np.empty(targets.shape[1])
    for start in range(0, targets.shape[1], _HEADS_AT_ONCE):
        some = slice(start, start + _HEADS_AT_ONCE)
        # Their losses are added, so that none disturbs another.
        coef[some], intercept[some] = _fit_linear_probe(
            MultiLabel(), standard, targets[:, some], None, weights[:, some], penalty=_DECAY
        )
    coef /= scale
    intercept -= coef @ mean
    return coef.astype(np.float32), intercept.astype(np.float32)


def _make_experts(
    network: Network,
    X: np.ndarray,
    codes: np.ndarray,
    settings: _HeadSettings,
    *,
    seed: int,
    checkpoint: Path | None = None,
) -> Network:
    """Turn a multi-class network into one with a binary head for each class."""
    device = next(network.parameters()).device
    experts = copy.deepcopy(network)
    if not _fits(network, X):
        X = _read_photos(_as_images(X), network)
    targets = _one_hot(codes, network.spec.n_outputs)
    rng = np.random.default_rng([seed, 5])
    weights = _balance_weights(codes, network.spec.n_outputs, settings.balance, rng)
    # Heads that are optimal for the trunk as it is come first: the trunk then moves little.
    rows = _head_logits(experts, X, embed=True)
    coef, intercept = _solve_heads(rows, targets, weights)
    with torch.no_grad():
        experts.head.weight.copy_(torch.from_numpy(coef))
        experts.head.bias.copy_(torch.from_numpy(intercept))
    if settings.trunk == "frozen" or settings.n_epochs == 0:
        return experts
    # Only the last third of the trunk: the experts share what all classes need.
    _open_layers(experts, "partial")
    training = TrainSettings(
        n_epochs=settings.n_epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        seed=seed,
    )
    trainer = Trainer(
        experts,
        training,
        device=device,
        # All binary losses at once; a row may count more for one head than for another.
        loss=masked_binary_cross_entropy,
        groups=_layerwise_groups(experts, training, layer_decay=0.5),
        stage="experts",
        checkpoint=checkpoint,
    )
    trained = trainer.fit(TrainingSet.of(X, targets, known=weights)).eval()
    trained.requires_grad_(True)
    return trained


def _head_logits(network: Network, X: np.ndarray, *, embed: bool = False) -> np.ndarray:
    """Run all heads over rows or images: one product on what the shared trunk sees."""
    device = next(network.parameters()).device
    if not len(X):
        return np.empty((0, network.spec.n_outputs), dtype=np.float32)
    at_once = _BLOCK if X.ndim == 2 else _rows_at_once(network, device, _BLOCK)
    blocks: Iterable[tuple[slice, np.ndarray]] = [(slice(None), X)]
    if not _fits(network, X):
        channels, *size = network.spec.input_shape
        blocks = _as_images(X).blocks(_BLOCK, size=(size[0], size[1]), channels=channels)
    parts = (
        predict_logits(network.eval(), _as_inputs(rows), device, batch_size=at_once, embed=embed)
        for _, rows in blocks
    )
    return np.concatenate(list(parts))


def _fits(network: Network, X: np.ndarray) -> bool:
    """Return whether images need not be read at another size; a backbone may have its own."""
    return X.ndim == 2 or _input_shape(X) == tuple(network.spec.input_shape)


@dataclass(frozen=True)
class _HeadScale:
    """Turns logits of balanced heads into calibrated probabilities."""

    log_odds: np.ndarray
    slope: float = 1.0
    offset: float = 0.0

    @classmethod
    def fit(
        cls, logits: np.ndarray, codes: np.ndarray, shares: np.ndarray, *, balanced: bool
    ) -> Self:
        """Fit slope and offset."""
        shares = np.clip(shares, 1e-4, 1 - 1e-4)
        # A balanced head behaves as if its class were half of all: the shares undo that.
        log_odds = np.log(shares / (1 - shares)) if balanced else np.zeros(len(shares))
        if len(codes) < _MIN_TO_SCALE:
            return cls(log_odds)
        # One slope and offset for all heads: held-out labels of a single class are too few.
        shifted = (logits + log_odds).reshape(-1, 1)
        present = _one_hot(codes, logits.shape[1]).ravel() > 0
        model = LogisticRegression(C=1.0, max_iter=200).fit(shifted, present)
        slope = float(model.coef_[0, 0])
        # Held-out labels that contradict the experts calibrate nothing.
        if slope <= 0:
            return cls(log_odds)
        return cls(log_odds, slope, float(model.intercept_[0]))

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """Give calibrated probabilities."""
        return np.asarray(expit(self.slope * (logits + self.log_odds) + self.offset))

    def to_dict(self) -> dict[str, Any]:
        """Give the numbers as JSON types."""
        return {"log_odds": self.log_odds.tolist(), "slope": self.slope, "offset": self.offset}
