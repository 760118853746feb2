import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from fewlabel.extras import require

SMALL = "mobilenetv3_small_050"


def noise(n=40, side=10, channels=3, seed=0):
    """Random uint8 images of shape (n, side, side, channels)."""
    shape = (n, side, side, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path, tensors):
    safetensors.torch.save_file(tensors, path)
    return path


@pytest.fixture(scope="session")
def images(digits):
    return digits.images.subset(range(150))


@pytest.fixture(scope="package")
def tensors():
    """Weights of a small network, whose statistics are not those of a new one."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = require("timm", "This test").create_model(SMALL)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.5, 2)
    return model.state_dict()


@pytest.fixture
def weights(tmp_path, tensors):
    return save(tmp_path / f"{SMALL}.safetensors", tensors)
