"""Any timm model as a network of the training loop, with or without pretrained weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fewlabel.errors import UsageError
from fewlabel.nets.network import Network, NetworkSpec, _Standardize
from fewlabel.nets.pretrained import DEFAULT_MODEL, Recipe, _name_from_weights
from fewlabel.nets.timm_models import _make_timm_model, _TimmModel, _try_model

# What the architecture of a network from timm begins with, as in "timm/resnet50".
_PREFIX = "timm/"

_COLORS = 3


class _TimmBody(nn.Module):
    """A timm model without its classifier, as the body of a network."""

    def __init__(self, model: nn.Module, *, frozen_norms: bool, unit_rows: bool) -> None:
        super().__init__()
        self.model = model
        self.frozen_norms = frozen_norms
        self.unit_rows = unit_rows

    def train(self, mode: bool = True) -> _TimmBody:
        """Go to training or evaluation mode; frozen normalization stays in the latter."""
        super().train(mode)
        # A few labeled photos are too few to measure new statistics, and some published weights
        # have theirs folded away.
        if self.frozen_norms:
            for module in self.model.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        rows: Tensor = self.model(x)
        if not self.unit_rows:
            return rows
        # Of length √d: the strength of a head then means the same for every model.
        return functional.normalize(rows.float(), dim=1) * rows.shape[1] ** 0.5


def _timm_network(
    spec: NetworkSpec, *, frozen_norms: bool = False, unit_rows: bool = False, **model_kwargs: Any
) -> Network:
    """Build a network whose body is a timm model with weights of torch's global generator."""
    made = _make_timm_model(
        Recipe(spec.name.removeprefix(_PREFIX), model_kwargs=model_kwargs),
        pretrained=False,
        size=(spec.input_shape[1], spec.input_shape[2]),
        seed=None,
    )
    return _with_head(spec, made, frozen_norms=frozen_norms, unit_rows=unit_rows)


def _pretrained_network(
    backbone: str | None,
    n_outputs: int,
    *,
    weights: str | Path | None = None,
    pretrained: bool = True,
    size: tuple[int, int] | None = None,
    channels: int = _COLORS,
    seed: int = 0,
) -> Network:
    """Build a network on a pretrained timm model, ready to be fine-tuned, on the CPU."""
    # Its description holds all but the weights: build_network and load_state_dict rebuild it
    # without the hub.
    if backbone is None:
        backbone = DEFAULT_MODEL if weights is None else _name_from_weights(weights)
    made = _make_timm_model(
        Recipe(backbone), weights=weights, pretrained=pretrained, size=size, seed=seed
    )
    is_trained = pretrained or weights is not None
    spec = NetworkSpec(
        _PREFIX + made.recipe.model,
        (channels, *made.size),
        n_outputs,
        {**made.recipe.model_kwargs, "frozen_norms": is_trained, "unit_rows": is_trained},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _with_head(spec, made, frozen_norms=is_trained, unit_rows=is_trained)


def _with_head(
    spec: NetworkSpec, made: _TimmModel, *, frozen_norms: bool, unit_rows: bool
) -> Network:
    if spec.input_shape[0] not in (1, _COLORS):
        raise UsageError(
            f"The architecture {spec.name!r} takes images of 1 or 3 channels. "
            f"Got {spec.input_shape[0]} instead."
        )
    probe = torch.zeros(1, _COLORS, *made.size)
    width = _try_model(made.module.eval(), probe, made.recipe.model).shape[1]
    body = _TimmBody(made.module, frozen_norms=frozen_norms, unit_rows=unit_rows)
    network = Network(spec, body.train(), width)
    # Three means and one gray channel broadcast to three colors: no other adapter is needed.
    network.standardize = _Standardize((_COLORS, 1, 1))
    for buffer, values in (
        (network.standardize.mean, made.recipe.mean),
        (network.standardize.scale, made.recipe.std),
    ):
        buffer.copy_(torch.tensor(values).view(_COLORS, 1, 1))
    return network
