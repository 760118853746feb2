"""The arithmetic that a network trains in."""

import pytest
import torch
from torch import nn

from fewlabel.nets import network as module
from fewlabel.nets.network import _autocast, _memory_format, _place_network


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_products_run_in_the_type_that_the_device_gains_from(monkeypatch, dtype):
    monkeypatch.setattr(module, "matmul_dtype", lambda device_type: dtype)
    with _autocast(torch.device("cpu")):
        product = nn.Linear(4, 4)(torch.ones(2, 4))
    assert product.dtype is dtype


def test_filters_lie_channels_last_except_on_mps():
    assert _memory_format(torch.device("mps")) is torch.contiguous_format
    network = _place_network(nn.Conv2d(3, 4, 3), torch.device("cpu"))
    assert network.weight.is_contiguous(memory_format=torch.channels_last)
