"""The study's own plain network."""

import pytest
import torch

from fewlabel.nets import NetworkSpec, build_network
from fewlabel_experiments.combo import session  # noqa: F401


@pytest.mark.parametrize("stride", [1, 2])
def test_where_a_character_stands_makes_no_difference(stride):
    torch.manual_seed(0)
    options = {"widths": [4, 4, 8, 8, 16, 16], "stride": stride}
    network = build_network(NetworkSpec("strided-cnn", (1, 128, 128), 36, options)).eval()
    # Far from the border, which every layer looks beyond.
    image = torch.zeros(1, 1, 128, 128)
    image[..., 60:68, 56:62] = torch.rand(8, 6)
    with torch.no_grad():
        # By as many pixels as one response covers.
        moved = network(torch.roll(image, 4 * stride, dims=3))
        torch.testing.assert_close(moved, network(image))
        assert not torch.allclose(network(image.flip(2)), network(image))


def test_pairs_are_read_by_it_too():
    options = {"first": 10, "body": "strided-cnn", "widths": [4, 4, 8], "stride": 1}
    network = build_network(NetworkSpec("pair", (1, 28, 56), 36, options)).eval()
    assert network(torch.rand(2, 1, 28, 56)).shape == (2, 36)
