"""Rows, targets and weights as tensors, and the order in which an epoch visits them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fewlabel.errors import UsageError
from fewlabel.nets.network import _memory_format


@dataclass(frozen=True)
class TrainingSet:
    """What a network learns from.

    Attributes
    ----------
    inputs : Tensor of shape (n, d), or (n, H, W) or (n, H, W, C)
        Float32 rows or uint8 images.
    targets : Tensor of shape (n, K)
        Probabilities of classes or labels, float32.
    weights : Tensor of shape (n,) or None
        Weight of each row, float32.
    known : Tensor of shape (n, K) or None
        How far each target counts, float32.
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor | None = None
    known: Tensor | None = None

    @classmethod
    def of(cls, X: Any, targets: Any, weights: Any = None, known: Any = None) -> TrainingSet:
        """Make a training set of arrays, on the CPU; images stay uint8 and are not copied."""
        inputs, soft = _as_inputs(X), torch.from_numpy(np.array(targets, dtype=np.float32))
        weight, mask = (
            None if values is None else torch.from_numpy(np.array(values, dtype=np.float32))
            for values in (weights, known)
        )
        if len(soft) != len(inputs) or (weight is not None and len(weight) != len(inputs)):
            raise UsageError(
                f"Rows, targets and weights must be of one length. Got {len(inputs)} rows and "
                f"{len(soft)} targets instead."
            )
        return cls(inputs, soft, weight, mask)

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, rows: Tensor, device: torch.device) -> Batch:
        """Bring some rows (b,), int64, to the device, ready for a network."""
        weights, known = (
            None if values is None else values[rows].to(device)
            for values in (self.weights, self.known)
        )
        inputs = _to_network(self.inputs[rows], device)
        return Batch(inputs, self.targets[rows].to(device), weights, known)

    def digest(self) -> str:
        """Return a fingerprint of the contents, so that training resumes on the same data only."""
        state = hashlib.blake2b(digest_size=16)
        # Shapes too: the same bytes may be another table.
        for tensor in (self.inputs, self.targets, self.weights, self.known):
            if tensor is not None:
                state.update(str(tuple(tensor.shape)).encode())
                state.update(np.ascontiguousarray(tensor.numpy()).data)
        return state.hexdigest()


@dataclass(frozen=True)
class Batch:
    """Rows of a training set on the device; a subclass may add tensors and batches.

    Attributes
    ----------
    inputs : Tensor of shape (b, d) or (b, C, H, W)
        Float32; images from 0 to 1.
    targets : Tensor of shape (b, K)
        Probabilities of classes or labels.
    weights : Tensor of shape (b,) or None
        Weight of each row.
    known : Tensor of shape (b, K) or None
        How far each target counts.
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor | None
    known: Tensor | None

    def __len__(self) -> int:
        return len(self.inputs)

    def split(self, n_parts: int) -> list[Batch]:
        """Cut the batch into at most one part a row, of nearly equal size, without copying."""
        if n_parts == 1:
            return [self]
        cut = [_cut(getattr(self, field.name), n_parts) for field in fields(self)]
        return [type(self)(*part) for part in zip(*cut, strict=True)]


def _as_inputs(X: Any) -> Tensor:
    """Return an array as a tensor on the CPU: uint8 images as they are, all else as float32."""
    array = np.asarray(X)
    # Images stay bytes until they are on the device: a quarter of the memory.
    if array.dtype != np.uint8 or array.ndim == 2:
        array = array.astype(np.float32, copy=False)
    array = np.ascontiguousarray(array)
    # torch warns of memory that it must not write to.
    if not array.flags.writeable:
        array = array.copy()
    return torch.from_numpy(array)


def _to_network(inputs: Tensor, device: torch.device) -> Tensor:
    """Turn rows or images into what a network takes, (b, d) or (b, C, H, W) float32."""
    batch = inputs.to(device).float()
    if inputs.dtype == torch.uint8:
        batch = batch / 255
    if batch.ndim == 2:
        return batch
    batch = batch.unsqueeze(1) if batch.ndim == 3 else batch.permute(0, 3, 1, 2)
    return batch.contiguous(memory_format=_memory_format(device))


def _input_shape(X: np.ndarray) -> tuple[int, ...]:
    """Return the shape of one input as networks name it: ``(d,)`` or ``(C, H, W)``."""
    if X.ndim == 2:
        return (X.shape[1],)
    return (1 if X.ndim == 3 else X.shape[3], X.shape[1], X.shape[2])


def _epoch_rows(n: int, batch_size: int, seed: int, epoch: int) -> Iterator[Tensor]:
    """Visit every row once, in an order that depends on the seed and the epoch alone."""
    order = np.random.default_rng([seed, epoch]).permutation(n)
    if n == 1:
        # Batch normalization needs two rows.
        order = np.repeat(order, 2)
    # Of nearly equal size, so that no small last batch upsets batch normalization.
    for rows in np.array_split(order, _n_batches(n, batch_size)):
        yield torch.from_numpy(rows)


def _n_batches(n: int, batch_size: int) -> int:
    """Count the batches of an epoch; they hold two rows or more wherever there are two."""
    return max(1, min(-(-n // batch_size), n // 2))


def _cut(values: Any, n_parts: int) -> Any:
    if values is None:
        return [None] * n_parts
    return (values.split if isinstance(values, Batch) else values.tensor_split)(n_parts)
