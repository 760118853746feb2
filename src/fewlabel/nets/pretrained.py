"""Weight files of backbones: what they need, how they are read, and what is refused."""

import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch

from fewlabel.errors import DataError, UsageError
from fewlabel.extras import require
from fewlabel.reading import _check_bytes, _from_home, _read_regular

DEFAULT_MODEL = "mobilenetv2_100"
"""The timm model that is taken where neither a name nor weights are given."""

_PURPOSE = "A pretrained backbone"
_LISTED = 4
_SIDECAR_LIMIT = 1_000_000
# Where the header of a weight file that fewlabel wrote holds its recipe.
_RECIPE_KEY = "fewlabel-recipe"


@dataclass(frozen=True)
class Recipe:
    """What a weight file needs besides its tensors.

    Parameters
    ----------
    model : str
        Name of the timm model that the tensors belong to.
    mean : sequence of float, optional
        Mean of each color, on a scale from 0 to 1; None leaves it to timm.
    std : sequence of float, optional
        What each color is divided by after that; None leaves it to timm.
    model_kwargs : mapping
        Arguments of ``timm.create_model``.

    Examples
    --------
    >>> Recipe("resnet18").model_kwargs
    {}
    """

    model: str
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    model_kwargs: Mapping[str, Any] = field(default_factory=dict)


# Recipes of files that say nothing about themselves, by size in bytes and SHA-256. The one entry is
# MobileNetV2 1.0 restored from the quantized TensorFlow release: it was trained on [-1, 1] with
# TensorFlow's padding, and neither can be seen from its tensors.
_KNOWN_CHECKPOINTS: dict[tuple[int, str], Recipe] = {
    (7_101_024, "2d3c0bbc6075f78e4610a24e30ea0f877b181cd08fbe097d08fa65f4782b0eb9"): Recipe(
        "mobilenetv2_100", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), {"pad_type": "same"}
    )
}


def _check_model_name(name: str) -> str:
    """Return a model's name, with or without the tag of its weights, if timm knows it."""
    timm = require("timm", _PURPOSE)
    # `hf-hub:` and `local-dir:` names, which load what others have put there, are not models.
    if isinstance(name, str) and timm.is_model(name):
        return name
    close = difflib.get_close_matches(str(name).split(".")[0].lower(), timm.list_models(), n=3)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else "see timm.list_models()."
    raise UsageError(f"timm has no model {name!r}: {hint}")


def _read_checkpoint(path: str | Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a ``.safetensors`` file onto the CPU; floating ones as float32."""
    path = _from_home(path)
    _check_format(path)
    try:
        loaded = safetensors.torch.load_file(path)
    except safetensors.SafetensorError as error:
        raise DataError(
            f"{path} is not a whole safetensors file ({error}): fetch or convert it again."
        ) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from error
    # Half-precision weights are computed with as float32 on a CPU.
    tensors = {}
    for name, tensor in loaded.items():
        tensors[name] = tensor.float() if tensor.is_floating_point() else tensor
        if not torch.isfinite(tensors[name]).all():
            raise DataError(
                f"{path}: the tensor {name!r} holds NaN or infinity: the file is damaged; "
                "fetch or convert it again."
            )
    return tensors


def _read_recipe(path: str | Path) -> Recipe | None:
    """Return what a weight file needs, by its checksum, or as stated beside or in it; or None."""
    path = _from_home(path)
    _check_format(path)
    # A checksum reads the whole file: only one of a known size is worth it.
    size = path.stat().st_size
    if any(size == known for known, _ in _KNOWN_CHECKPOINTS):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if (size, digest) in _KNOWN_CHECKPOINTS:
            return _KNOWN_CHECKPOINTS[size, digest]
    beside = [path.with_suffix(".json")]
    if path.name == "model.safetensors":
        beside.append(path.with_name("config.json"))
    for sidecar in beside:
        if sidecar.is_file():
            return _recipe_from_json(sidecar)
    return _recipe_from_header(path)


def _name_from_weights(path: str | Path) -> str:
    """Return the timm model of a weight file, by its recipe or the longest name it begins with."""
    path = _from_home(path)
    recipe = _read_recipe(path)
    if recipe is not None:
        return recipe.model
    timm = require("timm", _PURPOSE)
    stem = path.name.removesuffix(".safetensors")
    if timm.is_model(stem) and stem in timm.list_pretrained():
        return stem
    # From the longest: resnet18d is not resnet18 with a tag.
    for end in range(len(stem), 0, -1):
        whole_word = end == len(stem) or not stem[end].isalnum()
        if whole_word and timm.is_model(stem[:end]) and "." not in stem[:end]:
            return stem[:end]
    raise UsageError(
        f"The name of {path} does not tell which timm model it belongs to: name the model with "
        f"--features NAME, or call the file NAME.safetensors."
    )


def _fitting_tensors(
    model: torch.nn.Module, tensors: Mapping[str, torch.Tensor], *, source: str
) -> dict[str, torch.Tensor]:
    """Return the tensors under timm's names that fill a model without its classifier, all."""
    expected = {k: v for k, v in model.state_dict().items() if not _is_counter(k)}
    classifier = _classifier_prefixes(model)
    given = {
        name: tensor
        for name, tensor in tensors.items()
        if name in expected or not (_is_counter(name) or name.startswith(classifier))
    }
    shapes = [
        f"{name} {tuple(given[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in given and given[name].shape != tensor.shape
    ]
    problems = {
        "missing": [name for name in expected if name not in given],
        "unexpected": [name for name in given if name not in expected],
        "of another shape": shapes,
    }
    if any(problems.values()):
        found = "; ".join(f"{len(n)} {kind}: {_first(n)}" for kind, n in problems.items() if n)
        cfg = getattr(model, "pretrained_cfg", {})
        raise DataError(
            f"{source} does not fit the timm model {cfg.get('architecture', '?')!r} ({found}): "
            "name the model it belongs to with --features NAME, or convert it to timm's names."
        )
    return given


def _check_format(path: Path) -> None:
    if path.suffix.lower() != ".safetensors":
        raise UsageError(
            f"The weights {path} are not a .safetensors file, and other formats (pickles above "
            "all: .pth, .pt, .bin, .ckpt) can run code when they are loaded. Convert them to "
            "safetensors: safetensors.torch.save_file(torch.load(PATH, weights_only=True), "
            "'NAME.safetensors')."
        )
    if not path.is_file():
        raise DataError(f"The weights {path} do not exist or are not a file: check the path.")
    try:
        _check_bytes(path.stat().st_size)
    except OSError as error:
        raise DataError(f"The weights {path} are not read: {error.strerror}.") from error


def _recipe_from_header(path: Path) -> Recipe | None:
    try:
        with safetensors.safe_open(str(path), framework="pt") as opened:
            text = (opened.metadata() or {}).get(_RECIPE_KEY)
    except (safetensors.SafetensorError, OSError):
        # Who reads the tensors says what is wrong.
        return None
    return None if text is None else _recipe_from_json(path, text)


def _recipe_from_json(path: Path, text: str | None = None) -> Recipe:
    try:
        config = json.loads(_read_regular(path, _SIDECAR_LIMIT) if text is None else text)
        cfg = config.get("pretrained_cfg", config)
        return Recipe(
            config["architecture"],
            mean=_colors(cfg.get("mean")),
            std=_colors(cfg.get("std")),
            model_kwargs=dict(config.get("model_args") or {}),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{path} does not describe weights as timm's config.json does "
            f"({type(error).__name__}: {error}): correct it, or remove it and give the "
            "preprocessing yourself."
        ) from error


def _colors(values: Any) -> tuple[float, ...] | None:
    return None if values is None else tuple(float(value) for value in values)


def _tensors_digest(tensors: Mapping[str, torch.Tensor]) -> str:
    """Fingerprint of weights, in whatever order and precision a file holds them."""
    state = hashlib.blake2b(digest_size=16)
    for name in sorted(tensors):
        if not _is_counter(name):
            array = np.ascontiguousarray(tensors[name].detach().float().cpu().numpy())
            state.update(f"{name} {array.shape}".encode())
            state.update(array.tobytes())
    return state.hexdigest()


def _is_counter(name: str) -> bool:
    return name.endswith("num_batches_tracked")


def _classifier_prefixes(model: torch.nn.Module) -> tuple[str, ...]:
    names = getattr(model, "pretrained_cfg", {}).get("classifier") or ()
    names = (names,) if isinstance(names, str) else names
    return tuple(f"{name}." for name in names)


def _first(names: Iterable[str]) -> str:
    # Names come from a file: control characters would reach the terminal.
    shown = [re.sub(r"[^\x20-\x7e]", "?", name)[:80] for name in names]
    return ", ".join(shown[:_LISTED]) + (", …" if len(shown) > _LISTED else "")
