"""Fine-tuning by layers: which ones are trained, and how fast each is."""

import math
from typing import Any

from torch import nn

from fewlabel.extras import require
from fewlabel.nets.network import Network
from fewlabel.nets.settings import TrainSettings, _parameter_groups

DEPTHS = ("head", "partial", "full", "top")
"""How much is trained: the new head, the top third as well, all, or the head and last block."""

_TOP_FRACTION = 1 / 3


def _layer_groups(network: Network) -> list[list[nn.Parameter]]:
    """Sort the weights of a network's body by stage, from the stem to the top."""
    # The stages are those that timm names for layer-wise rates: four to eight of a convolutional
    # network, the blocks of a transformer.
    model: Any = getattr(network.body, "model", network.body)
    if not hasattr(model, "group_matcher"):
        stages = [list(child.parameters()) for child in model.children()]
        return [stage for stage in stages if stage]
    require("timm", "Fine-tuning a network of timm")
    from timm.models import group_parameters

    parameters = dict(model.named_parameters())
    named = group_parameters(model, model.group_matcher(coarse=True))
    return [[parameters[name] for name in named[number]] for number in sorted(named)]


def _open_layers(network: Network, depth: str) -> None:
    """Let gradients reach as much of a network as shall be trained, one of `DEPTHS`; in place."""
    network.body.requires_grad_(depth == "full")
    network.head.requires_grad_(True)
    if depth in ("top", "partial"):
        groups = _layer_groups(network)
        n_open = 2 if depth == "top" else math.ceil(_TOP_FRACTION * len(groups))
        for group in groups[-n_open:]:
            for parameter in group:
                parameter.requires_grad_(True)


def _layerwise_groups(
    network: Network, settings: TrainSettings, layer_decay: float
) -> list[dict[str, Any]]:
    """Return parameter groups with a rate that falls from the head down (Howard & Ruder 2018)."""
    # The lower a stage, the more general what it has learned, and the less a few labels should
    # change it.
    stages = [list(network.head.parameters()), *_layer_groups(network)[::-1]]
    return _parameter_groups(stages, settings, layer_decay)
