"""What a network is: a description that JSON can hold, a body and a linear head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


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
        Number of classes.
    options : dict
        Settings of the architecture, such as ``{"dropout": 0.2}``.
    """

    name: str
    input_shape: tuple[int, ...]
    n_outputs: int
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Give the description as JSON types.

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


class Standardize(nn.Module):
    """Subtract a mean and divide by a scale, both kept with the weights.

    Parameters
    ----------
    shape : tuple of int
        Shape of one mean, such as ``(d,)`` or ``(C, 1, 1)``.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("scale", torch.ones(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Standardize a batch.

        Parameters
        ----------
        x : Tensor of shape (b, ...)
            Rows or images.

        Returns
        -------
        Tensor
            The same shape.
        """
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
        self.standardize = Standardize(shape if len(shape) == 1 else (shape[0], 1, 1))
        self.body = body
        self.head = nn.Linear(width, spec.n_outputs)

    def embed(self, x: Tensor) -> Tensor:
        """Compute embeddings.

        Parameters
        ----------
        x : Tensor of shape (b, ...)
            Float batch, not standardized.

        Returns
        -------
        Tensor of shape (b, width)
            What the head sees.
        """
        embedding: Tensor = self.body(self.standardize(x))
        return embedding

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits.

        Parameters
        ----------
        x : Tensor of shape (b, ...)
            Float batch, not standardized.

        Returns
        -------
        Tensor of shape (b, n_outputs)
            Logits.
        """
        logits: Tensor = self.head(self.embed(x))
        return logits
