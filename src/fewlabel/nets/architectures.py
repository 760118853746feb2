"""Networks for images and feature vectors, built from a description that JSON can hold."""

from __future__ import annotations

import math
from collections.abc import Callable
from difflib import get_close_matches

import torch
from torch import Tensor, nn

from fewlabel.errors import UsageError
from fewlabel.extras import is_installed, require
from fewlabel.nets.network import Network, NetworkSpec
from fewlabel.nets.timm_network import _PREFIX, _timm_network

# Of the wide residual network. Outside of its blocks are four convolutions, the stem and three
# shortcuts; each block has two.
_STEM_WIDTH = 16
_N_STAGES = 3
_OUTSIDE, _IN_A_BLOCK = 4, 2


def _fully_connected(
    spec: NetworkSpec,
    *,
    widths: tuple[int, ...] = (512, 512, 256, 256, 128, 128),
    dropout: float = 0.1,
) -> Network:
    """Build a fully connected network: each hidden layer with batch normalization and dropout."""
    # With the default six widths and the head it has seven layers, as the network of the
    # published clustering study.
    layers: list[nn.Module] = [nn.Flatten()]
    before = math.prod(spec.input_shape)
    for width in widths:
        layers += [nn.Linear(before, width, bias=False), nn.BatchNorm1d(width), nn.ReLU()]
        layers += [nn.Dropout(dropout)]
        before = width
    return Network(spec, nn.Sequential(*layers), before)


_POOLS = {"mean": nn.AdaptiveAvgPool2d, "max": nn.AdaptiveMaxPool2d}


class _ResidualBlock(nn.Module):
    """Two 3×3 convolutions with batch normalization and a shortcut (He et al. 2016)."""

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
        return torch.relu(self.convolutions(x) + self.shortcut(x))


def _small_resnet(
    spec: NetworkSpec,
    *,
    widths: tuple[int, ...] = (32, 64, 128),
    blocks: int = 1,
    dropout: float = 0.0,
    pool: str = "mean",
) -> Network:
    """Build a residual network for images up to 64 pixels: a 5×5 stem of stride 2, then stages.

    Of each channel the ``"mean"`` counts, or the ``"max"``: what is small may stand anywhere.
    """
    if pool not in _POOLS:
        raise UsageError(
            f"The 'pool' option of resnet must be one of {', '.join(_POOLS)}. Got {pool!r} instead."
        )
    layers: list[nn.Module] = [
        nn.Conv2d(spec.input_shape[0], widths[0], 5, 2, 2, bias=False),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU(inplace=True),
    ]
    before = widths[0]
    for stage, width in enumerate(widths):
        for block in range(blocks):
            layers.append(_ResidualBlock(before, width, 2 if stage and not block else 1))
            before = width
    layers += [_POOLS[pool](1), nn.Flatten(), nn.Dropout(dropout)]
    return Network(spec, nn.Sequential(*layers), before)


def _small_cnn(
    spec: NetworkSpec, *, widths: tuple[int, ...] = (32, 64, 128), dropout: float = 0.1
) -> Network:
    """Build a plain convolutional network: 3×3 convolutions, each followed by pooling."""
    layers: list[nn.Module] = []
    before = spec.input_shape[0]
    for width in widths:
        layers += [nn.Conv2d(before, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)]
        # Rounded up, so that a side of one pixel is not halved any more. Of what is pooled only a
        # quarter is left to cut off at 0, and the result is the same to the last bit.
        layers += [nn.MaxPool2d(2, ceil_mode=True), nn.ReLU(inplace=True)]
        before = width
    layers += [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(dropout)]
    return Network(spec, nn.Sequential(*layers), 4 * before)


class _WideBlock(nn.Module):
    """Normalization and activation before each of two 3×3 convolutions, and a shortcut."""

    def __init__(self, before: int, width: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.activation = nn.Sequential(nn.BatchNorm2d(before), nn.ReLU(inplace=True))
        self.convolutions = nn.Sequential(
            nn.Conv2d(before, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
        )
        self.shortcut: nn.Module | None = None
        if stride != 1 or before != width:
            self.shortcut = nn.Conv2d(before, width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = self.activation(x)
        # Where the shape stays, the maps go past the block untouched.
        around: Tensor = x if self.shortcut is None else self.shortcut(active)
        return around + self.convolutions(active)


def _wide_resnet(
    spec: NetworkSpec, *, depth: int = 16, widen: int = 2, dropout: float = 0.0
) -> Network:
    """Build a wide residual network (Zagoruyko & Komodakis 2016) for images to 64 pixels."""
    # The default, WRN-16-2, has 0.7 million weights; FixMatch and its followers use WRN-28-2.
    # Images keep their full size in the first stage: a step takes several times as long as with
    # "resnet".
    blocks, rest = divmod(depth - _OUTSIDE, _N_STAGES * _IN_A_BLOCK)
    if blocks < 1 or rest:
        raise UsageError(
            "The 'depth' option of wide-resnet must be one of 10, 16, 22, 28 and so on by 6. "
            f"Got {depth!r} instead."
        )
    layers: list[nn.Module] = [nn.Conv2d(spec.input_shape[0], _STEM_WIDTH, 3, 1, 1, bias=False)]
    before = _STEM_WIDTH
    for stage in range(_N_STAGES):
        width = _STEM_WIDTH * 2**stage * widen
        for block in range(blocks):
            layers.append(_WideBlock(before, width, 2 if stage and not block else 1, dropout))
            before = width
    layers += [nn.BatchNorm2d(before), nn.ReLU(inplace=True)]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return Network(spec, nn.Sequential(*layers), before)


ARCHITECTURES: dict[str, Callable[..., Network]] = {
    "mlp": _fully_connected,
    "cnn": _small_cnn,
    "resnet": _small_resnet,
    "wide-resnet": _wide_resnet,
}
"""Architectures by name: ``build(spec, **options)``. ``"mlp"`` takes vectors and images, the
others images. A study may add its own. Beside them, ``"timm/NAME"`` is any network of timm."""


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
    from_timm = spec.name.startswith(_PREFIX)
    if not from_timm and spec.name not in ARCHITECTURES:
        raise UsageError(
            f"The architecture must be one of {', '.join(ARCHITECTURES)} or {_PREFIX}NAME. "
            f"Got {spec.name!r} instead.{_suggestion(spec.name)}"
        )
    # Vectors have no places that a convolution could share weights over.
    if spec.name != "mlp" and len(spec.input_shape) != 3:
        raise UsageError(
            f"The architecture {spec.name!r} takes images, (n, H, W) or (n, H, W, C); for rows "
            "of features use 'mlp'."
        )
    build: Callable[..., Network] = _timm_network if from_timm else ARCHITECTURES[spec.name]
    # JSON has no tuples.
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in spec.options.items()}
    try:
        return build(spec, **options)
    except TypeError as error:
        # Options come from users and files: those that a builder does not take are their mistake.
        raise UsageError(f"The architecture {spec.name!r} cannot be built: {error}.") from error


def _suggestion(name: str) -> str:
    if is_installed("timm") and require("timm", "A network of timm").is_model(name):
        return f" Did you mean {_PREFIX + name!r}?"
    near = get_close_matches(name, ARCHITECTURES, n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else ""
