"""The top of a network, trained on what the layers below it gave once, and kept for the next."""

import copy
import hashlib
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fewlabel.nets.batches import _to_network
from fewlabel.nets.network import Network, NetworkSpec, _autocast
from fewlabel.nets.photos import MAX_BYTES, _rows_at_once

_STEM = ("conv_stem", "bn1")


def _split_network(network: Network) -> tuple[nn.Module, Network] | None:
    """Return the layers below the last block, and a network of the others; None without blocks."""
    model: Any = getattr(network.body, "model", None)
    if not all(hasattr(model, name) for name in (*_STEM, "blocks", "conv_head")):
        return None
    trunk = nn.Sequential(network.standardize, model.conv_stem, model.bn1, *model.blocks[:-1])
    top, body = copy.copy(model), copy.copy(network.body)
    # The same layers in other hands: what is trained here is trained in the whole network.
    top._modules = model._modules | {name: nn.Identity() for name in _STEM}
    top.blocks = model.blocks[-1:]
    body._modules = {"model": top}
    device = next(network.parameters()).device
    with torch.inference_mode():
        probe = torch.zeros(1, *network.standardize.mean.shape[:1], *network.spec.input_shape[1:])
        shape = trunk.eval()(probe.to(device)).shape[1:]
    rest = Network(NetworkSpec(network.spec.name, tuple(shape), network.spec.n_outputs), body, 1)
    rest.head = network.head
    return trunk, rest


class TrunkMemory:
    """What the layers below the last block gave for photos, kept while networks train in turn.

    The layers are the same in all of them: each photo passes them once, however many networks are
    trained on it and look at it. It is handed over as ``FineTuning.memory``.

    Attributes
    ----------
    is_open : bool
        Whether more is kept, up to `fewlabel.nets.photos.MAX_BYTES`.

    Examples
    --------
    >>> memory = TrunkMemory()
    >>> memory.close()
    >>> memory.is_open
    False
    """

    def __init__(self) -> None:
        self._kept: dict[bytes, Tensor] = {}
        self.is_open = True

    def close(self) -> None:
        """Forget all, and keep nothing any more."""
        self._kept, self.is_open = {}, False

    def _run(self, trunk: nn.Module, network: Network, photos: Tensor) -> Tensor:
        """Return what the layers give for uint8 photos (n, H, W, C): (n, h, w, c)."""
        names = _names_of(trunk, photos)
        found = {name: self._kept[name] for name in names if name in self._kept}
        missing = [row for row, name in enumerate(names) if name not in found]
        device = next(network.parameters()).device
        at_once = _rows_at_once(network, device, 256)
        with torch.no_grad(), _autocast(device):
            for start in range(0, len(missing), at_once):
                rows = missing[start : start + at_once]
                given = trunk(_to_network(photos[rows], device)).permute(0, 2, 3, 1).cpu()
                for row, made in zip(rows, given, strict=True):
                    # A row of its own: a view would keep its whole batch.
                    found[names[row]] = made.clone(memory_format=torch.contiguous_format)
                    if self.is_open and len(self._kept) * made.nbytes < MAX_BYTES:
                        self._kept[names[row]] = found[names[row]]
        return torch.stack([found[name] for name in names]).float()


def _names_of(trunk: nn.Module, photos: Tensor) -> list[bytes]:
    """Name each photo with the layers that it passes, by their contents."""
    layers = hashlib.blake2b(digest_size=16)
    for tensor in trunk.state_dict().values():
        layers.update(tensor.cpu().contiguous().numpy().data)
    names = []
    for photo in photos:
        state = layers.copy()
        state.update(photo.contiguous().numpy().data)
        names.append(state.digest())
    return names


def _fits_in_memory(n: int, shape: Any) -> bool:
    """Return whether so many rows (C, h, w) of a layer can be trained on."""
    return 4 * n * int(np.prod(shape)) <= MAX_BYTES


def _take_over(network: Network, trained: Network) -> None:
    """Give a network the weights of its top as they were trained, in an average of their own."""
    with torch.no_grad():
        for mine, theirs in zip(network.parameters(), trained.parameters(), strict=True):
            mine.copy_(theirs)


def _mirror(inputs: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror about half of the rows (b, C, H, W): layers see a mirrored photo nearly so."""
    chosen = torch.rand(len(inputs), generator=generator) < 0.5
    return torch.where(chosen.to(inputs.device)[:, None, None, None], inputs.flip(3), inputs)
