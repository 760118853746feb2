"""The state of a training run in one file, so that a killed run goes on where it was.

Tensors stand in a safetensors file, everything else in its header as JSON: reading one runs no
code. A checkpoint belongs to one training: the fingerprint of data, network and settings must
match, or it is not used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from fewlabel.errors import ModelFormatError
from fewlabel.files import atomic_file

_KEY = "fewlabel-checkpoint"
_VERSION = 1


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes
    ----------
    tensors : dict of str to Tensor
        Weights and the optimizer's averages.
    meta : dict
        Counters and history, as JSON types.
    """

    tensors: dict[str, Tensor]
    meta: dict[str, Any]


def save_checkpoint(
    path: str | Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]
) -> None:
    """Write a checkpoint, whole or not at all.

    Parameters
    ----------
    path : str or Path
        File to write; an older one stays until the new one is whole.
    tensors : mapping of str to Tensor
        Tensors on any device.
    meta : mapping
        JSON types.

    Raises
    ------
    StorageError
        If the disk is full or the folder cannot be written to.
    """
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = {_KEY: json.dumps({"version": _VERSION, **meta})}
    with atomic_file(path) as file:
        file.write_bytes(safetensors.torch.save(held, metadata=header))


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint.

    Parameters
    ----------
    path : str or Path
        File from `save_checkpoint`.

    Returns
    -------
    Checkpoint
        Its contents, on the CPU.

    Raises
    ------
    ModelFormatError
        If the file is damaged or of another kind.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "a.safetensors"
    >>> save_checkpoint(file, {"w": torch.ones(2)}, {"epoch": 3})
    >>> load_checkpoint(file).meta["epoch"]
    3
    """
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            header = (file.metadata() or {}).get(_KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        meta = json.loads(header) if header is not None else {}
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise ModelFormatError(
            f"The checkpoint {path} cannot be read ({error}): delete it to train from the start."
        ) from error
    if not isinstance(meta, dict) or meta.get("version") != _VERSION:
        raise ModelFormatError(
            f"{path} is not a checkpoint of this version of fewlabel: delete it to train from "
            "the start."
        )
    return Checkpoint(tensors, meta)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Give the tensors of an optimizer's state, named by parameter number.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        After at least one step, or fresh.

    Returns
    -------
    dict of str to Tensor
        ``"optimizer.NUMBER.NAME"`` to tensor.
    """
    state = optimizer.state_dict()["state"]
    return {
        f"optimizer.{number}.{name}": torch.as_tensor(value)
        for number, entries in state.items()
        for name, value in entries.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put the tensors of `optimizer_tensors` back.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        A fresh one over the same parameters.
    tensors : mapping of str to Tensor
        From a checkpoint; names of other parts are passed over.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for full, tensor in tensors.items():
        if not full.startswith("optimizer."):
            continue
        _, number, name = full.split(".", 2)
        like = parameters[int(number)]
        # The fused step walks weights and averages side by side in memory: a filter in
        # channels_last needs averages in that order. load_state_dict keeps what it is given.
        kept = torch.empty_like(like).copy_(tensor) if tensor.shape == like.shape else None
        state.setdefault(int(number), {})[name] = tensor.clone() if kept is None else kept
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
