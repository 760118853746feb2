"""The study's own plain network: convolutions, and the strongest response of each anywhere."""

from __future__ import annotations

from torch import nn

from fewlabel.nets import Network, NetworkSpec


def strided_cnn(
    spec: NetworkSpec,
    *,
    widths: tuple[int, ...] = (32, 32, 64, 64, 128, 128),
    stride: int = 2,
    dropout: float = 0.3,
) -> Network:
    """Build 3×3 convolutions with batch normalization, of which a character may stand anywhere.

    The first has the stride; after the second and the fourth images are halved. Of the last, each
    channel's largest response is left: where it is does not matter.
    """
    layers: list[nn.Module] = []
    before = spec.input_shape[0]
    for number, width in enumerate(widths):
        step = 1 if number else stride
        layers += [nn.Conv2d(before, width, 3, step, 1, bias=False), nn.BatchNorm2d(width)]
        if number in (1, 3):
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
        layers.append(nn.ReLU(inplace=True))
        before = width
    layers += [nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Dropout(dropout)]
    return Network(spec, nn.Sequential(*layers), before)
