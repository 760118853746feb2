"""Features of a pretrained network: any timm model, from the hub or from a file."""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch

from fewlabel.compute import _in_threads, _pick_device, matmul_dtype
from fewlabel.data import ImageSet
from fewlabel.errors import DataError
from fewlabel.features.base import _IMAGE_FIELDS, FeatureExtractor, Progress, _fill, _part
from fewlabel.features.networks import _load_network, _Network
from fewlabel.nets.memory import _is_out_of_memory, _warn_halved
from fewlabel.nets.pretrained import DEFAULT_MODEL, Recipe, _name_from_weights, _tensors_digest
from fewlabel.nets.timm_models import _check_timm_weights
from fewlabel.params import _as_size, check_parameters, integer, number
from fewlabel.persist.schema import (
    _FLAG,
    _OPTIONS,
    _WORD,
    State,
    _check_finite,
    _check_layers,
    _listed,
)

# On a CPU the maps of a layer must stay in the cache: eight images of 160 × 160 run twice as
# fast as 64 at once.
_CPU_PIXELS = 200_000
# So many images tell the speed, where there are many.
_MEASURED, _MEASURED_FROM = 32, 500
# The parameters that a saved model keeps as they are.
_SAVED = ("model", "mean", "std", "model_kwargs", "normalize")


@dataclass(eq=False, repr=False)
class Backbone(FeatureExtractor):
    """Features of a pretrained timm network, before its classifier.

    Images are read as RGB at one size, scaled from 0 to 1, and normalized as the network was
    trained: by what is given here, else by the recipe of the weight file (see
    `fewlabel.nets.pretrained._read_recipe`), else by what timm says.

    Parameters
    ----------
    model : str or None
        Name of a timm model, with or without the tag of its weights. None reads it from the
        weights, or takes ``mobilenetv2_100``.
    weights : str, Path or None
        A ``.safetensors`` file with tensors under timm's names; None takes the weights that timm
        names from an installed package, else from timm's cache, else from the hub.
    pretrained : bool
        False draws random weights where no file is given.
    size : (int, int), int or None
        Height and width to read images at; None takes the size that the network was trained
        on.
    mean, std : sequence of float or None
        Mean of each color and what it is divided by, on a scale from 0 to 1.
    model_kwargs : mapping or None
        More arguments of ``timm.create_model``.
    normalize : bool
        Scale each row of ``d`` features to the length ``sqrt(d)``, so that the strengths of
        regularization that suit standardized features suit these.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to compute.
    batch_size : int
        Images to decode at a time, and to compute at a time but on a CPU.
    random_state : int
        Seed of random weights.

    Attributes
    ----------
    network_ : _Network
        The network and what it wants to see.
    """

    model: str | None = None
    weights: str | Path | None = None
    _: KW_ONLY
    pretrained: bool = True
    size: tuple[int, int] | int | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    model_kwargs: Mapping[str, Any] | None = None
    normalize: bool = True
    device: str = "auto"
    batch_size: int = 64
    random_state: int = 0

    name = "backbone"
    _fields = {
        "model": [_WORD],
        "model_kwargs": [_OPTIONS],
        "size": _IMAGE_FIELDS["size"],
        "mean": [_listed(number(-1e3, 1e3), 3, 3)],
        "std": [_listed(number(1e-6, 1e3), 3, 3)],
        "normalize": [_FLAG],
    }
    _parameter_constraints: ClassVar[dict] = {"batch_size": [integer(1)]}

    @property
    def width(self) -> int:
        """Length of a row."""
        return self.network_.n_features

    @property
    def is_frozen(self) -> bool:
        """Whether the weights alone decide the features, and fitting looks at no image."""
        return True

    def _images_per_second(self, seconds: float = 1.0) -> float:
        """Measure how many images the network computes a second here, once they are decoded."""
        self._load()
        shape = (self._at_once, *self.network_.size, 3)
        pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        self._forward(pixels)
        n_images, start = 0, time.perf_counter()
        while (spent := time.perf_counter() - start) < seconds:
            self._forward(pixels)
            n_images += len(pixels)
        return n_images / spent

    def _seconds_for(self, images: ImageSet) -> float:
        """Measure on a few images how long all take here; 0 where there are too few."""
        if len(images) < _MEASURED_FROM:
            return 0.0
        few = images.subset(np.linspace(0, len(images) - 1, _MEASURED + 8).astype(int))
        # The first images make the network ready.
        self.fit(few).transform(few.subset(range(8)))
        start = time.perf_counter()
        self.transform(few.subset(range(8, len(few))))
        return (time.perf_counter() - start) * len(images) / _MEASURED

    def _identity(self) -> dict[str, Any]:
        """Return what features depend on, however the network and its weights were named."""
        if not hasattr(self, "network_"):
            self._load()
        network, recipe = self.network_, self.network_.recipe
        return {
            "model": recipe.model.partition(".")[0],
            "weights": _tensors_digest(network.tensors),
            "pretrained": None,
            "size": network.size,
            "mean": recipe.mean,
            "std": recipe.std,
            "model_kwargs": dict(recipe.model_kwargs),
            # Weights that it drew are told by their digest.
            "random_state": None,
        }

    def _fit(self, images: ImageSet, progress: Progress | None) -> None:
        self._load()

    def _state(self) -> State:
        recipe = self.network_.recipe
        # The weights are kept too: nothing is fetched again.
        arrays = {f"weights.{k}": _compact(v) for k, v in self.network_.tensors.items()}
        return arrays, {
            "model": recipe.model,
            "model_kwargs": dict(recipe.model_kwargs),
            "weights": None if self.weights is None else Path(self.weights).name,
            "size": list(self.network_.size),
            "mean": [float(value) for value in recipe.mean or ()],
            "std": [float(value) for value in recipe.std or ()],
            "normalize": bool(self.normalize),
        }

    @classmethod
    def _from_state(cls, arrays: dict[str, np.ndarray], meta: dict[str, Any], device: str) -> Self:
        settings = {name: meta[name] for name in _SAVED}
        extractor = cls(**settings, size=tuple(meta["size"]), device=device)
        weights = _part(arrays, "weights.")
        _check_finite(weights, "features.weights")
        _check_layers(meta["model_kwargs"], len(weights), "features.model_kwargs")
        tensors = {n: torch.from_numpy(np.array(array)).float() for n, array in weights.items()}
        _check_timm_weights(Recipe(meta["model"], model_kwargs=meta["model_kwargs"]), tensors)
        extractor._load(tensors)
        return extractor

    def _load(self, tensors: Mapping[str, torch.Tensor] | None = None) -> None:
        check_parameters(self)
        self._device = _pick_device(self.device)
        model = self.model
        if model is None:
            model = DEFAULT_MODEL if self.weights is None else _name_from_weights(self.weights)
        self.network_: _Network = _load_network(
            Recipe(model, self.mean, self.std, dict(self.model_kwargs or {})),
            weights=self.weights if tensors is None else tensors,
            pretrained=self.pretrained,
            size=None if self.size is None else _as_size(self.size, owner="Backbone"),
            seed=self.random_state,
        )
        module: Any = self.network_.module
        module.to(self._device, memory_format=torch.channels_last)
        height, width = self.network_.size
        on_cpu = self._device.type == "cpu"
        self._at_once = max(1, _CPU_PIXELS // (height * width)) if on_cpu else self.batch_size

    def _transform(self, images: ImageSet, progress: Progress | None) -> np.ndarray:
        names = images.names

        def describe(where: slice, pixels: np.ndarray) -> np.ndarray:
            rows = self._forward(pixels)
            # Where the weights, or how images are scaled for them, are wrong, it shows here.
            if not np.isfinite(rows).all():
                raise DataError(
                    f"The backbone {self.network_.recipe.model!r} gave NaN or infinity for one "
                    f"of the images {names[where.start]} to {names[where.stop - 1]}: check its "
                    "weights, mean and std."
                )
            if self.normalize:
                lengths = np.linalg.norm(rows, axis=1, keepdims=True)
                rows *= np.sqrt(rows.shape[1]) / np.where(lengths > 0, lengths, 1)
            return rows

        blocks = _prefetched(images.blocks(self.batch_size, size=self.network_.size, channels=3))
        return _fill(len(images), self.width, blocks, describe, "backbone", progress)

    def _forward(self, pixels: np.ndarray) -> np.ndarray:
        """Features of a block of uint8 pixels, (b, d) float32, not normalized."""
        while True:
            try:
                return self._forward_parts(pixels)
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error) or self._at_once == 1:
                    raise
            self._at_once = -(-min(self._at_once, len(pixels)) // 2)
            _warn_halved(self._at_once, self._device)

    def _forward_parts(self, pixels: np.ndarray) -> np.ndarray:
        rows = np.empty((len(pixels), self.network_.n_features), dtype=np.float32)

        def fill(part: slice) -> None:
            for start in range(part.start, min(part.stop, len(pixels)), self._at_once):
                block = slice(start, min(start + self._at_once, part.stop))
                rows[block] = self._describe(pixels[block])

        if self._device.type == "cpu":
            _in_threads(fill, len(pixels), self._at_once)
        else:
            fill(slice(0, len(pixels)))
        return rows

    @torch.inference_mode()
    def _describe(self, pixels: np.ndarray) -> np.ndarray:
        recipe, device = self.network_.recipe, self._device
        mean = torch.tensor(recipe.mean, device=device).view(1, 3, 1, 1) * 255
        scale = 1 / (torch.tensor(recipe.std, device=device).view(1, 3, 1, 1) * 255)
        # (b, H, W, 3) seen as (b, 3, H, W) is channels_last already.
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        batch = (images.to(device).float() - mean) * scale
        reduced = matmul_dtype(device.type) is torch.bfloat16
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=reduced):
            features = self.network_.module(batch).float()
        return features.cpu().numpy()


def _prefetched(blocks: Iterator[tuple[slice, np.ndarray]]) -> Iterator[tuple[slice, np.ndarray]]:
    """Decode the next block while the last one is worked on."""
    with ThreadPoolExecutor(1, thread_name_prefix="fewlabel-prefetch") as pool:
        pending = pool.submit(next, blocks, None)
        while (block := pending.result()) is not None:
            pending = pool.submit(next, blocks, None)
            yield block


def _compact(tensor: torch.Tensor) -> np.ndarray:
    # Weights that were published in half precision take half the disk.
    half = tensor.half()
    return (half if torch.equal(half.to(tensor.dtype), tensor) else tensor).cpu().numpy()
