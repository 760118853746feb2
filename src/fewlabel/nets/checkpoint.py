"""The state of a training run in one file, so that a killed run goes on where it was.

Tensors stand in a safetensors file, everything else in its header as JSON: reading one runs no
code. A checkpoint belongs to one training: the fingerprint of data, network and settings must
match, or it is not used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from fewlabel.errors import ModelFormatError
from fewlabel.files import atomic_file

_KEY = "fewlabel-checkpoint"
_DIGEST = "fewlabel-digest"
_VERSION = 2


def _save_checkpoint(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write a checkpoint, whole or not at all; an older one stays until then."""
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    said = json.dumps({"version": _VERSION, **meta})
    header = {_KEY: said, _DIGEST: _digest(held, said)}
    with atomic_file(path) as file:
        file.write_bytes(safetensors.torch.save(held, metadata=header))


def _load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors onto the CPU, and counters; raise ModelFormatError if it is no checkpoint."""
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        meta = json.loads(header.get(_KEY, "{}"))
        if _KEY in header and header.get(_DIGEST) != _digest(tensors, header[_KEY]):
            raise ValueError("the content does not match its checksum")
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise ModelFormatError(
            f"The checkpoint {path} cannot be read ({error}): delete it to train from the start."
        ) from error
    if not isinstance(meta, dict) or meta.get("version") != _VERSION:
        raise ModelFormatError(
            f"{path} is not a checkpoint of this version of fewlabel: delete it to train from "
            "the start."
        )
    return tensors, meta


def _digest(tensors: Mapping[str, Tensor], said: str) -> str:
    """Return a checksum: a flipped bit in a weight would change the result in silence."""
    state = hashlib.blake2b(said.encode(), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name]
        state.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        # As bytes: numpy knows no bfloat16.
        state.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return state.hexdigest()


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the tensors of an optimizer's state as "NUMBER.NAME", by parameter number."""
    return {
        f"{number}.{name}": torch.as_tensor(value)
        for number, entries in optimizer.state_dict()["state"].items()
        for name, value in entries.items()
    }


def _restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put the tensors of `_optimizer_tensors` into a fresh optimizer of the same parameters."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for full, tensor in tensors.items():
        number, name = full.split(".", 1)
        like = parameters[int(number)]
        # The fused step walks weights and averages side by side in memory: a filter in
        # channels_last needs averages in that order. load_state_dict keeps what it is given.
        kept = torch.empty_like(like).copy_(tensor) if tensor.shape == like.shape else None
        state.setdefault(int(number), {})[name] = tensor.clone() if kept is None else kept
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
