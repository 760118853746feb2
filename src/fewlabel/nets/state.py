"""Trained networks as arrays and JSON, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fewlabel.errors import MissingExtraError, ModelFormatError
from fewlabel.nets.architectures import build_network
from fewlabel.nets.network import Network, NetworkSpec, _place_network
from fewlabel.params import MAX_SIDE, integer
from fewlabel.persist.schema import (
    _MAX_COUNT,
    _OPTIONS,
    _PLAIN,
    _WORD,
    _check_fields,
    _check_finite,
    _check_layers,
    _Fields,
    _listed,
)

_FIELDS: _Fields = {
    "network": [
        {
            "name": [_WORD],
            "input_shape": [_listed(integer(1, _MAX_COUNT), most=3)],
            "n_outputs": [integer(1, _MAX_COUNT)],
            "options": [_OPTIONS],
        }
    ],
    "classes": [_listed(_PLAIN)],
    "task?": [_WORD],
}

_IMAGES: _Fields = {"input_shape": [_listed(integer(1, MAX_SIDE))]}


def _network_to_state(
    network: Network, classes: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the weights of a network as arrays; its description and the classes, for JSON."""
    arrays = {name: tensor.cpu().numpy() for name, tensor in network.state_dict().items()}
    return arrays, {"network": network.spec.to_dict(), "classes": classes.tolist()}


def _network_from_state(
    arrays: dict[str, np.ndarray], meta: dict[str, Any], device: torch.device
) -> tuple[Network, np.ndarray]:
    """Rebuild a network, in evaluation mode, and its classes; raise if they do not fit together."""
    _check_fields(meta, _FIELDS, "network")
    spec = NetworkSpec._from_dict(meta["network"])
    # Networks of rows may be wide, those of images hold every side in memory many times.
    if len(spec.input_shape) > 1:
        _check_fields(meta["network"], _IMAGES, "network")
    _check_layers(spec.options, len(arrays), "network.options")
    _check_finite(arrays, "network")
    classes = np.asarray(meta["classes"])
    try:
        # Loading the weights would not notice.
        if len(classes) != spec.n_outputs:
            raise ValueError(f"{len(classes)} classes for {spec.n_outputs} outputs")
        network = _filled(spec, arrays)
    except (ModelFormatError, MissingExtraError):
        raise
    except Exception as error:
        # Of a forged description, the makers of networks raise nearly anything.
        reason = (str(error).splitlines() or [type(error).__name__])[0][:300]
        raise ModelFormatError(
            f"The saved network does not fit its description ({reason}): save it again."
        ) from error
    return _place_network(network.eval(), device), classes


def _filled(spec: NetworkSpec, arrays: dict[str, np.ndarray]) -> Network:
    tensors = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    # Built without memory first, so that a forged description cannot ask for much.
    with torch.device("meta"):
        network = build_network(spec)
    for name, tensor in network.state_dict().items():
        if name in tensors and tensors[name].dtype != tensor.dtype:
            raise ValueError(f"{name} is {tensors[name].dtype} instead of {tensor.dtype}")
    network.load_state_dict(tensors, assign=True)
    if any(buffer.is_meta for buffer in network.buffers()):
        # Some models of timm compute tables when they are built, and do not store them.
        network = build_network(spec)
        network.load_state_dict(tensors, assign=True)
    return network
