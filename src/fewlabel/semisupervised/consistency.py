"""Consistency training: an image should keep its class however strongly it is changed."""

import math
from dataclasses import KW_ONLY, dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from fewlabel.compute import _as_generator, _pick_device
from fewlabel.data.targets import _one_hot
from fewlabel.data.task import SingleLabel
from fewlabel.errors import UsageError
from fewlabel.evaluate import register
from fewlabel.nets.augment import Augmentation, _decide_flip, make_augmentation
from fewlabel.nets.batches import TrainingSet
from fewlabel.nets.loop import Progress
from fewlabel.nets.settings import TrainSettings
from fewlabel.nets.trained_network import TrainedNetwork
from fewlabel.params import check_parameters, choice, integer, number
from fewlabel.semisupervised.acceptance import PseudoLabels
from fewlabel.semisupervised.consistency_rules import METHODS, _sharpen
from fewlabel.semisupervised.consistency_trainer import _ConsistencySettings, _ConsistencyTrainer
from fewlabel.semisupervised.history import _PseudoLabelCallback
from fewlabel.semisupervised.network_problem import NetworkProblem
from fewlabel.semisupervised.network_training import Trained, TrainingInputs
from fewlabel.semisupervised.networks import NetworkCandidate

_WHO = "ConsistencyTraining"
# Propagated labels are flatter than a network's own: this is as if they were squared.
_PROPAGATED_TEMPERATURE = 0.5


@dataclass(eq=False, repr=False)
class ConsistencyTraining(TrainedNetwork):
    """A network that learns from a few labeled and many unlabeled images at once.

    Each step, the averaged network labels unlabeled images that are changed weakly. The
    network learns to give the same labels to the same images changed strongly, as far as a rule
    counts them, and the known labels to labeled images.

    Parameters
    ----------
    architecture : {"resnet", "cnn", "wide-resnet", "mlp"} or str
        As for `fewlabel.NetworkClassifier`.
    options : dict, optional
        Settings of the architecture, such as ``{"widths": (32, 64)}``.
    method : {"softmatch", "freematch", "flexmatch", "fixmatch"}
        How much pseudo-labels count: weights that fall below the mean confidence (Chen
        et al. 2023); thresholds that follow the confidence (Wang et al. 2023); lower thresholds
        for classes that are learned slowly (Zhang et al. 2021); one threshold (Sohn et al. 2020).
    n_steps : int
        Steps to train, rounded up to whole epochs.
    steps_per_epoch : int
        Steps after which the history grows and a checkpoint may be written.
    batch_size : int
        Labeled images in a step.
    mu : int
        Unlabeled images in a step for each labeled one.
    lambda_u : float
        Weight of the unlabeled loss.
    threshold : float
        Least confidence, for FixMatch and FlexMatch.
    pseudo_labels : {"hard", "soft"}
        The most probable class alone, or all probabilities.
    temperature : float
        Soft pseudo-labels are sharpened by this; 1 leaves them as predicted.
    alignment : {"auto", "none", "uniform", "labels"}
        Correct pseudo-labels towards even classes, or towards their shares among the labels, so
        that no class swallows the others. ``"auto"`` is uniform for SoftMatch, where it changes
        the weights alone, and none for the others, as published.
    fairness : float
        Weight of the fairness objective of FreeMatch; 0 leaves it out.
    teacher : {"ema", "live"}
        Whether the averaged network gives the pseudo-labels, or the one that learns.
    weak, strong : str or Augmentation
        The two kinds of change, see `fewlabel.nets.augment`.
    flip : bool or "auto"
        Whether changes given by name mirror images; ``"auto"`` mirrors color images and leaves
        gray ones, which may be digits or letters.
    propagated_fraction : float
        Share of the steps in which the labels given as ``propagated`` fade out; more than 1
        keeps some of them to the end.
    learning_rate : float
        Peak rate.
    weight_decay : float
        Pull of the weights towards 0.
    label_smoothing : float
        Share of the uniform distribution in the known labels.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to train and predict.
    checkpoint : str or Path, optional
        File that training writes its state to, and goes on from after an interruption.
    progress : callable, optional
        Called as ``progress("consistency", steps_done, n_steps)``.
    random_state : int, RandomState or None
        Seed of weights, order and changes.

    Attributes
    ----------
    network_ : Network
        The averaged network.
    history_ : list of dict
        For each epoch ``loss, labeled_loss, unlabeled_loss``, ``accepted`` (mean weight of the
        pseudo-labels; the share accepted where weights are 0 or 1), ``threshold`` (mean of the
        classes; the mean of the Gaussian for SoftMatch), and what a callback gave.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> digits = load_digits()
    >>> images = (digits.images * 15).astype(np.uint8)
    >>> y = np.where(np.arange(len(images)) < 100, digits.target, -1)
    >>> model = ConsistencyTraining(
    ...     "cnn", options={"widths": (8, 16)}, n_steps=60, batch_size=32, mu=2, random_state=0
    ... ).fit(images, y)
    >>> model.predict_proba(images[:2]).shape
    (2, 10)
    """

    architecture: str = "resnet"
    _: KW_ONLY
    options: dict[str, Any] | None = None
    method: str = "softmatch"
    n_steps: int = 2_000
    steps_per_epoch: int = 100
    batch_size: int = 64
    mu: int = 4
    lambda_u: float = 1.0
    threshold: float = 0.95
    pseudo_labels: str = "hard"
    temperature: float = 0.5
    alignment: str = "auto"
    fairness: float = 0.0
    teacher: str = "ema"
    weak: str | Augmentation = "weak"
    strong: str | Augmentation = "strong"
    flip: bool | str = "auto"
    propagated_fraction: float = 0.5
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    label_smoothing: float = 0.0
    device: str = "auto"
    checkpoint: str | Path | None = None
    progress: Progress | None = None
    random_state: int | np.random.RandomState | None = None

    _parameter_constraints = {
        "method": [choice(METHODS)],
        "n_steps": [integer(1)],
        "steps_per_epoch": [integer(1)],
        "mu": [integer(1)],
        "lambda_u": [number(0)],
        "threshold": [number(0, 1, closed="both")],
        "pseudo_labels": [choice(["hard", "soft"])],
        "temperature": [number(0, 10, closed="right")],
        "alignment": [choice(["auto", "none", "uniform", "labels"])],
        "fairness": [number(0)],
        "teacher": [choice(["ema", "live"])],
        "propagated_fraction": [number(0)],
        "random_state": ["random_state"],
    }

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        propagated: Any = None,
        callback: _PseudoLabelCallback | None = None,
    ) -> Self:
        """Train on labeled and unlabeled images.

        Parameters
        ----------
        X : ndarray of shape (n, H, W) or (n, H, W, C), dtype uint8
            All images. If every one is labeled, they stand for the unlabeled ones, too.
        y : array-like of shape (n,)
            Labels; -1, None, NaN, pandas.NA or blank is unlabeled.
        propagated : array-like of shape (n, n_classes), optional
            Class probabilities to start from, such as ``label_distributions_`` of
            `fewlabel.GraphPropagation`; columns in the order of the sorted classes. They are
            sharpened and weighted by their confidence, and make room for pseudo-labels in the
            first ``propagated_fraction`` of the steps. A row of zeros counts for nothing.
        callback : _PseudoLabelCallback, optional
            Watches the pseudo-labels, such as `fewlabel.semisupervised.AcceptedPrecision`, which
            compares them with the truth. It sees copies and changes nothing.

        Returns
        -------
        ConsistencyTraining
            Itself.

        Raises
        ------
        UsageError
            If a parameter is out of range, or the images are not uint8.
        TrainingError
            If the loss is no longer a number.
        """
        settings, consistency = self._all_settings()
        _check_images(X, "ConsistencyTraining")
        self.task_ = SingleLabel()
        self.classes_, codes = self.task_.encode(y, len(X), "ConsistencyTraining")
        unlabeled = np.flatnonzero(codes < 0)
        if not len(unlabeled):
            unlabeled = np.arange(len(X))
        n_classes = len(self.classes_)
        targets = _propagated_targets(propagated, len(X), n_classes)[unlabeled]
        labeled = np.flatnonzero(codes >= 0)
        trainer = _ConsistencyTrainer(
            self._build(X, settings.seed),
            settings,
            device=_pick_device(self.device),
            unlabeled=TrainingSet.of(X[unlabeled], targets),
            weak=self._change(X, self.weak),
            strong=self._change(X, self.strong),
            consistency=consistency,
            class_shares=self._class_shares(codes[labeled]),
            steps_per_epoch=math.ceil(self.n_steps / settings.n_epochs),
            observer=None if callback is None else _Watch(callback, unlabeled, self.classes_),
            progress=self.progress,
            checkpoint=self.checkpoint,
        )
        data = TrainingSet.of(X[labeled], _one_hot(codes[labeled], n_classes))
        self.network_ = trainer.fit(data)
        self.history_ = trainer.history
        return self

    def _all_settings(self) -> tuple[TrainSettings, _ConsistencySettings]:
        check_parameters(self)
        if self.fairness and self.method != "freematch":
            raise UsageError(
                f"The 'fairness' parameter of {_WHO} belongs to method='freematch'. Got method="
                f"{self.method!r}: choose that method, or leave fairness at 0."
            )
        own = {field.name: getattr(self, field.name) for field in fields(_ConsistencySettings)}
        if self.pseudo_labels == "hard":
            own["temperature"] = 0.0
        if self.alignment == "auto":
            own["alignment"] = "uniform" if self.method == "softmatch" else "none"
        settings = TrainSettings(
            n_epochs=max(1, round(self.n_steps / self.steps_per_epoch)),
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            label_smoothing=self.label_smoothing,
            seed=int(_as_generator(self.random_state).integers(2**31)),
        )
        settings._check("ConsistencyTraining")
        return settings, _ConsistencySettings(**own)

    def _change(self, X: np.ndarray, policy: str | Augmentation) -> Augmentation:
        # An augmentation of one's own decides itself whether it mirrors.
        mirrors = _decide_flip(self.flip, X.shape[3] if X.ndim == 4 else 1)
        return make_augmentation(policy, flip=mirrors if isinstance(policy, str) else None)

    def _class_shares(self, codes: np.ndarray) -> torch.Tensor:
        # Even classes, unless the labels are known to show the shares of all images.
        counts = np.ones(len(self.classes_))
        if self.alignment == "labels":
            counts = np.bincount(codes, minlength=len(counts)).astype(float)
        return torch.from_numpy((counts / counts.sum()).astype(np.float32))


@register
class Consistent(NetworkCandidate):
    """One network that must name an image alike however it is changed."""

    name = "consistency"
    summary = "One network that must predict the same for changed images (SoftMatch)"
    tasks = (SingleLabel(),)

    def suits(self, problem: NetworkProblem) -> bool:
        """Return whether networks are trained from scratch."""
        return not problem.has_backbone

    def train(self, inputs: TrainingInputs, pseudo: PseudoLabels) -> Trained:
        """Train by SoftMatch, starting from propagated labels."""
        settings = inputs.settings
        network = ConsistencyTraining(
            settings.architecture,
            n_steps=settings.n_steps,
            steps_per_epoch=min(100, settings.n_steps),
            # Each labeled image in a step comes with four that are not.
            batch_size=max(2, settings.batch_size // 5),
            flip=settings.flip,
            device=settings.device,
            checkpoint=inputs.problem.store.file(inputs.name),
            progress=inputs.progress,
            random_state=inputs.seed,
        )
        return inputs.trained(
            network, lambda: network.fit(inputs.pixels, inputs.y, propagated=inputs.proba)
        )


class _Watch:
    """Names rows and classes as the caller of ``fit`` knows them."""

    def __init__(
        self, callback: _PseudoLabelCallback, rows: np.ndarray, classes: np.ndarray
    ) -> None:
        self.callback, self.rows, self.classes = callback, rows, classes

    def on_pseudo_labels(self, rows: np.ndarray, codes: np.ndarray, weights: np.ndarray) -> None:
        # Copies: a callback may know the truth, and must not be able to train on it.
        self.callback.on_pseudo_labels(self.rows[rows], self.classes[codes], weights.copy())

    def on_epoch_end(self) -> dict[str, float]:
        return dict(self.callback.on_epoch_end())


def _check_images(X: Any, who: str) -> None:
    """Refuse what is not an array of uint8 images."""
    if not isinstance(X, np.ndarray) or X.dtype != np.uint8 or X.ndim not in (3, 4):
        got = f"{X.dtype} of shape {X.shape}" if hasattr(X, "dtype") else type(X).__name__
        raise UsageError(
            f"{who} changes images at random and needs an array of uint8 images, (n, H, W) or "
            f"(n, H, W, C). Got {got} instead: for rows of features use SelfTraining."
        )


def _propagated_targets(propagated: Any, n: int, n_classes: int) -> np.ndarray:
    """Turn propagated labels into targets: sharpened, and times their confidence."""
    if propagated is None:
        return np.zeros((n, n_classes), dtype=np.float32)
    rows = np.asarray(propagated, dtype=np.float32)
    if rows.shape != (n, n_classes):
        raise UsageError(
            f"'propagated' must have a row an image and a column a class, ({n}, {n_classes}). "
            f"Got {rows.shape} instead."
        )
    # Comparisons with NaN are false.
    if not ((rows >= 0) & (rows <= 1 + 1e-3)).all():
        raise UsageError("'propagated' must hold probabilities, from 0 to 1: one of them is not.")
    known = rows.max(axis=1) > 0
    sharp = _sharpen(torch.from_numpy(rows[known]), _PROPAGATED_TEMPERATURE).numpy()
    targets = np.zeros_like(rows)
    targets[known] = sharp * sharp.max(axis=1, keepdims=True)
    return targets
