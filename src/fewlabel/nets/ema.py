"""The exponential moving average of a network's weights."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class MovingAverage:
    """A copy of a network whose weights follow slowly (Polyak & Juditsky 1992).

    The first updates average over few steps, as in TensorFlow's ``ExponentialMovingAverage``:
    the decay of update t is at most ``(1 + t) / (10 + t)``. The statistics of batch
    normalisation are averages already and are taken over as they are.

    Parameters
    ----------
    network : Module
        The network to follow.
    decay : float
        Share of the old average that one update keeps, in [0, 1).

    Attributes
    ----------
    network : Module
        The averaged network, in evaluation mode.
    n_updates : int
        Updates so far.

    Examples
    --------
    >>> layer = nn.Linear(1, 1, bias=False)
    >>> average = MovingAverage(layer, 0.5)
    >>> _ = layer.weight.data.fill_(1.0), average.network.weight.data.fill_(0.0)
    >>> for _ in range(20):
    ...     average.update(layer)
    >>> bool(average.network.weight > 0.99)
    True
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.n_updates = 0
        self.network = copy.deepcopy(network).eval()
        self.network.requires_grad_(False)

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the average towards the network's present weights.

        Parameters
        ----------
        network : Module
            The network that the average was made of.
        """
        self.n_updates += 1
        decay = min(self.decay, (1 + self.n_updates) / (10 + self.n_updates))
        averages: list[Tensor] = list(self.network.parameters())
        present: list[Tensor] = list(network.parameters())
        torch._foreach_lerp_(averages, present, 1 - decay)
        for average, now in zip(self.network.buffers(), network.buffers(), strict=True):
            average.copy_(now)
