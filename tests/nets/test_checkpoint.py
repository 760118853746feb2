"""Checkpoints: whole, without code, and refused when damaged."""

import pytest
import torch
from safetensors.torch import save_file

from fewlabel.errors import ModelFormatError
from fewlabel.nets.checkpoint import (
    _load_checkpoint,
    _save_checkpoint,
)


def test_truncated_files_and_those_of_others_are_refused(tmp_path):
    file = tmp_path / "checkpoint.safetensors"
    _save_checkpoint(file, {"a": torch.ones(100)}, {})
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(ModelFormatError, match="delete it to train from the start"):
        _load_checkpoint(file)
    _save_checkpoint(file, {"a": torch.ones(9), "b": torch.ones(3).bfloat16()}, {"epoch": 3})
    whole = file.read_bytes()
    assert _load_checkpoint(file)[1]["epoch"] == 3
    for damaged in (whole[:-1] + b"\x01", whole.replace(b": 3", b": 4")):
        assert damaged != whole
        file.write_bytes(damaged)
        with pytest.raises(ModelFormatError, match="does not match its checksum"):
            _load_checkpoint(file)
    save_file({"a": torch.ones(2)}, file)
    with pytest.raises(ModelFormatError, match="not a checkpoint of this version"):
        _load_checkpoint(file)
