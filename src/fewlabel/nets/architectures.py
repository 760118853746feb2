"""Networks for images and feature vectors, built from a description that JSON can hold."""

from __future__ import annotations

import math
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor, nn

from fewlabel.errors import UsageError
from fewlabel.extras import is_installed, require
from fewlabel.nets.network import Network, NetworkSpec
from fewlabel.nets.pair import PairNetwork, half_spec
from fewlabel.nets.timm_network import PREFIX, timm_network
from fewlabel.nets.wide_resnet import wide_resnet


def fully_connected(
    spec: NetworkSpec,
    *,
    widths: tuple[int, ...] = (512, 512, 256, 256, 128, 128),
    dropout: float = 0.1,
) -> Network:
    """Build a fully connected network: each hidden layer with batch normalisation and dropout.

    With the default six widths and the head it has seven layers, as the network of the
    published clustering study.

    Parameters
    ----------
    spec : NetworkSpec
        Input and output.
    widths : tuple of int
        Units of each hidden layer.
    dropout : float
        Share of units dropped in training.

    Returns
    -------
    Network
        Weights not trained.
    """
    layers: list[nn.Module] = [nn.Flatten()]
    before = math.prod(spec.input_shape)
    for width in widths:
        layers += [nn.Linear(before, width, bias=False), nn.BatchNorm1d(width), nn.ReLU()]
        layers += [nn.Dropout(dropout)]
        before = width
    return Network(spec, nn.Sequential(*layers), before)


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with batch normalisation and a shortcut (He et al. 2016).

    Parameters
    ----------
    before : int
        Channels in.
    width : int
        Channels out.
    stride : int
        Step of the first convolution.
    """

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(before, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Compute the block.

        Parameters
        ----------
        x : Tensor of shape (b, before, H, W)
            Feature maps.

        Returns
        -------
        Tensor of shape (b, width, H / stride, W / stride)
            Feature maps.
        """
        return torch.relu(self.convolutions(x) + self.shortcut(x))


def small_resnet(
    spec: NetworkSpec,
    *,
    widths: tuple[int, ...] = (32, 64, 128),
    blocks: int = 1,
    dropout: float = 0.0,
) -> Network:
    """Build a residual network for images up to 64 pixels: a 5×5 stem of stride 2, then stages.

    Parameters
    ----------
    spec : NetworkSpec
        Input and output.
    widths : tuple of int
        Channels of each stage; every stage after the first halves the image.
    blocks : int
        Residual blocks in a stage.
    dropout : float
        Share of the embedding dropped in training.

    Returns
    -------
    Network
        Weights not trained.
    """
    layers: list[nn.Module] = [
        nn.Conv2d(spec.input_shape[0], widths[0], 5, 2, 2, bias=False),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU(inplace=True),
    ]
    before = widths[0]
    for stage, width in enumerate(widths):
        for block in range(blocks):
            layers.append(ResidualBlock(before, width, 2 if stage and not block else 1))
            before = width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout)]
    return Network(spec, nn.Sequential(*layers), before)


def small_cnn(
    spec: NetworkSpec, *, widths: tuple[int, ...] = (32, 64, 128), dropout: float = 0.1
) -> Network:
    """Build a plain convolutional network: 3×3 convolutions, each followed by pooling.

    Parameters
    ----------
    spec : NetworkSpec
        Input and output.
    widths : tuple of int
        Channels of each convolution.
    dropout : float
        Share of the embedding dropped in training.

    Returns
    -------
    Network
        Weights not trained.
    """
    layers: list[nn.Module] = []
    before = spec.input_shape[0]
    for width in widths:
        layers += [nn.Conv2d(before, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)]
        # A side of one pixel is not halved any more.
        layers += [nn.ReLU(inplace=True), nn.MaxPool2d(2, ceil_mode=True)]
        before = width
    layers += [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(dropout)]
    return Network(spec, nn.Sequential(*layers), 4 * before)


def pair_network(
    spec: NetworkSpec,
    *,
    first: Any = None,
    body: str = "resnet",
    **options: Any,
) -> Network:
    """Build a network for two things side by side, one of each of two kinds of labels.

    Parameters
    ----------
    spec : NetworkSpec
        Input and output.
    first : int
        Labels of the first kind; the rest are of the second. It must be given.
    body : str
        Architecture that reads each half, with the same weights; none of timm.
    **options : dict
        Settings of that architecture.

    Returns
    -------
    Network
        Weights not trained.
    """
    return PairNetwork(spec, build_network(half_spec(spec, body, first, options)), first)


ARCHITECTURES: dict[str, Callable[..., Network]] = {
    "mlp": fully_connected,
    "cnn": small_cnn,
    "resnet": small_resnet,
    "wide-resnet": wide_resnet,
    "pair": pair_network,
}
"""Architectures by name; ``"mlp"`` takes vectors and images, the others images. ``"pair"`` reads
both halves of an image of two things with another architecture.

Beside them, ``"timm/NAME"`` is any network of timm.
"""


def build_network(spec: NetworkSpec) -> Network:
    """Build a network with fresh weights from torch's global generator.

    Parameters
    ----------
    spec : NetworkSpec
        What to build.

    Returns
    -------
    Network
        The network, in training mode.

    Raises
    ------
    UsageError
        If the architecture is unknown, does not take such inputs, or has no such option.
    MissingExtraError
        If it is one of timm and timm is not installed.

    Examples
    --------
    >>> network = build_network(NetworkSpec("mlp", (784,), 10))
    >>> sum(isinstance(layer, nn.Linear) for layer in network.modules())
    7
    """
    from_timm = spec.name.startswith(PREFIX)
    if not from_timm and spec.name not in ARCHITECTURES:
        raise UsageError(
            f"The architecture must be one of {', '.join(ARCHITECTURES)} or {PREFIX}NAME. "
            f"Got {spec.name!r} instead.{_suggestion(spec.name)}"
        )
    if spec.name != "mlp" and len(spec.input_shape) != 3:
        raise UsageError(
            f"The architecture {spec.name!r} takes images, (n, H, W) or (n, H, W, C); for rows "
            "of features use 'mlp'."
        )
    options: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in spec.options.items()
    }
    make: Callable[..., Network] = timm_network if from_timm else ARCHITECTURES[spec.name]
    try:
        return make(spec, **options)
    except TypeError as error:
        raise UsageError(f"The architecture {spec.name!r} cannot be built: {error}.") from error


def _suggestion(name: str) -> str:
    if is_installed("timm") and require("timm", "A network of timm").is_model(name):
        return f" Did you mean {PREFIX + name!r}?"
    near = get_close_matches(name, ARCHITECTURES, n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else ""
