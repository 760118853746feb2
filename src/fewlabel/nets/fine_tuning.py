"""A pretrained network fine-tuned on a few labelled photos: its head, its top, or all of it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, column_or_1d

from fewlabel.compute import as_generator, pick_device
from fewlabel.data import ImageSet
from fewlabel.data.targets import check_soft_targets, encode_labels, one_hot
from fewlabel.errors import UsageError
from fewlabel.nets.augment import Augmentation, decide_flip, make_augmentation
from fewlabel.nets.batches import TrainingSet, as_inputs
from fewlabel.nets.layerwise import DEPTHS, LayerwiseTrainer, open_layers
from fewlabel.nets.linear_probe import fit_linear_probe
from fewlabel.nets.loop import Augment, Progress, Validation, predict_logits
from fewlabel.nets.network import Network
from fewlabel.nets.photos import as_images, check_lengths, read_photos, rows_at_once
from fewlabel.nets.precision import place_network
from fewlabel.nets.predictor import TrainedNetwork
from fewlabel.nets.settings import TrainSettings
from fewlabel.nets.state import network_from_state
from fewlabel.nets.timm_network import pretrained_network
from fewlabel.params import as_size

_BLOCK = 256


class FineTuning(TrainedNetwork):
    """A pretrained network of timm, fine-tuned on labelled photos.

    First the best linear head on the frozen features is found, as a convex problem; then, from
    there, the layers are trained (Kumar et al. 2022), the lower ones more slowly (Howard & Ruder
    2018). Batch normalisation keeps the statistics that came with the weights: a few labelled
    photos are too few to measure new ones, and some published weights have theirs folded away.

    Parameters
    ----------
    backbone : str or None
        Name of a timm model. None reads it from the weights, or takes ``mobilenetv2_100``.
    weights : str, Path or None
        A ``.safetensors`` file with tensors under timm's names; None fetches the weights that
        timm names from the hub.
    pretrained : bool
        False starts from random weights where no file is given. All layers should then be
        trained (``depth="full"``); they share one rate, and normalisation measures its own
        statistics.
    depth : {"head", "partial", "full"}
        What is trained: a new head on frozen features; the upper third of the stages as well;
        or all layers.
    size : (int, int), int or None
        Height and width of the photos. None takes arrays as they are, and reads files at the
        size that the model was trained on.
    layer_decay : float
        Rate of a stage as a share of that of the stage above it.
    n_epochs : int
        Passes over the labelled photos.
    min_steps : int
        Steps to take at least: few photos are passed over more often.
    batch_size : int
        Most photos in a step.
    learning_rate : float
        Peak rate of the head.
    weight_decay : float
        Pull of the weights towards 0.
    label_smoothing : float
        Share of the uniform distribution in every target.
    augment : str, Augmentation, callable or None
        Random changes of the photos: a key of `fewlabel.nets.augment.PRESETS`, or any
        ``augment(inputs, generator)``. None trains on them as they are.
    flip : bool or "auto"
        Whether ``augment`` mirrors photos; ``"auto"`` mirrors those in colour.
    warm_start : bool
        Go on from the weights of the last ``fit``, for the same classes.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to train and predict.
    checkpoint : str or Path, optional
        File that training writes its state to, and goes on from after an interruption.
    progress : callable, optional
        Called as ``progress("train", steps_done, n_steps)``.
    random_state : int, RandomState or None
        Seed of order, augmentation and random weights.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Classes.
    network_ : Network
        The trained network.
    history_ : list of dict
        Loss, learning rate, seconds and perhaps validation accuracy of each epoch; empty where
        only the convex problem was solved.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> digits = load_digits()
    >>> model = FineTuning("mobilenetv3_small_050", pretrained=False, size=32, n_epochs=1)
    >>> model.set_params(min_steps=1).fit(digits.images[:40], digits.target[:40]).classes_
    array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """

    def __init__(
        self,
        backbone: str | None = None,
        *,
        weights: str | Path | None = None,
        pretrained: bool = True,
        depth: str = "full",
        size: tuple[int, int] | int | None = None,
        layer_decay: float = 0.75,
        n_epochs: int = 20,
        min_steps: int = 100,
        batch_size: int = 32,
        learning_rate: float = 1e-3,
        weight_decay: float = 5e-2,
        label_smoothing: float = 0.1,
        augment: str | Augmentation | Augment | None = "mild",
        flip: bool | str = "auto",
        warm_start: bool = False,
        device: str = "auto",
        checkpoint: str | Path | None = None,
        progress: Progress | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.backbone = backbone
        self.weights = weights
        self.pretrained = pretrained
        self.depth = depth
        self.size = size
        self.layer_decay = layer_decay
        self.n_epochs = n_epochs
        self.min_steps = min_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.label_smoothing = label_smoothing
        self.augment = augment
        self.flip = flip
        self.warm_start = warm_start
        self.device = device
        self.checkpoint = checkpoint
        self.progress = progress
        self.random_state = random_state

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        validation: tuple[Any, Any] | None = None,
    ) -> FineTuning:
        """Train on the labelled photos.

        Parameters
        ----------
        X : ImageSet, or array-like of shape (n, H, W) or (n, H, W, C)
            Photos; of an image set only the labelled ones are read.
        y : array-like of shape (n,)
            Labels; photos with -1 are left out.
        sample_weight : array-like of shape (n,), optional
            Weight of each photo.
        validation : tuple of (X, y), optional
            Labelled photos that are not trained on: the weights of the epoch that does best on
            them are kept.

        Returns
        -------
        FineTuning
            Itself.

        Raises
        ------
        UsageError
            If a parameter is out of range, or the pixels do not fit in memory.
        DataError
            If the weights are damaged or belong to another model.
        DownloadError
            If the hub cannot be reached.
        TrainingError
            If the loss is no longer a number, or memory does not suffice for two photos.
        """
        images, labels = as_images(X), column_or_1d(y, warn=True)
        check_lengths(images, labels, "label")
        classes, codes = encode_labels(labels, "FineTuning")
        rows = np.flatnonzero(codes >= 0)
        weight = (
            None if sample_weight is None else _check_sample_weight(sample_weight, labels)[rows]
        )
        targets = one_hot(codes[rows], len(classes))
        return self._train(images.subset(rows), targets, weight, classes, validation)

    def fit_soft(
        self, X: Any, targets: Any, sample_weight: Any = None, classes: Any = None
    ) -> FineTuning:
        """Train on class probabilities, such as those of another model.

        Parameters
        ----------
        X : ImageSet, or array-like of shape (n, H, W) or (n, H, W, C)
            Photos.
        targets : array-like of shape (n, K)
            Class probabilities.
        sample_weight : array-like of shape (n,), optional
            Weight of each photo.
        classes : array-like of shape (K,), optional
            Class of each column; by default their numbers.

        Returns
        -------
        FineTuning
            Itself.

        Raises
        ------
        UsageError
            As in `fit`, or if the targets are not probabilities.
        """
        images = as_images(X)
        soft, names = check_soft_targets(targets, classes, "FineTuning")
        check_lengths(images, soft, "row of targets")
        return self._train(images, soft, _weights(sample_weight, soft), names, None)

    @classmethod
    def from_state(
        cls, arrays: dict[str, np.ndarray], meta: dict[str, Any], *, device: str = "auto"
    ) -> FineTuning:
        """Rebuild a classifier that predicts as the saved one did, without the hub.

        Parameters
        ----------
        arrays : dict of str to ndarray
            From `to_state`.
        meta : dict
            From `to_state`.
        device : {"auto", "cpu", "cuda", "mps"}
            Where to predict.

        Returns
        -------
        FineTuning
            A classifier for ``predict`` and ``predict_proba``.

        Raises
        ------
        ModelFormatError
            If weights and description do not fit together.
        """
        network, classes = network_from_state(arrays, meta, pick_device(device))
        model = cls(network.spec.name.removeprefix("timm/"), device=device)
        model.network_, model.classes_ = network, classes
        return model

    def _train(
        self,
        images: ImageSet,
        targets: np.ndarray,
        weights: np.ndarray | None,
        classes: np.ndarray,
        validation: tuple[Any, Any] | None,
    ) -> FineTuning:
        settings = self._settings(int(as_generator(self.random_state).integers(2**31)))
        device = pick_device(self.device)
        goes_on = self.warm_start and hasattr(self, "network_")
        network = (
            self._former(classes) if goes_on else self._build(images, len(classes), settings.seed)
        )
        network = place_network(network, device)
        data = TrainingSet.of(read_photos(images, network), targets, weights)
        is_trained = self.pretrained or self.weights is not None
        self.classes_, self.history_ = classes, []
        if is_trained and not goes_on:
            _solve_head(network, data, device)
        if self.depth == "head" and self.augment is None and is_trained:
            self.network_ = network.eval()
            return self
        open_layers(network, self.depth)
        trainer = LayerwiseTrainer(
            network,
            settings,
            device=device,
            augment=self._augmentation(network.spec.input_shape[0]),
            progress=self.progress,
            checkpoint=self.checkpoint,
            layer_decay=self.layer_decay if is_trained else 1.0,
        )
        if is_trained:
            # Without statistics of the batch, parts that fit the cache give the same gradient.
            at_once = rows_at_once(network, device, self.batch_size)
            trainer.n_parts = -(-min(self.batch_size, len(data)) // at_once)
        self.network_ = trainer.fit(data, self._held_out(network, validation))
        self.history_ = trainer.history
        return self

    def _former(self, classes: np.ndarray) -> Network:
        if self.network_.spec.n_outputs != len(classes):
            raise UsageError(
                f"FineTuning goes on from a network for {self.network_.spec.n_outputs} classes, "
                f"but got {len(classes)}: set warm_start=False to begin anew."
            )
        return copy.deepcopy(self.network_).requires_grad_(True)

    def _settings(self, seed: int) -> TrainSettings:
        settings = TrainSettings(
            n_epochs=self.n_epochs,
            min_steps=self.min_steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            label_smoothing=self.label_smoothing,
            seed=seed,
        )
        settings.check("FineTuning")
        if self.depth not in DEPTHS:
            raise UsageError(
                f"The 'depth' parameter of FineTuning must be one of {', '.join(DEPTHS)}. "
                f"Got {self.depth!r} instead."
            )
        if not 0 < self.layer_decay <= 1:
            raise UsageError(
                "The 'layer_decay' parameter of FineTuning must be a float in (0, 1]. "
                f"Got {self.layer_decay!r} instead."
            )
        return settings

    def _build(self, images: ImageSet, n_classes: int, seed: int) -> Network:
        """Build the network for the size of the photos, with its pretrained weights."""
        size = None if self.size is None else as_size(self.size, owner="FineTuning")
        if size is None and images.path(0) is None:
            assert images.native_shape is not None
            size = images.native_shape[:2]
        return pretrained_network(
            self.backbone,
            n_classes,
            weights=self.weights,
            pretrained=self.pretrained,
            size=size,
            channels=1 if images.is_grey else 3,
            seed=seed,
        )

    def _augmentation(self, channels: int) -> Augment | None:
        if self.augment is None or (
            callable(self.augment) and not isinstance(self.augment, Augmentation)
        ):
            return self.augment
        return make_augmentation(self.augment, flip=decide_flip(self.flip, channels))

    def _held_out(self, network: Network, validation: tuple[Any, Any] | None) -> Validation | None:
        if validation is None:
            return None
        images = as_images(validation[0])
        position = {label: code for code, label in enumerate(self.classes_.tolist())}
        # A class that training never saw counts as wrong.
        known = [position.get(label, -1) for label in np.asarray(validation[1]).tolist()]
        check_lengths(images, np.array(known), "label")
        return as_inputs(read_photos(images, network)), np.array(known)

    def _run(self, X: Any, *, embed: bool) -> np.ndarray:
        check_is_fitted(self, "network_")
        images, network = as_images(X), self.network_
        device = next(network.parameters()).device
        channels, *size = network.spec.input_shape
        blocks = images.blocks(_BLOCK, size=(size[0], size[1]), channels=channels)
        at_once = rows_at_once(network, device, _BLOCK)
        return np.concatenate(
            [
                predict_logits(network, as_inputs(block), device, batch_size=at_once, embed=embed)
                for _, block in blocks
            ]
        )


def _weights(sample_weight: Any, rows: np.ndarray) -> np.ndarray | None:
    return None if sample_weight is None else _check_sample_weight(sample_weight, rows)


def _solve_head(network: Network, data: TrainingSet, device: torch.device) -> None:
    """Give the network the best head on its features as they are."""
    rows = predict_logits(
        network.eval(),
        data.inputs,
        device,
        batch_size=rows_at_once(network, device, _BLOCK),
        embed=True,
    )
    weights = None if data.weights is None else data.weights.numpy()
    coef, intercept = fit_linear_probe(rows, data.targets.numpy(), weights)
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(coef))
        network.head.bias.copy_(torch.from_numpy(intercept))
