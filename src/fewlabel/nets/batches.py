"""Rows, targets and weights as tensors, and the order in which an epoch visits them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fewlabel.errors import UsageError
from fewlabel.nets.precision import memory_format


@dataclass(frozen=True)
class TrainingSet:
    """What a network learns from.

    Attributes
    ----------
    inputs : Tensor of shape (n, d), or (n, H, W) or (n, H, W, C)
        Float32 rows or uint8 images.
    targets : Tensor of shape (n, K)
        Class probabilities, float32.
    weights : Tensor of shape (n,) or None
        Weight of each row, float32.
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor | None = None

    @classmethod
    def of(cls, X: Any, targets: Any, weights: Any = None) -> TrainingSet:
        """Make a training set of arrays; images stay uint8 and are not copied.

        Parameters
        ----------
        X : ndarray of shape (n, d), or (n, H, W) or (n, H, W, C)
            Rows of numbers, or uint8 images.
        targets : array-like of shape (n, K)
            Class probabilities.
        weights : array-like of shape (n,), optional
            Weight of each row.

        Returns
        -------
        TrainingSet
            The tensors, on the CPU.

        Raises
        ------
        UsageError
            If the lengths differ.

        Examples
        --------
        >>> len(TrainingSet.of(np.zeros((3, 2)), np.eye(3)))
        3
        """
        inputs = as_inputs(X)
        soft = torch.from_numpy(np.array(targets, dtype=np.float32))
        weight = None if weights is None else torch.from_numpy(np.array(weights, dtype=np.float32))
        if len(soft) != len(inputs) or (weight is not None and len(weight) != len(inputs)):
            raise UsageError(
                f"Rows, targets and weights must be of one length. Got {len(inputs)} rows and "
                f"{len(soft)} targets instead."
            )
        return cls(inputs, soft, weight)

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, rows: Tensor, device: torch.device) -> Batch:
        """Bring some rows to the device, ready for a network.

        Parameters
        ----------
        rows : Tensor of shape (b,), dtype int64
            Row numbers.
        device : torch.device
            Where the network is.

        Returns
        -------
        Batch
            The rows.
        """
        weights = None if self.weights is None else self.weights[rows].to(device)
        return Batch(to_network(self.inputs[rows], device), self.targets[rows].to(device), weights)

    def digest(self) -> str:
        """Fingerprint of the contents, so that training resumes on the same data only.

        Returns
        -------
        str
            Hexadecimal digits.
        """
        state = hashlib.blake2b(digest_size=16)
        for tensor in (self.inputs, self.targets, self.weights):
            if tensor is not None:
                state.update(str(tuple(tensor.shape)).encode())
                state.update(np.ascontiguousarray(tensor.numpy()).data)
        return state.hexdigest()


@dataclass(frozen=True)
class Batch:
    """Rows of a training set on the device.

    Attributes
    ----------
    inputs : Tensor of shape (b, d) or (b, C, H, W)
        Float32; images from 0 to 1.
    targets : Tensor of shape (b, K)
        Class probabilities.
    weights : Tensor of shape (b,) or None
        Weight of each row.
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor | None

    def __len__(self) -> int:
        return len(self.inputs)

    def split(self, n_parts: int) -> list[Batch]:
        """Cut the batch into parts of nearly equal size, without copying.

        Parameters
        ----------
        n_parts : int
            How many, at most one for each row.

        Returns
        -------
        list of Batch
            The parts.

        Examples
        --------
        >>> batch = Batch(torch.zeros(5, 2), torch.zeros(5, 3), None)
        >>> [len(part) for part in batch.split(2)]
        [3, 2]
        """
        if n_parts == 1:
            return [self]
        weights = [None] * n_parts if self.weights is None else self.weights.tensor_split(n_parts)
        return [
            Batch(*part)
            for part in zip(
                self.inputs.tensor_split(n_parts),
                self.targets.tensor_split(n_parts),
                weights,
                strict=True,
            )
        ]


def as_inputs(X: Any) -> Tensor:
    """Share an array with torch: uint8 images as they are, all else as float32.

    Parameters
    ----------
    X : ndarray
        Rows or images.

    Returns
    -------
    Tensor
        On the CPU.

    Examples
    --------
    >>> as_inputs(np.zeros((2, 8, 8), dtype=np.uint8)).dtype
    torch.uint8
    """
    array = np.asarray(X)
    if array.dtype != np.uint8 or array.ndim == 2:
        array = array.astype(np.float32, copy=False)
    array = np.ascontiguousarray(array)
    if not array.flags.writeable:
        array = array.copy()
    return torch.from_numpy(array)


def to_network(inputs: Tensor, device: torch.device) -> Tensor:
    """Turn rows or images into what a network takes.

    Parameters
    ----------
    inputs : Tensor of shape (b, d), or (b, H, W) or (b, H, W, C)
        From `as_inputs`.
    device : torch.device
        Where the network is.

    Returns
    -------
    Tensor of shape (b, d) or (b, C, H, W)
        Float32; uint8 images divided by 255.

    Examples
    --------
    >>> to_network(torch.zeros(2, 8, 8, dtype=torch.uint8), torch.device("cpu")).shape
    torch.Size([2, 1, 8, 8])
    """
    moved = inputs.to(device)
    batch = moved.float()
    if inputs.dtype == torch.uint8:
        batch = batch / 255
    if batch.ndim == 2:
        return batch
    batch = batch.unsqueeze(1) if batch.ndim == 3 else batch.permute(0, 3, 1, 2)
    return batch.contiguous(memory_format=memory_format(device))


def epoch_rows(n: int, batch_size: int, seed: int, epoch: int) -> Iterator[Tensor]:
    """Visit every row once, in an order that depends on the seed and the epoch alone.

    Batches are of nearly equal size, so that no small last one upsets batch normalisation. A
    single row is visited twice in its batch, for the same reason.

    Parameters
    ----------
    n : int
        Number of rows.
    batch_size : int
        Most rows in a batch.
    seed : int
        Seed of the training.
    epoch : int
        Number of the epoch.

    Yields
    ------
    Tensor of shape (b,), dtype int64
        Row numbers.

    Examples
    --------
    >>> sorted(len(rows) for rows in epoch_rows(10, 4, seed=0, epoch=0))
    [3, 3, 4]
    """
    order = np.random.default_rng([seed, epoch]).permutation(n)
    if n == 1:
        order = np.repeat(order, 2)
    for rows in np.array_split(order, n_batches(n, batch_size)):
        yield torch.from_numpy(rows)


def n_batches(n: int, batch_size: int) -> int:
    """Count the batches of an epoch.

    Parameters
    ----------
    n : int
        Number of rows.
    batch_size : int
        Most rows in a batch.

    Returns
    -------
    int
        At least 1; batches then hold at least two rows wherever there are two.

    Examples
    --------
    >>> n_batches(10, 4), n_batches(5, 1)
    (3, 2)
    """
    return max(1, min(-(-n // batch_size), n // 2))
