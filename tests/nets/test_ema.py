"""The moving average of the weights."""

import pytest
import torch
from torch import nn

from fewlabel.nets.ema import MovingAverage


def test_the_first_updates_average_over_few_steps():
    layer = nn.Linear(1, 1, bias=False)
    average = MovingAverage(layer, 0.999)
    average.network.weight.data.fill_(0.0)
    layer.weight.data.fill_(1.0)
    average.update(layer)
    assert float(average.network.weight) == pytest.approx(1 - 2 / 11)


def test_the_average_lags_behind():
    layer = nn.Linear(1, 1, bias=False)
    average = MovingAverage(layer, 0.9)
    average.n_updates = 1_000
    average.network.weight.data.fill_(0.0)
    layer.weight.data.fill_(1.0)
    average.update(layer)
    assert float(average.network.weight) == pytest.approx(0.1)


def test_the_statistics_of_batch_normalisation_are_taken_over():
    network = nn.BatchNorm1d(2)
    average = MovingAverage(network, 0.99)
    network(torch.tensor([[1.0, 2.0], [3.0, 8.0]]))
    average.update(network)
    assert average.network.running_mean.tolist() == network.running_mean.tolist()
    assert int(average.network.num_batches_tracked) == 1


def test_the_average_wants_no_gradient_and_does_not_share_memory():
    layer = nn.Linear(2, 2)
    average = MovingAverage(layer, 0.9)
    layer.weight.data.add_(1)
    assert not torch.equal(average.network.weight, layer.weight)
    assert not any(p.requires_grad for p in average.network.parameters())
