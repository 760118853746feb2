"""The top of a network, trained on what the layers below it gave once."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from fewlabel.nets.batches import _to_network
from fewlabel.nets.network import Network, NetworkSpec, _autocast
from fewlabel.nets.photos import MAX_BYTES, rows_at_once

_STEM = ("conv_stem", "bn1")


def _split_network(network: Network) -> tuple[nn.Module, Network] | None:
    """Return the layers below the last block, and a network of the others, which it shares.

    None where a network is not built of a stem and blocks, as EfficientNet and MobileNet are.
    """
    model: Any = getattr(network.body, "model", None)
    if not all(hasattr(model, name) for name in (*_STEM, "blocks", "conv_head")):
        return None
    trunk = nn.Sequential(network.standardize, model.conv_stem, model.bn1, *model.blocks[:-1])
    top, body = copy.copy(model), copy.copy(network.body)
    # The same layers in other hands: what is trained here is trained in the whole network.
    top._modules = model._modules | {name: nn.Identity() for name in _STEM}
    top.blocks = model.blocks[-1:]
    body._modules = {"model": top}
    device = next(network.parameters()).device
    with torch.inference_mode():
        probe = torch.zeros(1, *network.standardize.mean.shape[:1], *network.spec.input_shape[1:])
        shape = trunk.eval()(probe.to(device)).shape[1:]
    rest = Network(NetworkSpec(network.spec.name, tuple(shape), network.spec.n_outputs), body, 1)
    rest.head = network.head
    return trunk, rest


def _run_trunk(trunk: nn.Module, network: Network, inputs: Tensor, shape: Any) -> Tensor | None:
    """Return what the layers below give for photos (n, H, W, C), (n, h, w, c); None if too much."""
    channels, height, width = shape
    if 4 * len(inputs) * channels * height * width > MAX_BYTES:
        return None
    device = next(network.parameters()).device
    out = torch.empty(len(inputs), height, width, channels)
    at_once = rows_at_once(network, device, 256)
    with torch.no_grad(), _autocast(device):
        for start in range(0, len(inputs), at_once):
            rows = trunk(_to_network(inputs[start : start + at_once], device))
            out[start : start + at_once] = rows.permute(0, 2, 3, 1).float().cpu()
    return out


def _take_over(network: Network, trained: Network) -> None:
    """Give a network the weights of its top as they were trained, in an average of their own."""
    with torch.no_grad():
        for mine, theirs in zip(network.parameters(), trained.parameters(), strict=True):
            mine.copy_(theirs)


def _mirror(inputs: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror about half of the rows (b, C, H, W): layers see a mirrored photo nearly so."""
    chosen = torch.rand(len(inputs), generator=generator) < 0.5
    return torch.where(chosen.to(inputs.device)[:, None, None, None], inputs.flip(3), inputs)
