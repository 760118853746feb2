"""The arithmetic a network trains in on this device."""

from __future__ import annotations

import contextlib
from typing import Any, TypeVar

import torch
from torch import nn

from fewlabel.compute import matmul_dtype

AnyModule = TypeVar("AnyModule", bound=nn.Module)


def autocast(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Compute in bfloat16 where the device gains from it, else in float32.

    Parameters
    ----------
    device : torch.device
        Where the network runs.

    Returns
    -------
    context manager
        ``torch.autocast`` on CPUs with bfloat16 matrix units and on CUDA; nothing elsewhere.

    Examples
    --------
    >>> with autocast(torch.device("cpu")):
    ...     product = torch.ones(2, 2) @ torch.ones(2, 2)
    """
    if matmul_dtype(device.type) is torch.bfloat16:
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()


def memory_format(device: torch.device) -> torch.memory_format:
    """Layout in which convolutions run fastest.

    Parameters
    ----------
    device : torch.device
        Where the network runs.

    Returns
    -------
    torch.memory_format
        ``channels_last``, except on MPS, which converts back and forth.

    Examples
    --------
    >>> memory_format(torch.device("cpu"))
    torch.channels_last
    """
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


def place_network(network: AnyModule, device: torch.device) -> AnyModule:
    """Move a network to a device, filters in the layout that is fastest there.

    Parameters
    ----------
    network : Module
        Changed in place.
    device : torch.device
        Where it shall run.

    Returns
    -------
    Module
        The network.

    Examples
    --------
    >>> place_network(nn.Linear(2, 1), torch.device("cpu")).weight.shape
    torch.Size([1, 2])
    """
    network.to(device)
    # The overloads of Module.to do not list memory_format by keyword alone.
    network.to(memory_format=memory_format(device))  # type: ignore[call-overload]
    return network
