"""The moving average of the weights."""

import pytest
import torch
from torch import nn

from fewlabel.nets.ema import _MovingAverage


@pytest.mark.parametrize(("decay", "n", "expected"), [(0.999, 1, 1 - 2 / 11), (0.9, 1_000, 0.1)])
def test_the_average_lags_behind_but_for_the_first_updates(decay, n, expected):
    layer = nn.Linear(1, 1, bias=False)
    average = _MovingAverage(layer, decay)
    average.n_averaged.fill_(n)
    average.module.weight.data.fill_(0.0)
    layer.weight.data.fill_(1.0)
    assert float(average.module.weight) == 0
    assert not any(p.requires_grad for p in average.module.parameters())
    average.update_parameters(layer)
    assert float(average.module.weight) == pytest.approx(expected)


def test_the_statistics_of_batch_normalization_are_taken_over():
    network = nn.BatchNorm1d(2)
    average = _MovingAverage(network, 0.99)
    network(torch.tensor([[1.0, 2.0], [3.0, 8.0]]))
    average.update_parameters(network)
    assert average.module.running_mean.tolist() == network.running_mean.tolist()
    assert int(average.module.num_batches_tracked) == 1
