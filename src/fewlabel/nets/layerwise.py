"""Fine-tuning by layers: which ones are trained, and how fast each is."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from fewlabel.errors import UsageError
from fewlabel.extras import require
from fewlabel.nets.loop import Trainer
from fewlabel.nets.network import Network

DEPTHS = ("head", "partial", "full")
"""How much of a network is trained: the new head, the top third as well, or all of it."""

_TOP_SHARE = 1 / 3


def layer_groups(network: Network) -> list[list[nn.Parameter]]:
    """Sort the weights of a network's body by stage, from the stem to the top.

    The stages are those that timm names for layer-wise rates: four to eight of a
    convolutional network, the blocks of a transformer.

    Parameters
    ----------
    network : Network
        With a timm model as its body, or any other.

    Returns
    -------
    list of list of Parameter
        Every weight of the body once.

    Examples
    --------
    >>> from fewlabel.nets.network import NetworkSpec
    >>> from fewlabel.nets.timm_network import timm_network
    >>> len(layer_groups(timm_network(NetworkSpec("timm/resnet18", (3, 32, 32), 2))))
    5
    """
    model: Any = getattr(network.body, "model", network.body)
    if not hasattr(model, "group_matcher"):
        stages = [list(child.parameters()) for child in model.children()]
        return [stage for stage in stages if stage]
    require("timm", "Fine-tuning a network of timm")
    from timm.models import group_parameters

    parameters = dict(model.named_parameters())
    named = group_parameters(model, model.group_matcher(coarse=True))
    return [[parameters[name] for name in named[number]] for number in sorted(named)]


def open_layers(network: Network, depth: str) -> None:
    """Let gradients reach as much of a network as shall be trained.

    Parameters
    ----------
    network : Network
        Changed in place.
    depth : {"head", "partial", "full"}
        The head alone; the head and the upper third of the stages, rounded up; or all.

    Raises
    ------
    UsageError
        If the depth is none of these.
    """
    if depth not in DEPTHS:
        raise UsageError(
            f"The 'depth' parameter of FineTuning must be one of {', '.join(DEPTHS)}. "
            f"Got {depth!r} instead."
        )
    network.body.requires_grad_(depth == "full")
    network.head.requires_grad_(True)
    if depth == "partial":
        groups = layer_groups(network)
        for group in groups[-math.ceil(_TOP_SHARE * len(groups)) :]:
            for parameter in group:
                parameter.requires_grad_(True)


class LayerwiseTrainer(Trainer):
    """A trainer whose rate falls from the head down to the stem (Howard & Ruder 2018).

    The lower a stage, the more general what it has learnt, and the less a few labels should
    change it.

    Parameters
    ----------
    network : Network
        Its weights are changed in place.
    *args : Any
        As for `fewlabel.nets.Trainer`.
    layer_decay : float
        Rate of a stage as a share of that of the stage above it; 1 trains all alike.
    **kwargs : Any
        As for `fewlabel.nets.Trainer`.
    """

    def __init__(self, network: Network, *args: Any, layer_decay: float, **kwargs: Any) -> None:
        self.layer_decay = layer_decay
        super().__init__(network, *args, **kwargs)

    def make_optimizer(self) -> torch.optim.Optimizer:
        """Make the optimizer: AdamW, with a rate for each stage.

        Returns
        -------
        torch.optim.Optimizer
            Over all parameters that want a gradient.
        """
        stages = [list(self.network.head.parameters()), *layer_groups(self.network)[::-1]]
        groups: list[dict[str, Any]] = []
        for below_head, stage in enumerate(stages):
            scale = self.layer_decay**below_head
            wanted = [parameter for parameter in stage if parameter.requires_grad]
            for is_matrix in (True, False):
                chosen = [p for p in wanted if (p.ndim > 1) == is_matrix]
                decay = self.settings.weight_decay if is_matrix else 0.0
                if chosen:
                    groups.append({"params": chosen, "rate_scale": scale, "weight_decay": decay})
        return torch.optim.AdamW(
            groups,
            lr=self.settings.learning_rate,
            fused=self.device.type in ("cpu", "cuda"),
        )
