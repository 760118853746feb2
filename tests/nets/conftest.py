import pytest
import safetensors.torch
import torch

from fewlabel.extras import require


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """Weights with the statistics of a network that has seen images."""
    path = tmp_path_factory.mktemp("weights") / "mobilenetv3_small_050.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = require("timm", "This test").create_model("mobilenetv3_small_050")
        for _ in range(8):
            model(torch.randn(8, 3, 32, 32))
    safetensors.torch.save_file(model.state_dict(), path)
    return path
