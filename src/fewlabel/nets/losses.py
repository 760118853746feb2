"""The losses of networks by task, on soft targets of which some may not be known.

A loss takes logits (b, K), targets (b, K), and ``known`` (b, K) or None: how far each target
counts, from 0 to 1. It gives one number a row.
"""

from collections.abc import Callable
from functools import singledispatch

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from fewlabel.data.task import MultiLabel, SingleLabel, Task
from fewlabel.params import _check_arguments, choice

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def soft_cross_entropy(logits: Tensor, targets: Tensor, known: Tensor | None = None) -> Tensor:
    """Compute the cross-entropy of each row against class probabilities.

    Parameters
    ----------
    logits : Tensor of shape (b, K)
        Scores of the network.
    targets : Tensor of shape (b, K)
        Class probabilities; rows sum to 1.
    known : Tensor of shape (b, K), optional
        How far each target counts; by default wholly.

    Returns
    -------
    Tensor of shape (b,)
        Float32.

    Examples
    --------
    >>> round(float(soft_cross_entropy(torch.zeros(1, 2), torch.tensor([[0.5, 0.5]]))), 4)
    0.6931
    """
    # Autocast may hand over bfloat16; a sum of exponentials needs more digits.
    losses = targets * torch.log_softmax(logits.float(), dim=1)
    return -(losses if known is None else losses * known).sum(dim=1)


def masked_binary_cross_entropy(
    logits: Tensor, targets: Tensor, known: Tensor | None = None
) -> Tensor:
    """Compute the mean binary cross-entropy of each row's labels.

    Parameters
    ----------
    logits : Tensor of shape (b, K)
        Scores of the network, one a label.
    targets : Tensor of shape (b, K)
        Probability that the label is present; of no effect where it is not known.
    known : Tensor of shape (b, K), optional
        How far each target counts; by default wholly.

    Returns
    -------
    Tensor of shape (b,)
        Float32.

    Examples
    --------
    >>> entry = torch.zeros(1, 2), torch.tensor([[1.0, 1.0]]), torch.tensor([[1.0, 0.0]])
    >>> round(float(masked_binary_cross_entropy(*entry)), 4)
    0.3466
    """
    # The mean is over all labels and not over the known ones: a row of which little is known moves
    # the network less.
    losses = functional.binary_cross_entropy_with_logits(logits.float(), targets, reduction="none")
    return (losses if known is None else losses * known).mean(dim=1)


def _masked_asymmetric_loss(
    logits: Tensor,
    targets: Tensor,
    known: Tensor | None = None,
    *,
    gamma_negative: float = 4.0,
    gamma_positive: float = 0.0,
    clip: float = 0.05,
) -> Tensor:
    """Compute the mean asymmetric loss (b,) of each row's labels (Ridnik et al. 2021)."""
    # Absent labels are many and mostly easy: those that the network is sure of count little, and
    # those below clip not at all. The probabilities that come of it are too high.
    logits = logits.float()
    proba = torch.sigmoid(logits)
    shifted = (proba - clip).clamp(min=0)
    present = (1 - proba) ** gamma_positive * functional.logsigmoid(logits)
    # As clip goes to 0 this is the logarithm of 1 - proba.
    absent = shifted**gamma_negative * torch.log1p(-shifted.clamp(max=1 - 1e-6))
    losses = -(targets * present + (1 - targets) * absent)
    return (losses if known is None else losses * known).mean(dim=1)


def _mean_loss(rows: Tensor, weights: Tensor | None) -> Tensor:
    """Return the weighted mean of losses (b,), a scalar."""
    # Over rows, not over weights: a batch of doubtful rows moves the network less.
    return rows.mean() if weights is None else (rows * weights).mean()


def _smooth_targets(targets: Tensor, amount: float, uniform: float | None = None) -> Tensor:
    """Mix probabilities (b, K) with the uniform distribution (Szegedy et al. 2016).

    >>> _smooth_targets(torch.tensor([[1.0, 0.0]]), 0.5).tolist()
    [[0.75, 0.25]]
    """
    return targets * (1 - amount) + amount * (uniform or 1 / targets.shape[1])


@singledispatch
def losses_of(task: Task) -> dict[str, Loss]:
    """Return the losses that a task may be trained with; the first is the default.

    Parameters
    ----------
    task : Task
        The task. A study with a task of its own registers its losses here.

    Returns
    -------
    dict of str to callable
        Losses by name.
    """
    raise NotImplementedError(f"{task!r} has registered no losses")


@losses_of.register(SingleLabel)
def _(task: SingleLabel) -> dict[str, Loss]:
    return {"cross-entropy": soft_cross_entropy}


@losses_of.register(MultiLabel)
def _(task: MultiLabel) -> dict[str, Loss]:
    return {"bce": masked_binary_cross_entropy, "asymmetric": _masked_asymmetric_loss}


def _loss_for(task: Task, name: str | None, smoothing: float, owner: str) -> Loss:
    """Return the loss of this name, with smoothed targets; None is the task's default."""
    losses = losses_of(task)
    _check_arguments(owner, {"loss": [choice(losses), None]}, loss=name)
    loss = losses[name or next(iter(losses))]
    if not smoothing:
        return loss

    def smoothed(logits: Tensor, targets: Tensor, known: Tensor | None) -> Tensor:
        # Of logits that say nothing: one of K classes, or half of each label.
        uniform = float(task.activate(np.zeros((1, targets.shape[1])))[0, 0])
        return loss(logits, _smooth_targets(targets, smoothing, uniform), known)

    return smoothed
