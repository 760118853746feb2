"""timm models as networks of the training loop: they build, run, train and normalize."""

import pytest
import torch
from torch import nn

from fewlabel.errors import DownloadError, FetchNotice, UsageError
from fewlabel.nets import NetworkSpec, build_network
from fewlabel.nets.timm_network import _pretrained_network, _timm_network

SMALL = "mobilenetv3_small_050"


@pytest.mark.parametrize(
    ("name", "side", "width"),
    [
        ("tf_efficientnetv2_s", 32, 1280),
        ("resnet50", 32, 2048),
        ("mobilenetv2_100", 32, 1280),
        ("mobilenetv3_large_100", 32, 1280),
        ("convnext_atto", 32, 320),
        ("convnext_tiny", 32, 768),
        ("vit_small_patch14_dinov2", 28, 384),
    ],
)
def test_the_models_that_the_docs_name_build_and_take_a_step(name, side, width):
    network = build_network(NetworkSpec(f"timm/{name}", (1, side, side), 3))
    logits = network(torch.rand(2, 1, side, side))
    assert logits.shape == (2, 3)
    assert network.head.in_features == width
    logits.square().sum().backward()
    # The stem is reached: no layer is cut off.
    assert next(network.body.parameters()).grad is not None
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build_network(NetworkSpec(f"timm/{SMALL}", (3, 32, 32), 4))


def test_gray_images_are_given_three_equal_colors_and_normalized(network):
    assert network.standardize.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert network.standardize.scale.flatten().tolist() == pytest.approx([0.229, 0.224, 0.225])
    gray = build_network(NetworkSpec(f"timm/{SMALL}", (1, 32, 32), 4))
    gray.load_state_dict(network.state_dict())
    images = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(
        gray.eval()(images), network.eval()(images.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-5
    )


def test_unit_rows_have_length_sqrt_d_and_a_transformer_has_the_size_of_its_images():
    spec = NetworkSpec(f"timm/{SMALL}", (3, 32, 32), 4, {"unit_rows": True})
    rows = build_network(spec).eval().embed(torch.rand(3, 3, 32, 32))
    torch.testing.assert_close(rows.square().mean(dim=1), torch.ones(3))
    network = _timm_network(NetworkSpec("timm/vit_tiny_patch16_224", (3, 48, 32), 2)).eval()
    assert network(torch.zeros(1, 3, 48, 32)).shape == (1, 2)
    assert network.body.model.patch_embed.img_size == (48, 32)


def test_a_pretrained_network_is_seeded_and_rebuilt_from_its_description():
    before = torch.random.get_rng_state()
    settings = {"pretrained": False, "size": (40, 24)}
    made, same, other = (_pretrained_network(SMALL, 5, seed=seed, **settings) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    first, *rest = (nn.utils.parameters_to_vector(n.parameters()) for n in (made, same, other))
    assert [torch.equal(first, weights) for weights in rest] == [True, False]
    again = build_network(NetworkSpec(**made.spec.to_dict()))
    again.load_state_dict(made.state_dict())
    images = torch.rand(2, 3, 40, 24)
    assert torch.equal(again.eval()(images), made.eval()(images))


@pytest.mark.parametrize(
    ("name", "shape", "options", "message"),
    [
        ("timm/resnet_18", (3, 32, 32), {}, r"no model 'resnet_18': did you mean .*'resnet18'"),
        (f"timm/{SMALL}", (2, 32, 32), {}, r"takes images of 1 or 3 channels. Got 2"),
        (f"timm/{SMALL}", (64,), {}, r"takes images, \(n, H, W\)"),
        ("timm/vit_tiny_patch16_224", (3, 8, 8), {}, r"cannot take images of 8 × 8"),
        (f"timm/{SMALL}", (3, 32, 32), {"depth": 4}, r"timm cannot make .*depth"),
        (f"timm/{SMALL}", (3, 32, 32), {"checkpoint_path": "a.pth"}, r"checkpoint_path='a.pth'"),
        ("timm/hf-hub:someone/resnet18", (3, 32, 32), {}, r"no model 'hf-hub:someone/resnet18'"),
    ],
)
def test_what_cannot_be_built_is_named(name, shape, options, message):
    with pytest.raises(UsageError, match=message):
        build_network(NetworkSpec(name, shape, 2, options))


def test_a_hub_that_cannot_be_reached(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    message = r"'resnet18' could not be fetched .* --weights PATH"
    with pytest.warns(FetchNotice), pytest.raises(DownloadError, match=message):
        _pretrained_network("resnet18", 2)
