"""timm networks made ready to give features: built, filled, checked and folded."""

import copy
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from fewlabel.nets.pretrained import Recipe
from fewlabel.nets.timm_models import _make_timm_model, _TimmModel, _try_model

_FOLDING_TOLERANCE = 1e-3


@dataclass(frozen=True)
class _Network(_TimmModel):
    """A timm model in evaluation mode, BatchNorm folded into its module, not into its tensors."""

    n_features: int = 0


def _load_network(
    recipe: Recipe,
    *,
    weights: str | Path | Mapping[str, torch.Tensor] | None = None,
    pretrained: bool = True,
    size: tuple[int, int] | None = None,
    seed: int = 0,
) -> _Network:
    """Build a timm network without its classifier."""
    made = _make_timm_model(recipe, weights=weights, pretrained=pretrained, size=size, seed=seed)
    model = made.module.eval().requires_grad_(False)
    probe = torch.rand(2, 3, *made.size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    n_features = _try_model(model, probe, recipe.model).shape[1]
    folded = _fold_batch_norms(model, probe)
    return _Network(**vars(made) | {"module": folded, "n_features": n_features})


def _fold_batch_norms(model: nn.Module, probe: torch.Tensor) -> nn.Module:
    """Fold each BatchNorm that directly follows a convolution into that convolution."""
    # On a CPU this saves a third of the time of small networks. Which ones follow is seen from a
    # run: names and order in the tree do not tell what `forward` does.
    pairs = _convolutions_before_norms(model, probe)
    if not pairs:
        return model
    folded = copy.deepcopy(model)
    for conv_name, norm_name in pairs:
        conv: Any = folded.get_submodule(conv_name)
        norm: Any = folded.get_submodule(norm_name)
        conv.weight, conv.bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps,
            norm.weight, norm.bias,
        )  # fmt: skip
        rest = [getattr(norm, part) for part in ("drop", "act") if hasattr(norm, part)]
        folded.set_submodule(norm_name, nn.Sequential(*rest) if rest else nn.Identity())
    folded.requires_grad_(False)
    with torch.inference_mode():
        before, after = model(probe), folded(probe)
    # A convolution whose raw output is used elsewhere too cannot be folded: the features differ.
    tolerance = _FOLDING_TOLERANCE * float(before.abs().max())
    return folded if float((before - after).abs().max()) <= tolerance else model


def _convolutions_before_norms(model: nn.Module, probe: torch.Tensor) -> list[tuple[str, str]]:
    """Names of convolutions and of the BatchNorms that take their outputs, each run once."""
    names = {module: name for name, module in model.named_modules()}
    made: dict[int, tuple[str, torch.Tensor]] = {}
    pairs: list[tuple[str, str]] = []
    runs: Counter[str] = Counter()
    handles: list[Any] = []

    def note_output(module: nn.Module, _: Any, output: torch.Tensor) -> None:
        runs[names[module]] += 1
        # The tensor is kept, or its id could be given to another one.
        made[id(output)] = (names[module], output)

    def note_input(module: nn.Module, given: tuple[torch.Tensor]) -> None:
        runs[names[module]] += 1
        if id(given[0]) in made:
            pairs.append((made[id(given[0])][0], names[module]))

    for module in names:
        if isinstance(module, nn.Conv2d):
            handles.append(module.register_forward_hook(note_output))
        elif isinstance(module, nn.BatchNorm2d) and module.affine and module.track_running_stats:
            handles.append(module.register_forward_pre_hook(note_input))
    try:
        with torch.inference_mode():
            model(probe[:1])
    finally:
        for handle in handles:
            handle.remove()
    # A module that runs twice, as one that is shared does, has two places to be folded at.
    return [pair for pair in pairs if runs[pair[0]] == runs[pair[1]] == 1]
