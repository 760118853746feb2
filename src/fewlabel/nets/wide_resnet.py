"""The wide residual network (Zagoruyko & Komodakis 2016) for images to 64 pixels."""

from __future__ import annotations

from torch import Tensor, nn

from fewlabel.errors import UsageError
from fewlabel.nets.network import Network, NetworkSpec

_STEM_WIDTH = 16
_N_STAGES = 3
# Convolutions outside the blocks: the stem and three shortcuts; each block has two.
_OUTSIDE, _IN_A_BLOCK = 4, 2


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
    """Build a wide residual network: a 3×3 stem, then three stages of pre-activation blocks."""
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
