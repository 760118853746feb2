"""timm models without their classifier: made, filled with weights, set to an input size."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fewlabel.errors import DownloadError, FetchNotice, UsageError
from fewlabel.extras import require
from fewlabel.nets.pretrained import (
    Recipe,
    _check_model_name,
    _fitting_tensors,
    _read_checkpoint,
    _read_recipe,
)
from fewlabel.nets.weight_packages import (
    _EXTRA,
    PACKAGES,
    _package_of,
    _packaged_weights,
    cached_by_timm,
)

_OFFLINE = f"run `{_EXTRA}` and take --backbone {PACKAGES[-1].name}, which comes with them"

# timm would load a file (a pickle, too) or change what the tensors are checked against.
_RESERVED_KWARGS = {
    *("cache_dir", "checkpoint_path", "features_only", "in_chans", "num_classes", "scriptable"),
    *("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "pretrained_strict"),
}


@dataclass(frozen=True)
class _TimmModel:
    """A timm model and what it wants to see."""

    module: nn.Module  # from (b, 3, H, W) float32 to (b, n_features)
    tensors: dict[str, torch.Tensor]  # under timm's names, before it was given another size
    recipe: Recipe  # with mean and standard deviation of its input
    size: tuple[int, int]  # height and width of its input
    source: str = ""  # where its weights come from, in words


def _make_timm_model(
    recipe: Recipe,
    *,
    weights: str | Path | Mapping[str, torch.Tensor] | None = None,
    pretrained: bool = True,
    size: tuple[int, int] | None = None,
    seed: int | None = 0,
) -> _TimmModel:
    """Make a timm model without classifier, its weights given, installed, fetched, or random."""
    _check_model_name(recipe.model)
    source = "" if weights is None else "The saved file of weights"
    if isinstance(weights, str | Path):
        recipe = _complete(recipe, _read_recipe(weights))
        source, weights = str(weights), _read_checkpoint(weights)
    elif weights is None and pretrained and (found := _packaged_weights(recipe.model)):
        known, weights, source = found
        recipe = _complete(recipe, known)
    _check_kwargs(recipe)
    model = _create(recipe, seed=seed)
    if weights is None and pretrained:
        model, source = _filled_by_timm(model, recipe)
    elif weights is not None:
        given = _fitting_tensors(model, weights, source=source)
        # Not strict: weight files may lack the counters of training batches, never used.
        model.load_state_dict(given, strict=False)
    tensors = {k: v for k, v in model.state_dict().items() if "num_batches_tracked" not in k}
    recipe, size = _settle_input(model, recipe, size)
    return _TimmModel(model, tensors, recipe, size, source)


def _check_timm_weights(recipe: Recipe, weights: Mapping[str, torch.Tensor]) -> None:
    """Raise if tensors do not fill a model, before any memory is taken for it."""
    _check_model_name(recipe.model)
    _check_kwargs(recipe)
    try:
        with torch.device("meta"):
            model = _create(recipe, seed=None)
    except UsageError:
        # A few models compute with their numbers while they are made: those are made for good.
        return
    _fitting_tensors(model, weights, source="The saved file of weights")


def _try_model(model: nn.Module, probe: torch.Tensor, name: str) -> torch.Tensor:
    """Return the features (b, d) that a model gives for images (b, 3, H, W), or raise."""
    try:
        # What a model keeps from this run must still take part in training afterwards.
        with torch.no_grad():
            features = model(probe)
    except (RuntimeError, AssertionError, ValueError) as error:
        raise _size_error(name, tuple(probe.shape[2:]), error) from error
    if not isinstance(features, torch.Tensor) or features.ndim != 2:
        raise UsageError(
            f"The timm model {name!r} does not give one row of features an image: choose a "
            "classification model, and leave global_pool alone."
        )
    return features


def _complete(asked: Recipe, found: Recipe | None) -> Recipe:
    if found is None or found.model.split(".")[0] != asked.model.split(".")[0]:
        return asked
    return replace(
        asked,
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


def _create(recipe: Recipe, *, seed: int | None) -> Any:
    timm = require("timm", "A network of timm")
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        try:
            return timm.create_model(recipe.model, **_arguments(recipe))
        except (TypeError, ValueError, AssertionError, KeyError, RuntimeError) as error:
            raise UsageError(
                f"timm cannot make {recipe.model!r} with {dict(recipe.model_kwargs)}: {error}"
            ) from error


def _arguments(recipe: Recipe) -> dict[str, Any]:
    return {"num_classes": 0, **recipe.model_kwargs}


def _filled_by_timm(model: Any, recipe: Recipe) -> tuple[Any, str]:
    """Return a model with the weights that timm has in its cache, or gets from the hub."""
    timm, cfg = require("timm", "A network of timm"), model.pretrained_cfg
    name = str(cfg.get("hf_hub_id") or recipe.model).removeprefix("timm/")
    n_bytes = sum(4 * tensor.numel() for tensor in model.state_dict().values())
    about = f"{name}, {n_bytes / 1e6:,.0f} MB, license {cfg.get('license') or 'not given'}"
    source, arguments = f"the hub ({about})", _arguments(recipe)
    file = cached_by_timm().get(name)
    if file is not None and not (cfg.get("custom_load") or cfg.get("hf_hub_filename")):
        # Not even asked for a newer one: the hub may be out of reach.
        source = f"timm's cache ({about})"
        arguments["pretrained_cfg_overlay"] = {"file": str(file)}
    elif file is None and cfg.get("hf_hub_id"):
        text = f"Fetching weights from the hub ({about}), once. Without a network: {_OFFLINE}."
        warnings.warn(text, FetchNotice, stacklevel=2)
    with torch.random.fork_rng(devices=[]):
        try:
            return timm.create_model(recipe.model, pretrained=True, **arguments), source
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
    known = _package_of(name)
    mend = f"run `{known.install}`, which brings them" if known is not None else _OFFLINE
    return DownloadError(
        f"The weights of {name!r} could not be fetched from the hub "
        f"({type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}): "
        f"{mend}, or fetch model.safetensors of this model on another machine and give it with "
        "--weights PATH."
    )


def _settle_input(
    model: Any, recipe: Recipe, size: tuple[int, int] | None
) -> tuple[Recipe, tuple[int, int]]:
    """Fill in mean, std and size from timm, and set the size where a model needs it."""
    from timm.data import resolve_model_data_config

    config = resolve_model_data_config(model)
    native = tuple(config["input_size"][1:])
    recipe = replace(
        recipe,
        mean=_colors("mean", config["mean"] if recipe.mean is None else recipe.mean),
        std=_colors("std", config["std"] if recipe.std is None else recipe.std),
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


def _colors(name: str, values: Sequence[float]) -> tuple[float, ...]:
    try:
        colors = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        colors = ()
    least = 0.0 if name == "std" else -math.inf
    if len(colors) != 3 or not all(least < value < math.inf for value in colors):
        raise UsageError(
            f"The {name!r} parameter of Backbone must be three numbers"
            f"{' above 0' if name == 'std' else ''}, one for each color. Got {values!r} instead."
        )
    return colors


def _size_error(name: str, size: tuple[int, ...], error: Exception) -> UsageError:
    return UsageError(
        f"The backbone {name!r} cannot take images of {size[0]} × {size[1]} ({error}): "
        "leave the size out, or give another."
    )
