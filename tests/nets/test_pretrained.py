"""Weight files: which model they belong to, and what they need besides their tensors."""

import json

import pytest
import safetensors.torch
import torch

from fewlabel.errors import DataError, UsageError
from fewlabel.nets.pretrained import Recipe, _name_from_weights, _read_recipe

SMALL = "mobilenetv3_small_050"


def save(path, tensors):
    safetensors.torch.save_file(tensors, path)
    return path


@pytest.mark.parametrize(
    ("file", "model"),
    [
        ("resnet18.safetensors", "resnet18"),
        ("resnet18.a1_in1k.safetensors", "resnet18.a1_in1k"),
        ("resnet18.mine.safetensors", "resnet18"),
        ("mobilenetv2_100_ra-b33bc2c4.safetensors", "mobilenetv2_100"),
    ],
)
def test_model_from_the_file_name(tmp_path, file, model):
    assert _name_from_weights(save(tmp_path / file, {"a": torch.zeros(1)})) == model


def test_model_and_preprocessing_from_a_file_beside_the_weights(tmp_path):
    path = save(tmp_path / "model.safetensors", {"a": torch.zeros(1)})
    with pytest.raises(UsageError, match=r"does not tell which timm model .* --features NAME"):
        _name_from_weights(path)
    config = {
        "architecture": SMALL,
        "model_args": {"pad_type": "same"},
        "pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [1, 1, 1]},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    expected = Recipe(SMALL, (0.1, 0.2, 0.3), (1, 1, 1), {"pad_type": "same"})
    assert _read_recipe(path) == expected
    assert _name_from_weights(path) == SMALL
    other = save(tmp_path / "mine.safetensors", {"a": torch.zeros(1)})
    assert _read_recipe(other) is None
    (tmp_path / "mine.json").write_text('{"pretrained_cfg": 3}')
    with pytest.raises(DataError, match=r"mine.json does not describe weights as timm's config"):
        _read_recipe(other)
