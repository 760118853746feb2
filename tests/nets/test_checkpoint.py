"""Checkpoints: whole, without code, and refused when damaged."""

import pytest
import torch
from safetensors.torch import save_file

from fewlabel.errors import ModelFormatError
from fewlabel.nets.checkpoint import (
    _load_checkpoint,
    _optimizer_tensors,
    _restore_optimizer,
    _save_checkpoint,
)


def test_truncated_files_and_those_of_others_are_refused(tmp_path):
    file = tmp_path / "checkpoint.safetensors"
    _save_checkpoint(file, {"a": torch.ones(100)}, {})
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(ModelFormatError, match="delete it to train from the start"):
        _load_checkpoint(file)
    save_file({"a": torch.ones(2)}, file)
    with pytest.raises(ModelFormatError, match="not a checkpoint of this version"):
        _load_checkpoint(file)


def test_averages_of_a_filter_keep_the_order_that_the_filter_has_in_memory():
    def optimizer():
        generator = torch.Generator().manual_seed(0)
        filters = torch.randn(4, 3, 5, 5, generator=generator)
        parameter = torch.nn.Parameter(filters.contiguous(memory_format=torch.channels_last))
        return parameter, torch.optim.AdamW([parameter], lr=0.1, fused=True)

    def step(parameter, optimizer, seed):
        generator = torch.Generator().manual_seed(seed)
        gradient = torch.randn(4, 3, 5, 5, generator=generator)
        parameter.grad = gradient.contiguous(memory_format=torch.channels_last)
        optimizer.step()

    first, second = optimizer(), optimizer()
    step(*first, seed=1)
    second[0].data.copy_(first[0].data)
    written = {name: tensor.contiguous() for name, tensor in _optimizer_tensors(first[1]).items()}
    _restore_optimizer(second[1], written)
    step(*first, seed=2)
    step(*second, seed=2)
    assert torch.equal(first[0], second[0])
