"""What a network is: a description that JSON can hold, a body and a linear head; where it runs."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import torch
from torch import Tensor, nn

from fewlabel.compute import matmul_dtype

AnyModule = TypeVar("AnyModule", bound=nn.Module)


@dataclass(frozen=True)
class NetworkSpec:
    """What a network is made of; enough to build it again before its weights are loaded.

    Attributes
    ----------
    name : str
        Architecture: a key of `fewlabel.nets.ARCHITECTURES`, or ``"timm/NAME"``.
    input_shape : tuple of int
        ``(d,)`` for vectors, ``(C, H, W)`` for images.
    n_outputs : int
        Number of classes or labels.
    options : dict
        Settings of the architecture, such as ``{"dropout": 0.2}``.
    """

    name: str
    input_shape: tuple[int, ...]
    n_outputs: int
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the description as JSON types.

        Returns
        -------
        dict
            The fields by name.
        """
        return {
            "name": self.name,
            "input_shape": list(self.input_shape),
            "n_outputs": self.n_outputs,
            "options": dict(self.options),
        }

    @classmethod
    def _from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Return the description that `to_dict` gave."""
        shape = tuple(int(n) for n in fields["input_shape"])
        return cls(str(fields["name"]), shape, int(fields["n_outputs"]), dict(fields["options"]))


class _Standardize(nn.Module):
    """Subtract a mean and divide by a scale, both of one shape and kept with the weights."""

    mean: Tensor
    scale: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("scale", torch.ones(shape))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.scale


class Network(nn.Module):
    """A body that turns a batch into embeddings, and a linear head.

    Parameters
    ----------
    spec : NetworkSpec
        What it is.
    body : Module
        From ``(b, *input_shape)`` to ``(b, width)``.
    width : int
        Length of an embedding.
    """

    def __init__(self, spec: NetworkSpec, body: nn.Module, width: int) -> None:
        super().__init__()
        self.spec = spec
        shape = spec.input_shape
        # In the network, and not before it: it is saved with the weights and runs on the device.
        self.standardize = _Standardize(shape if len(shape) == 1 else (shape[0], 1, 1))
        self.body = body
        self.head = nn.Linear(width, spec.n_outputs)

    def embed(self, x: Tensor) -> Tensor:
        """Compute the embeddings (b, width) of a float batch that is not standardized."""
        embedding: Tensor = self.body(self.standardize(x))
        return embedding

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits (b, n_outputs) of a float batch that is not standardized."""
        logits: Tensor = self.head(self.embed(x))
        return logits


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
