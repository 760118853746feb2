"""Losses on soft targets with a weight for each row."""

from __future__ import annotations

import torch
from torch import Tensor


def soft_cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean cross-entropy against class probabilities.

    Parameters
    ----------
    logits : Tensor of shape (b, K)
        Scores of the network.
    targets : Tensor of shape (b, K)
        Class probabilities; rows sum to 1.
    weights : Tensor of shape (b,), optional
        Weight of each row. The mean is over rows, not over weights, so a batch of doubtful
        rows moves the network less.

    Returns
    -------
    Tensor
        Scalar, float32.

    Examples
    --------
    >>> round(float(soft_cross_entropy(torch.zeros(1, 2), torch.tensor([[0.5, 0.5]]))), 4)
    0.6931
    """
    # Autocast may hand over bfloat16; a sum of exponentials needs more digits.
    losses = -(targets * torch.log_softmax(logits.float(), dim=1)).sum(dim=1)
    return losses.mean() if weights is None else (losses * weights).mean()


def smooth_targets(targets: Tensor, amount: float) -> Tensor:
    """Mix class probabilities with the uniform distribution (Szegedy et al. 2016).

    Parameters
    ----------
    targets : Tensor of shape (b, K)
        Class probabilities.
    amount : float
        Share of the uniform distribution, from 0 to 1.

    Returns
    -------
    Tensor of shape (b, K)
        Mixed probabilities.

    Examples
    --------
    >>> smooth_targets(torch.tensor([[1.0, 0.0]]), 0.2).tolist()
    [[0.9000000357627869, 0.10000000149011612]]
    """
    return targets if amount == 0 else targets * (1 - amount) + amount / targets.shape[1]
