"""A network taught by the graph: propagated labels in, better features for the graph out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fewlabel.nets import FineTuning, NetworkClassifier
from fewlabel.nets.loop import Progress

Student = NetworkClassifier | FineTuning


@dataclass(frozen=True)
class StudentSettings:
    """How a student network is trained.

    Attributes
    ----------
    architecture : str
        Network for images; see `fewlabel.NetworkClassifier`.
    n_steps : int
        Steps of one training, as far as ``max_epochs`` allows.
    max_epochs : int
        Passes over the images, at most: few images do not bear many steps.
    batch_size : int
        Images in a step.
    learning_rate : float
        Peak rate.
    augment : str
        Augmentation. Short trainings want a mild one.
    flip : bool or "auto"
        Whether a mirrored image keeps its class.
    sharpen : float
        Power that the propagated probabilities are raised to.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to train.
    backbone : str or None
        Name of a timm model: its pretrained weights are fine-tuned in place of a small network
        that is trained from scratch.
    weights : str or None
        A ``.safetensors`` file with its weights.
    """

    architecture: str = "resnet"
    n_steps: int = 1_200
    max_epochs: int = 60
    batch_size: int = 320
    learning_rate: float = 3e-3
    augment: str = "mild"
    flip: bool | str = "auto"
    sharpen: float = 2.0
    device: str = "auto"
    backbone: str | None = None
    weights: str | None = None


def student_targets(
    proba: np.ndarray, codes: np.ndarray, sharpen: float
) -> tuple[np.ndarray, np.ndarray]:
    """Turn propagated probabilities into what a network is trained on.

    Parameters
    ----------
    proba : ndarray of shape (n, K)
        Propagated class probabilities of all images.
    codes : ndarray of shape (n,)
        Given classes, -1 where unlabelled.
    sharpen : float
        Power that the probabilities are raised to.

    Returns
    -------
    targets : ndarray of shape (n, K)
        Sharpened probabilities; given labels as they are.
    weights : ndarray of shape (n,)
        The confidence of each target: doubtful images say less.

    Examples
    --------
    >>> proba = np.array([[0.8, 0.2], [0.5, 0.5]])
    >>> targets, weights = student_targets(proba, np.array([-1, 1]), 2.0)
    >>> targets.round(2).tolist(), weights.round(2).tolist()
    ([[0.94, 0.06], [0.0, 1.0]], [0.94, 1.0])
    """
    targets = proba**sharpen
    targets /= np.maximum(targets.sum(axis=1, keepdims=True), 1e-12)
    labeled = np.flatnonzero(codes >= 0)
    targets[labeled] = 0
    targets[labeled, codes[labeled]] = 1
    return targets, targets.max(axis=1)


def new_student(
    n_rows: int,
    settings: StudentSettings,
    *,
    seed: int,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> Student:
    """Make a network that is not trained yet.

    Parameters
    ----------
    n_rows : int
        Images that it will be trained on: they decide how many passes the steps make.
    settings : StudentSettings
        How to train.
    seed : int
        Seed of the training.
    checkpoint : Path, optional
        File that training goes on from after an interruption.
    progress : callable, optional
        Called as ``progress("train", steps_done, n_steps)``.

    Returns
    -------
    NetworkClassifier or FineTuning
        The network.

    Examples
    --------
    >>> new_student(60_000, StudentSettings(), seed=0).n_epochs
    6
    """
    n_epochs = max(1, round(settings.n_steps * settings.batch_size / n_rows))
    common: dict[str, Any] = {
        "n_epochs": min(n_epochs, settings.max_epochs),
        "min_steps": 0,
        "batch_size": settings.batch_size,
        "learning_rate": settings.learning_rate,
        "augment": settings.augment,
        "flip": settings.flip,
        "device": settings.device,
        "checkpoint": checkpoint,
        "progress": progress,
        "random_state": seed,
    }
    if settings.backbone is None:
        return NetworkClassifier(settings.architecture, **common)
    return FineTuning(settings.backbone, weights=settings.weights, **common)


def train_student(
    pixels: np.ndarray,
    proba: np.ndarray,
    codes: np.ndarray,
    settings: StudentSettings,
    *,
    seed: int,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> Student:
    """Train a network on labels and on what the graph says of all other images.

    Parameters
    ----------
    pixels : ndarray of shape (n, H, W) or (n, H, W, C), dtype uint8
        All images.
    proba : ndarray of shape (n, K)
        Propagated class probabilities.
    codes : ndarray of shape (n,)
        Given classes, -1 where unlabelled.
    settings : StudentSettings
        How to train.
    seed : int
        Seed of the training.
    checkpoint : Path, optional
        File that training goes on from after an interruption.
    progress : callable, optional
        Called as ``progress("train", steps_done, n_steps)``.

    Returns
    -------
    NetworkClassifier or FineTuning
        The trained network, with the classes 0 to K - 1.
    """
    targets, weights = student_targets(proba, codes, settings.sharpen)
    network = new_student(
        len(pixels), settings, seed=seed, checkpoint=checkpoint, progress=progress
    )
    return network.fit_soft(
        pixels, targets, sample_weight=weights, classes=np.arange(proba.shape[1])
    )
