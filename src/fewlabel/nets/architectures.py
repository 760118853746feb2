"""Networks for images and feature vectors, built from a description that JSON can hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor, nn

from fewlabel.errors import UsageError


@dataclass(frozen=True)
class NetworkSpec:
    """What a network is made of; enough to build it again before its weights are loaded.

    Attributes
    ----------
    name : str
        Architecture: a key of `ARCHITECTURES`.
    input_shape : tuple of int
        ``(d,)`` for vectors, ``(C, H, W)`` for images.
    n_outputs : int
        Number of classes.
    options : dict
        Settings of the architecture, such as ``{"dropout": 0.2}``.
    """

    name: str
    input_shape: tuple[int, ...]
    n_outputs: int
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Give the description as JSON types.

        Returns
        -------
        dict
            The fields by name.
        """
        return {
            "name": self.name,
            "input_shape": list(self.input_shape),
            "n_outputs": self.n_outputs,
            "options": dict(self.options),
        }


class Standardize(nn.Module):
    """Subtract a mean and divide by a scale, both kept with the weights.

    Parameters
    ----------
    shape : tuple of int
        Shape of one mean, such as ``(d,)`` or ``(C, 1, 1)``.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("scale", torch.ones(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Standardize a batch.

        Parameters
        ----------
        x : Tensor of shape (b, ...)
            Rows or images.

        Returns
        -------
        Tensor
            The same shape.
        """
        return (x - self.mean) / self.scale


class Network(nn.Module):
    """A body that turns a batch into embeddings, and a linear head.

    Parameters
    ----------
    spec : NetworkSpec
        What it is.
    body : Module
        From ``(b, *input_shape)`` to ``(b, width)``.
    width : int
        Length of an embedding.
    """

    def __init__(self, spec: NetworkSpec, body: nn.Module, width: int) -> None:
        super().__init__()
        self.spec = spec
        shape = spec.input_shape
        self.standardize = Standardize(shape if len(shape) == 1 else (shape[0], 1, 1))
        self.body = body
        self.head = nn.Linear(width, spec.n_outputs)

    def embed(self, x: Tensor) -> Tensor:
        """Compute embeddings.

        Parameters
        ----------
        x : Tensor of shape (b, ...)
            Float batch, not standardized.

        Returns
        -------
        Tensor of shape (b, width)
            What the head sees.
        """
        embedding: Tensor = self.body(self.standardize(x))
        return embedding

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits.

        Parameters
        ----------
        x : Tensor of shape (b, ...)
            Float batch, not standardized.

        Returns
        -------
        Tensor of shape (b, n_outputs)
            Logits.
        """
        logits: Tensor = self.head(self.embed(x))
        return logits


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


ARCHITECTURES: dict[str, Callable[..., Network]] = {
    "mlp": fully_connected,
    "cnn": small_cnn,
    "resnet": small_resnet,
}
"""Architectures by name; ``"mlp"`` takes vectors and images, the others images."""


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

    Examples
    --------
    >>> network = build_network(NetworkSpec("mlp", (784,), 10))
    >>> sum(isinstance(layer, nn.Linear) for layer in network.modules())
    7
    """
    if spec.name not in ARCHITECTURES:
        near = get_close_matches(spec.name, ARCHITECTURES, n=1, cutoff=0.5)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UsageError(
            f"The architecture must be one of {', '.join(ARCHITECTURES)}. "
            f"Got {spec.name!r} instead.{hint}"
        )
    if spec.name != "mlp" and len(spec.input_shape) != 3:
        raise UsageError(
            f"The architecture {spec.name!r} takes images, (n, H, W) or (n, H, W, C); for rows "
            "of features use 'mlp'."
        )
    options = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in spec.options.items()
    }
    try:
        return ARCHITECTURES[spec.name](spec, **options)
    except TypeError as error:
        raise UsageError(f"The architecture {spec.name!r} cannot be built: {error}.") from error
