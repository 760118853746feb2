"""A pretrained network fine-tuned on a few labeled photos: its head, its top, or all of it."""

from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from fewlabel.compute import _pick_device
from fewlabel.data import ImageSet
from fewlabel.data.logistic import _fit_logistic
from fewlabel.data.task import Task
from fewlabel.nets.augment import Augmentation
from fewlabel.nets.batches import TrainingSet, _as_inputs
from fewlabel.nets.cached_trunk import (
    TrunkMemory,
    _fits_in_memory,
    _mirror,
    _split_network,
    _take_over,
)
from fewlabel.nets.layerwise import DEPTHS, _layerwise_groups, _open_layers
from fewlabel.nets.loop import Augment, Progress, Trainer, predict_logits
from fewlabel.nets.network import Network, NetworkSpec, _place_network
from fewlabel.nets.photos import _as_images, _read_photos, _rows_at_once
from fewlabel.nets.settings import TrainSettings
from fewlabel.nets.supervised import SupervisedNetwork
from fewlabel.nets.timm_network import _COLORS, _PREFIX, _pretrained_network
from fewlabel.params import _as_size, choice, number

_BLOCK = 256
_TOLERANCE = 1e-5


@dataclass(eq=False, repr=False)
class FineTuning(SupervisedNetwork):
    """A pretrained network of timm, fine-tuned on labeled photos.

    First the best linear head on the frozen features is found, as a convex problem; then, from
    there, the layers are trained (Kumar et al. 2022), the lower ones more slowly (Howard & Ruder
    2018). Batch normalization keeps the statistics that came with the weights.

    Parameters
    ----------
    backbone : str or None
        Name of a timm model. None reads it from the weights, or takes ``mobilenetv2_100``.
    weights : str, Path or None
        A ``.safetensors`` file with tensors under timm's names; None fetches the weights that
        timm names from the hub.
    pretrained : bool
        False starts from random weights where no file is given. All layers should then be
        trained (``depth="full"``); they have one rate, and normalization measures its own
        statistics.
    depth : {"head", "top", "partial", "full"}
        What is trained: a new head on frozen features; the last block as well, on what the
        layers below it gave once, so that a step takes a tenth of the time; the upper third of
        the stages; or all layers. For ``"top"``, any ``augment`` mirrors and does no more.
    size : (int, int), int or None
        Height and width of the photos. None takes arrays as they are, and reads files at the
        size that the model was trained on.
    layer_decay : float
        Rate of a stage beside that of the stage above it.
    task, labels : object, optional
        As of `NetworkClassifier`.
    n_epochs, min_steps, batch_size : int
        As of `NetworkClassifier`.
    learning_rate : float
        Peak rate of the head.
    weight_decay, label_smoothing : float
        As of `NetworkClassifier`.
    augment : str, Augmentation, callable or None
        Random changes of the photos: a key of `fewlabel.nets.augment.PRESETS`, or any
        ``augment(inputs, generator)``. None trains on them as they are.
    flip : bool or "auto"
        Whether ``augment`` mirrors photos; ``"auto"`` mirrors those in color.
    warm_start : bool
        Go on from the weights of the last ``fit``, for the same classes.
    device, checkpoint, progress, random_state : object
        As of `NetworkClassifier`.

    Attributes
    ----------
    classes_, network_, task_, history_ : object
        As of `NetworkClassifier`; nothing is in ``history_`` of a head alone.
    memory : TrunkMemory or None
        What the layers below the top gave. One that is set before ``fit`` is shared by networks of
        ``depth="top"`` that are trained in turn on the same photos.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> digits = load_digits()
    >>> model = FineTuning("mobilenetv3_small_050", pretrained=False, size=32, n_epochs=1)
    >>> model.set_params(min_steps=1).fit(digits.images[:40], digits.target[:40]).classes_
    array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """

    backbone: str | None = None
    _: KW_ONLY
    weights: str | Path | None = None
    pretrained: bool = True
    depth: str = "full"
    size: tuple[int, int] | int | None = None
    layer_decay: float = 0.75
    task: Task | None = None
    labels: Any = None
    n_epochs: int = 20
    min_steps: int = 100
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 5e-2
    label_smoothing: float = 0.1
    augment: str | Augmentation | Augment | None = "mild"
    flip: bool | str = "auto"
    warm_start: bool = False
    device: str = "auto"
    checkpoint: str | Path | None = None
    progress: Progress | None = None
    random_state: int | np.random.RandomState | None = None

    memory: TrunkMemory | None = field(default=None, init=False)
    _parameter_constraints = {
        "depth": [choice(DEPTHS)],
        "layer_decay": [number(0, 1, closed="right")],
    }

    @classmethod
    def _of(cls, spec: NetworkSpec) -> dict[str, Any]:
        return {"backbone": spec.name.removeprefix(_PREFIX)}

    @property
    def _starts_trained(self) -> bool:
        return self.pretrained or self.weights is not None

    def _is_solved(self, network: Network, data: TrainingSet, *, fresh: bool) -> bool:
        _place_network(network, _pick_device(self.device))
        is_solved = self._starts_trained and self.depth == "head" and self.augment is None
        # From a random head the first gradients would spoil what the layers below have learned.
        if is_solved or (self._starts_trained and fresh):
            self._solve_head(network, data)
        if is_solved:
            network.eval()
        else:
            _open_layers(network, self.depth)
        return is_solved

    def _fit_network(
        self, network: Network, data: TrainingSet, settings: TrainSettings, validation: Any
    ) -> tuple[Network, list[dict[str, Any]]]:
        parts = _split_network(network) if self.depth == "top" else None
        if parts is not None and validation is None:
            trunk, top = parts
            if _fits_in_memory(len(data), top.spec.input_shape):
                memory = self.memory or TrunkMemory()
                cached = replace(data, inputs=memory._run(trunk, network, data.inputs))
                trained, history = super()._fit_network(top, cached, settings, None)
                _take_over(top, trained)
                return network.eval(), history
        return super()._fit_network(network, data, settings, validation)

    def _augmentation(self, shape: tuple[int, ...]) -> Augment | None:
        if shape[0] <= _COLORS:
            return super()._augmentation(shape)
        # Not photos any more, but what the lower layers see in them.
        return None if self.augment is None or not self.flip else _mirror

    def _trainer(
        self, network: Network, data: TrainingSet, settings: TrainSettings, **more: Any
    ) -> Trainer:
        # Random layers have learned nothing that a lower rate would keep.
        decay = self.layer_decay if self._starts_trained else 1.0
        groups = _layerwise_groups(network, settings, decay)
        trainer = super()._trainer(network, data, settings, groups=groups, **more)
        if self._starts_trained:
            # Without statistics of the batch, parts that fit the cache give the same gradient.
            at_once = _rows_at_once(network, trainer.device, self.batch_size)
            trainer.n_parts = -(-min(self.batch_size, len(data)) // at_once)
        return trainer

    def _solve_head(self, network: Network, data: TrainingSet) -> None:
        """Give the network the best head on its features as they are."""
        weights, known = (None if t is None else t.numpy() for t in (data.weights, data.known))
        rows = _logits(network.eval(), data.inputs, embed=True)
        coef, intercept = _fit_linear_probe(self.task_, rows, data.targets.numpy(), weights, known)
        with torch.no_grad():
            network.head.weight.copy_(torch.from_numpy(coef))
            network.head.bias.copy_(torch.from_numpy(intercept))

    def _inputs(self, X: Any, *, reset: bool) -> ImageSet:
        return _as_images(X)

    def _subset(self, inputs: ImageSet, rows: np.ndarray) -> ImageSet:
        return inputs.subset(rows)

    def _pixels(self, inputs: ImageSet, network: Network) -> np.ndarray:
        return _read_photos(inputs, network)

    def _shape(self, inputs: ImageSet) -> tuple[int, ...]:
        # Photos of any size are read at that of the network.
        return tuple(self.network_.spec.input_shape)

    def _build(self, inputs: ImageSet, seed: int) -> Network:
        """Build the network for the size of the photos, with its pretrained weights."""
        size = None if self.size is None else _as_size(self.size, owner="FineTuning")
        if size is None and inputs.path(0) is None:
            assert inputs.native_shape is not None
            size = inputs.native_shape[:2]
        return _pretrained_network(
            self.backbone,
            len(self.classes_),
            weights=self.weights,
            pretrained=self.pretrained,
            size=size,
            channels=1 if inputs.is_gray else 3,
            seed=seed,
        )

    def _run(self, X: Any, *, embed: bool) -> np.ndarray:
        check_is_fitted(self, "network_")
        channels, *size = self.network_.spec.input_shape
        blocks = _as_images(X).blocks(_BLOCK, size=(size[0], size[1]), channels=channels)
        memory = self.memory if self.memory is not None and self.memory.is_open else None
        parts = None if memory is None else _split_network(self.network_)
        found = []
        for _, block in blocks:
            photos, network = _as_inputs(block), self.network_
            if memory is not None and parts is not None:
                trunk, network = parts
                photos = memory._run(trunk, self.network_, photos)
            found.append(_logits(network, photos, embed=embed))
        return np.concatenate(found)


def _logits(network: Network, inputs: torch.Tensor, *, embed: bool) -> np.ndarray:
    """Return logits or embeddings where the network is, as many rows at once as suits it."""
    device = next(network.parameters()).device
    at_once = _rows_at_once(network, device, _BLOCK)
    return predict_logits(network, inputs, device, batch_size=at_once, embed=embed)


def _fit_linear_probe(
    task: Task,
    rows: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray | None,
    known: np.ndarray | None = None,
    *,
    penalty: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Fit logistic regression to soft targets: coef (K, d) and intercept (K,) of a head."""
    # Embeddings about 1 in size suit the default strength.
    X, Y = np.ascontiguousarray(rows), np.asarray(targets, dtype=np.float32)
    weight = np.ones(len(X), np.float32) if weights is None else np.asarray(weights, np.float32)
    total = max(float(weight.sum()), 1e-12)
    penalty = 1 / total if penalty is None else penalty
    share = (weight / total)[:, None]
    coef, intercept = _fit_logistic(task, X, Y, share, known, penalty=penalty, gtol=_TOLERANCE)
    return np.ascontiguousarray(coef, np.float32), intercept.astype(np.float32)
