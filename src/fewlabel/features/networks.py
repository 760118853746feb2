"""timm networks made ready to give features: built, filled, checked and folded."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from fewlabel.errors import DownloadError, UsageError
from fewlabel.extras import require
from fewlabel.features.checkpoints import (
    Recipe,
    check_model_name,
    load_tensors,
    read_checkpoint,
    read_recipe,
)

# timm would load a file (a pickle, too) or change what the tensors are checked against.
_RESERVED_KWARGS = frozenset(
    {
        "cache_dir",
        "checkpoint_path",
        "features_only",
        "in_chans",
        "num_classes",
        "pretrained",
        "pretrained_cfg",
        "pretrained_cfg_overlay",
        "pretrained_strict",
        "scriptable",
    }
)
_FOLDING_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Network:
    """A network without its classifier, and what it wants to see.

    Parameters
    ----------
    module : torch.nn.Module
        Maps (b, 3, H, W) float32 to (b, n_features), in evaluation mode, BatchNorm folded.
    tensors : dict of str to Tensor
        Its weights under timm's names, before folding.
    recipe : Recipe
        Model, arguments, mean and standard deviation of its input.
    size : (int, int)
        Height and width of its input.
    n_features : int
        Features it gives.
    """

    module: nn.Module
    tensors: dict[str, torch.Tensor]
    recipe: Recipe
    size: tuple[int, int]
    n_features: int


def load_network(
    recipe: Recipe,
    *,
    weights: str | Path | Mapping[str, torch.Tensor] | None = None,
    pretrained: bool = True,
    size: tuple[int, int] | None = None,
    seed: int = 0,
) -> Network:
    """Build a timm network without its classifier.

    Parameters
    ----------
    recipe : Recipe
        Which network. What it leaves open is taken from the recipe of the weight file, then
        from timm.
    weights : str, Path or mapping of str to Tensor, optional
        A ``.safetensors`` file, or tensors.
    pretrained : bool
        Without ``weights``: fetch those that timm names from the hub. Otherwise the weights
        are drawn at random.
    size : (int, int), optional
        Height and width of its input; by default what it was trained on.
    seed : int
        Seed of random weights. The global random state is left alone.

    Returns
    -------
    Network
        The network on the CPU.

    Raises
    ------
    UsageError
        If timm has no such model, or the model does not take such arguments or sizes.
    DataError
        If the weights are damaged or belong to another model.
    DownloadError
        If the hub cannot be reached.
    MissingExtraError
        If timm is not installed.

    Examples
    --------
    >>> network = load_network(Recipe("resnet18"), pretrained=False, size=(32, 32))
    >>> network.n_features, network.recipe.mean
    (512, (0.485, 0.456, 0.406))
    """
    check_model_name(recipe.model)
    if isinstance(weights, str | Path):
        recipe = _complete(recipe, read_recipe(weights))
        source, weights = str(weights), read_checkpoint(weights)
    else:
        source = "The saved file of weights"
    _check_kwargs(recipe)
    model = _create(recipe, pretrained=weights is None and pretrained, seed=seed)
    if weights is not None:
        load_tensors(model, weights, source=source)
    tensors = {k: v for k, v in model.state_dict().items() if "num_batches_tracked" not in k}
    recipe, size = _settle_input(model, recipe, size)
    model.eval().requires_grad_(False)
    probe = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    features = _probe(model, probe, recipe.model)
    return Network(fold_batch_norms(model, probe), tensors, recipe, size, features.shape[1])


def fold_batch_norms(model: nn.Module, probe: torch.Tensor) -> nn.Module:
    """Fold each BatchNorm that directly follows a convolution into that convolution.

    Which ones do is seen from a run on ``probe``; the folded network is kept if it gives the
    same features there. On a CPU this saves a third of the time of small networks.

    Parameters
    ----------
    model : torch.nn.Module
        Network in evaluation mode; not changed.
    probe : Tensor of shape (b, 3, H, W)
        Input to try it on.

    Returns
    -------
    torch.nn.Module
        The folded network, or ``model`` itself where folding is not possible.

    Examples
    --------
    >>> layers = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).eval()
    >>> fold_batch_norms(layers, torch.zeros(1, 3, 2, 2))[1]
    Identity()
    """
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
    tolerance = _FOLDING_TOLERANCE * float(before.abs().max())
    return folded if float((before - after).abs().max()) <= tolerance else model


def _convolutions_before_norms(model: nn.Module, probe: torch.Tensor) -> list[tuple[str, str]]:
    """Names of convolutions and of the BatchNorms that take their outputs, each run once."""
    made: dict[int, tuple[str, torch.Tensor]] = {}
    pairs: list[tuple[str, str]] = []
    runs: dict[str, int] = {}
    handles = []

    def note_output(name: str, output: torch.Tensor) -> None:
        runs[name] = runs.get(name, 0) + 1
        # The tensor is kept, or its id could be given to another one.
        made[id(output)] = (name, output)

    def note_input(name: str, tensor: torch.Tensor) -> None:
        runs[name] = runs.get(name, 0) + 1
        if id(tensor) in made:
            pairs.append((made[id(tensor)][0], name))

    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            handles.append(
                module.register_forward_hook(lambda _m, _i, out, name=name: note_output(name, out))
            )
        elif isinstance(module, nn.BatchNorm2d) and module.affine and module.track_running_stats:
            handles.append(
                module.register_forward_pre_hook(
                    lambda _m, given, name=name: note_input(name, given[0])
                )
            )
    try:
        with torch.inference_mode():
            model(probe[:1])
    finally:
        for handle in handles:
            handle.remove()
    return [pair for pair in pairs if runs[pair[0]] == runs[pair[1]] == 1]


def _complete(asked: Recipe, found: Recipe | None) -> Recipe:
    if found is None or found.model.split(".")[0] != asked.model.split(".")[0]:
        return asked
    return Recipe(
        asked.model,
        mean=found.mean if asked.mean is None else asked.mean,
        std=found.std if asked.std is None else asked.std,
        model_kwargs={**found.model_kwargs, **asked.model_kwargs},
    )


def _check_kwargs(recipe: Recipe) -> None:
    for name, value in recipe.model_kwargs.items():
        items = value if isinstance(value, list | tuple) else [value]
        plain = all(item is None or isinstance(item, bool | int | float | str) for item in items)
        if name in _RESERVED_KWARGS or not plain:
            raise UsageError(
                f"The argument {name}={str(value)[:80]!r} cannot be given to a backbone: leave "
                f"out {', '.join(sorted(_RESERVED_KWARGS))}, and give numbers, text or lists."
            )


def _create(recipe: Recipe, *, pretrained: bool, seed: int) -> Any:
    timm = require("timm", "A pretrained backbone")
    arguments = {"num_classes": 0, **recipe.model_kwargs}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = timm.create_model(recipe.model, pretrained=False, **arguments)
        except (TypeError, ValueError, AssertionError, KeyError, RuntimeError) as error:
            raise UsageError(
                f"timm cannot make {recipe.model!r} with {dict(recipe.model_kwargs)}: {error}"
            ) from error
        if not pretrained:
            return model
        try:
            return timm.create_model(recipe.model, pretrained=True, **arguments)
        except Exception as error:
            # Whatever the hub's client raises on its way: its classes change between versions.
            raise _hub_error(recipe.model, error) from error


def _hub_error(name: str, error: Exception) -> UsageError | DownloadError:
    no_weights = ("No pretrained weights exist", "Invalid pretrained tag")
    if isinstance(error, RuntimeError) and str(error).startswith(no_weights):
        return UsageError(
            f"timm has no pretrained weights for {name!r}: choose one of "
            "timm.list_pretrained(), or give a file with --weights PATH."
        )
    return DownloadError(
        f"The weights of {name!r} could not be fetched from the hub "
        f"({type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}): "
        "check the connection, or fetch model.safetensors of this model on another machine and "
        "give it with --weights PATH."
    )


def _settle_input(
    model: Any, recipe: Recipe, size: tuple[int, int] | None
) -> tuple[Recipe, tuple[int, int]]:
    """Fill in mean, std and size from timm, and set the size where a model has to be told."""
    from timm.data import resolve_model_data_config

    config = resolve_model_data_config(model)
    native = tuple(config["input_size"][1:])
    recipe = Recipe(
        recipe.model,
        mean=_colours("mean", config["mean"] if recipe.mean is None else recipe.mean),
        std=_colours("std", config["std"] if recipe.std is None else recipe.std),
        model_kwargs=dict(recipe.model_kwargs),
    )
    if size is None or size == native:
        return recipe, native
    if model.pretrained_cfg.get("fixed_input_size"):
        if not hasattr(model, "set_input_size"):
            raise UsageError(
                f"The backbone {recipe.model!r} takes images of {native[0]} × {native[1]} only. "
                f"Got size {size[0]} × {size[1]} instead: leave the size out."
            )
        try:
            model.set_input_size(img_size=size)
        except (AssertionError, ValueError, RuntimeError, TypeError) as error:
            raise _size_error(recipe.model, size, error) from error
    return recipe, size


def _colours(name: str, values: Sequence[float]) -> tuple[float, ...]:
    try:
        colours = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        colours = ()
    least = 0.0 if name == "std" else -math.inf
    if len(colours) != 3 or not all(least < value < math.inf for value in colours):
        raise UsageError(
            f"The {name!r} parameter of Backbone must be three numbers"
            f"{' above 0' if name == 'std' else ''}, one for each colour. Got {values!r} instead."
        )
    return colours


def _probe(model: nn.Module, probe: torch.Tensor, name: str) -> torch.Tensor:
    try:
        with torch.inference_mode():
            features = model(probe)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise _size_error(name, tuple(probe.shape[2:]), error) from error
    if not isinstance(features, torch.Tensor) or features.ndim != 2:
        raise UsageError(
            f"The timm model {name!r} does not give one row of features an image: choose a "
            "classification model, and leave global_pool alone."
        )
    return features


def _size_error(name: str, size: tuple[int, ...], error: Exception) -> UsageError:
    return UsageError(
        f"The backbone {name!r} cannot take images of {size[0]} × {size[1]} ({error}): "
        "leave the size out, or give another."
    )
