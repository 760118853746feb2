"""Networks of every architecture: shapes, layers, refusals."""

import pytest
import torch
from torch import nn

from fewlabel.errors import UsageError
from fewlabel.nets import ARCHITECTURES, NetworkSpec, build_network


# A study may add its own.
@pytest.mark.parametrize("name", [n for n in ARCHITECTURES if n != "pair"])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 8, 8), (3, 5, 7), (1, 64, 64)])
def test_images_of_any_size_give_one_row_of_logits_each(name, shape):
    network = build_network(NetworkSpec(name, shape, 7)).eval()
    images = torch.rand(4, *shape)
    assert network(images).shape == (4, 7)
    assert network.embed(images).shape == (4, network.head.in_features)


def test_networks_have_the_layers_that_are_asked_for():
    options = {"widths": [4, 6], "blocks": 2}
    network = build_network(NetworkSpec("resnet", (1, 28, 28), 10, options))
    assert network.head.in_features == 6
    assert sum(type(layer).__name__ == "_ResidualBlock" for layer in network.modules()) == 4


def test_of_the_largest_responses_it_does_not_matter_where_they_are():
    spec = NetworkSpec("resnet", (1, 64, 64), 3, {"widths": [4, 6, 8], "pool": "max"})
    network = build_network(spec).eval()
    images = torch.zeros(2, 1, 64, 64)
    images[0, 0, 24:32, 24:32] = images[1, 0, 32:40, 24:32] = torch.rand(8, 8)
    one, other = network(images)
    torch.testing.assert_close(one, other)
    assert not torch.allclose(one, network(0 * images)[0])


@pytest.mark.parametrize(("depth", "widen"), [(10, 1), (16, 2)])
def test_a_wide_resnet_has_the_depth_and_width_asked_for(depth, widen):
    spec = NetworkSpec("wide-resnet", (3, 32, 32), 10, {"depth": depth, "widen": widen})
    network = build_network(spec)
    long = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    # The head is the last of the layers that depth counts; shortcuts are 1×1.
    assert len(long) == depth - 3
    assert network.head.in_features == 64 * widen
    maps = network.body[:-4](torch.zeros(1, 3, 64, 64))
    assert maps.shape == (1, 64 * widen, 16, 16)
    # WRN-28-2 of FixMatch and its followers: 1.47 million weights.
    network = build_network(NetworkSpec("wide-resnet", (3, 32, 32), 10, {"depth": 28}))
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 2) == 1.47


def test_the_inputs_are_standardized():
    network = build_network(NetworkSpec("mlp", (2,), 2)).eval()
    before = network(torch.tensor([[1.0, 2.0]]))
    network.standardize.mean.fill_(10)
    network.standardize.scale.fill_(5)
    after = network(torch.tensor([[15.0, 20.0]]))
    torch.testing.assert_close(before, after)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (("resnett", (1, 8, 8), 2), r"Got 'resnett' instead\. Did you mean 'resnet'\?"),
        (("resnet50", (3, 8, 8), 2), r"or timm/NAME\. Got 'resnet50' .* 'timm/resnet50'\?"),
        (("cnn", (64,), 2), "'cnn' takes images"),
        (("mlp", (4,), 2, {"depth": 3}), "depth"),
        (("resnet", (1, 8, 8), 2, {"pool": "sum"}), "'pool' option of resnet must be one of mean"),
        (
            ("wide-resnet", (3, 32, 32), 10, {"depth": 12}),
            r"'depth' option of wide-resnet must be .* Got 12",
        ),
    ],
)
def test_what_cannot_be_built_is_named(spec, message):
    with pytest.raises(UsageError, match=message):
        build_network(NetworkSpec(*spec))
