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


def masked_binary_cross_entropy(logits: Tensor, targets: Tensor, known: Tensor) -> Tensor:
    """Binary cross-entropy of each entry, 0 where the target is not known.

    Parameters
    ----------
    logits : Tensor of shape (b, L)
        Scores of the network, one a label.
    targets : Tensor of shape (b, L)
        Probability that the label is present, in [0, 1]; of no effect where it is not known.
    known : Tensor of shape (b, L)
        How far each entry counts: 1 known, 0 unknown. It weighs, and is never a target.

    Returns
    -------
    Tensor of shape (b, L)
        Float32.

    Examples
    --------
    >>> entry = torch.zeros(1, 2), torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 0.0]])
    >>> [round(value, 4) for value in masked_binary_cross_entropy(*entry)[0].tolist()]
    [0.6931, 0.0]
    """
    losses = torch.nn.functional.binary_cross_entropy_with_logits(
        logits.float(), targets, reduction="none"
    )
    return losses * known


def masked_asymmetric_loss(
    logits: Tensor,
    targets: Tensor,
    known: Tensor,
    *,
    gamma_negative: float = 4.0,
    gamma_positive: float = 0.0,
    clip: float = 0.05,
) -> Tensor:
    """Asymmetric loss of each entry (Ridnik et al. 2021), 0 where the target is not known.

    Absent labels are many and mostly easy: those that the network is sure of count little, and
    those below ``clip`` not at all. The probabilities that come of it are too high.

    Parameters
    ----------
    logits : Tensor of shape (b, L)
        Scores of the network, one a label.
    targets : Tensor of shape (b, L)
        Probability that the label is present, in [0, 1]; of no effect where it is not known.
    known : Tensor of shape (b, L)
        How far each entry counts: 1 known, 0 unknown. It weighs, and is never a target.
    gamma_negative, gamma_positive : float
        How fast the weight of an absent and of a present label falls as it gets easy.
    clip : float
        Probability that is taken off that of absent labels.

    Returns
    -------
    Tensor of shape (b, L)
        Float32.

    Examples
    --------
    >>> easy = masked_asymmetric_loss(torch.tensor([[-4.0]]), torch.zeros(1, 1), torch.ones(1, 1))
    >>> float(easy)
    0.0
    """
    logits = logits.float()
    proba = torch.sigmoid(logits)
    shifted = (proba - clip).clamp(min=0)
    present = (1 - proba) ** gamma_positive * torch.nn.functional.logsigmoid(logits)
    # As clip goes to 0 this is the logarithm of 1 - proba.
    absent = shifted**gamma_negative * torch.log1p(-shifted.clamp(max=1 - 1e-6))
    return -(targets * present + (1 - targets) * absent) * known


def masked_group_cross_entropy(logits: Tensor, targets: Tensor, known: Tensor) -> Tensor:
    """Cross-entropy of labels of which a row has exactly one, where some may not be known.

    The labels that are not known count as one class together, "another one": a row of which it
    is only known that it is no 3 teaches just that.

    Parameters
    ----------
    logits : Tensor of shape (b, G)
        Scores of the labels of the group.
    targets : Tensor of shape (b, G)
        Probability that the label is the one; of no effect where it is not known.
    known : Tensor of shape (b, G)
        1 where the target is known, else 0.

    Returns
    -------
    Tensor of shape (b,)
        Float32; 0 for rows of which nothing is known.

    Examples
    --------
    >>> unknown = torch.tensor([[1.0, 0.0, 0.0]])
    >>> loss = masked_group_cross_entropy(torch.zeros(1, 3), torch.zeros(1, 3), unknown)
    >>> round(float(loss.exp()), 4)  # another one of three: 2 of 3
    1.5
    """
    scores = torch.log_softmax(logits.float(), dim=1)
    told = known > 0
    held = torch.where(told, targets, 0.0)
    total = held.sum(dim=1, keepdim=True)
    complete = told.all(dim=1, keepdim=True)
    # Soft targets of several models need not sum to 1 exactly.
    held = torch.where(complete | (total > 1), held / total.clamp(min=1e-6), held)
    rest = torch.where(complete[:, 0], 0.0, (1 - held.sum(dim=1)).clamp(min=0))
    # A finite stand-in for minus infinity: its gradient is 0 and not NaN.
    other = torch.logsumexp(scores.masked_fill(told, -1e4), dim=1)
    return -(held * scores).sum(dim=1) - rest * other
