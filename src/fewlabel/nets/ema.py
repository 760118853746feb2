"""The exponential moving average of a network's weights."""

from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel


class _MovingAverage(AveragedModel):
    """A copy of a network, in evaluation mode, whose weights follow (Polyak & Juditsky 1992).

    The statistics of batch normalization are averages already and are taken over as they are.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__(network, multi_avg_fn=self._follow)
        self.decay = decay
        self.module.eval().requires_grad_(False)
        # The copy is the first average: torch would take over the weights of the first step whole.
        self.n_averaged += 1

    def _follow(self, averages: Any, present: Any, n: Any) -> None:
        # The first updates average over few steps, as in TensorFlow's ExponentialMovingAverage.
        # Counted on the CPU: reading n would wait for the device.
        count = int(self.n_averaged)
        decay = min(self.decay, (1 + count) / (10 + count))
        torch._foreach_lerp_(averages, present, 1 - decay)
