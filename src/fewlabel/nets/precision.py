"""The arithmetic and the memory layout in which networks run fastest."""

from __future__ import annotations

import contextlib
from typing import Any, TypeVar

import torch
from torch import nn

from fewlabel.compute import matmul_dtype

AnyModule = TypeVar("AnyModule", bound=nn.Module)


def _autocast(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Compute in bfloat16 where the device gains from it, else in float32."""
    if matmul_dtype(device.type) is torch.bfloat16:
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()


def _memory_format(device: torch.device) -> torch.memory_format:
    """Return the layout of convolutions: MPS would convert channels_last back and forth."""
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


def _place_network(network: AnyModule, device: torch.device) -> AnyModule:
    """Move a network to a device in place, filters in the layout that is fastest there."""
    network.to(device)
    # The overloads of Module.to do not list memory_format by keyword alone.
    network.to(memory_format=_memory_format(device))  # type: ignore[call-overload]
    return network
