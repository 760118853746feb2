"""Checkpoints: whole, without code, and refused when damaged."""

import pytest
import torch
from safetensors.torch import save_file

from fewlabel.errors import ModelFormatError
from fewlabel.nets.checkpoint import (
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)


def test_what_is_saved_is_loaded(tmp_path):
    file = tmp_path / "checkpoint.safetensors"
    tensors = {"a": torch.arange(6.0).reshape(2, 3).T, "b": torch.tensor(4)}
    save_checkpoint(file, tensors, {"epoch": 3, "history": [{"loss": 0.5}]})
    found = load_checkpoint(file)
    assert found.meta["history"] == [{"loss": 0.5}]
    assert found.tensors["a"].tolist() == tensors["a"].tolist()
    assert int(found.tensors["b"]) == 4


def test_a_truncated_file_is_refused(tmp_path):
    file = tmp_path / "checkpoint.safetensors"
    save_checkpoint(file, {"a": torch.ones(100)}, {})
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(ModelFormatError, match="delete it to train from the start"):
        load_checkpoint(file)


def test_weights_without_our_header_are_refused(tmp_path):
    file = tmp_path / "weights.safetensors"
    save_file({"a": torch.ones(2)}, file)
    with pytest.raises(ModelFormatError, match="not a checkpoint of this version"):
        load_checkpoint(file)


def test_a_restored_optimizer_takes_the_same_steps():
    def parameters():
        return [torch.nn.Parameter(torch.tensor([1.0, -2.0]))]

    def step(optimizer, gradient):
        (parameter,) = optimizer.param_groups[0]["params"]
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
        return parameter.tolist()

    first = torch.optim.AdamW(parameters(), lr=0.1)
    step(first, [1.0, 3.0])
    second = torch.optim.AdamW(parameters(), lr=0.1)
    second.param_groups[0]["params"][0].data.copy_(first.param_groups[0]["params"][0].data)
    restore_optimizer(second, optimizer_tensors(first))
    assert step(second, [-2.0, 0.5]) == step(first, [-2.0, 0.5])
