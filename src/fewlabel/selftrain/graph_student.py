"""A network taught by the graph: propagated labels in, better features for the graph out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fewlabel.nets import NetworkClassifier
from fewlabel.nets.loop import Progress


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


def train_student(
    pixels: np.ndarray,
    proba: np.ndarray,
    codes: np.ndarray,
    settings: StudentSettings,
    *,
    seed: int,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> NetworkClassifier:
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
    NetworkClassifier
        The trained network, with the classes 0 to K - 1.
    """
    targets, weights = student_targets(proba, codes, settings.sharpen)
    n_epochs = max(1, round(settings.n_steps * settings.batch_size / len(pixels)))
    n_epochs = min(n_epochs, settings.max_epochs)
    network = NetworkClassifier(
        settings.architecture,
        n_epochs=n_epochs,
        min_steps=0,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        augment=settings.augment,
        flip=settings.flip,
        device=settings.device,
        checkpoint=checkpoint,
        progress=progress,
        random_state=seed,
    )
    return network.fit_soft(
        pixels, targets, sample_weight=weights, classes=np.arange(proba.shape[1])
    )
