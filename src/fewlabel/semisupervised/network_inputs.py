"""What a network learns from: settings, pixels, labels, and the pseudo-labels it was given."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fewlabel.data import ImageSet, Task
from fewlabel.evaluate.candidate import Problem
from fewlabel.features.backbone import Backbone
from fewlabel.nets import FineTuning, NetworkClassifier
from fewlabel.nets.loop import Progress
from fewlabel.semisupervised.checkpoints import Checkpoints
from fewlabel.semisupervised.ledger import PseudoLabelLedger

ROUNDS = "rounds"
"""Folder for what a training with rounds of its own keeps of them, and that of a run folder."""


@dataclass(frozen=True)
class NetworkSettings:
    """How each network is trained.

    Attributes
    ----------
    architecture : str
        Network that is trained from scratch; see `fewlabel.NetworkClassifier`.
    n_steps : int
        Steps of one training, as far as ``max_epochs`` allows.
    max_epochs : int
        Passes over the images, at most: few images do not bear many steps.
    batch_size : int
        Images in a step.
    learning_rate : float
        Peak rate.
    augment : str
        Augmentation; short trainings want a mild one.
    flip : bool or "auto"
        Whether a mirrored image keeps its class.
    device : {"auto", "cpu", "cuda", "mps"}
        Where to train.
    backbone : str or None
        Name of a timm model that is fine-tuned in place of ``architecture``.
    weights : str or None
        A ``.safetensors`` file with its weights.
    """

    architecture: str = "resnet"
    n_steps: int = 2_400
    max_epochs: int = 60
    batch_size: int = 320
    learning_rate: float = 3e-3
    augment: str = "mild"
    flip: bool | str = "auto"
    device: str = "auto"
    backbone: str | None = None
    weights: str | None = None

    @classmethod
    def for_features(cls, extractor: Any, device: str) -> NetworkSettings:
        """Return settings that suit the features: a backbone is fine-tuned.

        Parameters
        ----------
        extractor : FeatureExtractor
            What makes the features.
        device : {"auto", "cpu", "cuda", "mps"}
            Where to train.

        Returns
        -------
        NetworkSettings
            Settings.
        """
        if not isinstance(extractor, Backbone):
            return cls(device=device)
        weights = None if extractor.weights is None else str(extractor.weights)
        # Pretrained weights are moved gently, and soon fit a few photos.
        return cls(
            backbone=extractor.network_.recipe.model,
            weights=weights,
            n_steps=1_000,
            max_epochs=20,
            batch_size=32,
            learning_rate=1e-3,
            device=device,
        )

    def network(self, n_rows: int, **settings: Any) -> NetworkClassifier | FineTuning:
        """Return an untrained network.

        Parameters
        ----------
        n_rows : int
            Images that it will be trained on: they decide the number of epochs.
        **settings
            Further settings of the network.

        Returns
        -------
        NetworkClassifier or FineTuning
            The network.
        """
        n_epochs = max(1, round(self.n_steps * self.batch_size / n_rows))
        common: dict[str, Any] = {
            "n_epochs": min(n_epochs, self.max_epochs),
            "min_steps": 0,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "augment": self.augment,
            "flip": self.flip,
            "device": self.device,
        }
        if self.backbone is None:
            return NetworkClassifier(self.architecture, **common | settings)
        return FineTuning(self.backbone, weights=self.weights, **common | settings)


@dataclass(frozen=True, eq=False)
class TrainingInputs:
    """What the network of a round may learn from.

    Attributes
    ----------
    name : str
        Name of the training.
    method : str
        Name of the candidate.
    number : int
        Number of the round, from 1.
    problem : Problem
        What there is to learn; its labels may hold some that are held out here.
    settings : NetworkSettings
        How to train.
    pixels : ndarray of shape (n, H, W) or (n, H, W, 3), dtype uint8
        All images.
    y : ndarray of shape (n,) or (n, K)
        Labels that may be used; -1 where nothing is known.
    proba : ndarray of shape (n, K)
        What the graph propagates from these labels so far.
    networks : list
        The networks of the rounds before.
    ledger : PseudoLabelLedger
        Their pseudo-labels.
    checkpoints : Checkpoints
        What an interrupted search has kept.
    """

    name: str
    method: str
    number: int
    problem: Problem
    settings: NetworkSettings
    pixels: np.ndarray
    y: np.ndarray
    proba: np.ndarray
    networks: list[Any]
    ledger: PseudoLabelLedger
    checkpoints: Checkpoints

    def network(self, n_rows: int, **settings: Any) -> NetworkClassifier | FineTuning:
        """Return an untrained network with the seed, checkpoint and progress of this round.

        Parameters
        ----------
        n_rows : int
            Images that it will be trained on.
        **settings
            Further settings of the network.

        Returns
        -------
        NetworkClassifier or FineTuning
            The network.
        """
        mine = {
            "checkpoint": self.checkpoints.file(self.name),
            "progress": self.progress,
            "random_state": self.seed,
        }
        return self.settings.network(n_rows, **mine | settings)

    def finished(self, network: Any) -> Any | None:
        """Return the network that an interrupted search has trained already, if it has.

        Parameters
        ----------
        network : estimator
            As it would be trained.

        Returns
        -------
        estimator or None
            The trained network.
        """
        kept = self.checkpoints.get_model(self.name, network)
        return None if kept is None else kept[0]

    def keep(self, network: Any) -> Any:
        """Keep a trained network for a search that is interrupted later.

        Parameters
        ----------
        network : estimator
            Trained.

        Returns
        -------
        estimator
            The same.
        """
        self.checkpoints.put_model(self.name, network, {})
        return network

    def trained(
        self,
        network: Any,
        rows: np.ndarray,
        labels: np.ndarray,
        confidence: np.ndarray,
    ) -> Trained:
        """Return a network with the pseudo-labels that it was trained on, entered in the ledger.

        Parameters
        ----------
        network : estimator
            Trained.
        rows, labels : ndarray of shape (p,), int64
            Images and classes of the pseudo-labels.
        confidence : ndarray of shape (p,)
            Probability of each.

        Returns
        -------
        Trained
            What `NetworkCandidate.train` gives.
        """
        n_new, n_revoked = self.ledger.enter(self.number, rows, labels, confidence)
        figures = {"n_accepted": len(rows), "n_new": n_new, "n_revoked": n_revoked}
        return Trained(network, self.ledger, [(figures, (rows, labels, confidence))])

    @property
    def classes(self) -> np.ndarray:
        """Codes of the classes."""
        return np.arange(self.proba.shape[1])

    @property
    def folder(self) -> Path | None:
        """Folder for what a training keeps by itself."""
        kept = self.checkpoints.folder
        return None if kept is None else kept / ROUNDS / self.method

    @property
    def seed(self) -> int:
        """Seed of the training."""
        return self.problem.seed * 101 + self.number

    @property
    def progress(self) -> Progress | None:
        """Progress of the training under the name of the round."""
        report = self.problem.progress
        if report is None:
            return None
        return lambda stage, done, total: report(f"network {self.name}", done, total)


@dataclass(eq=False)
class Trained:
    """A trained network, and what it was trained on.

    Attributes
    ----------
    network : estimator
        With ``embed``, ``predict_proba``, ``to_state`` and ``history_``.
    ledger : PseudoLabelLedger
        Every pseudo-label up to here.
    rounds : list of (dict, tuple)
        The rounds within the training: figures, and rows, classes and confidence of what each
        accepted.
    votes : ExpertVotes or None
        Which labeled images experts vote for, where there are experts.
    notes : list of str
        What the user must know.
    """

    network: Any
    ledger: PseudoLabelLedger
    rounds: list[tuple[dict[str, Any], tuple[np.ndarray, np.ndarray, np.ndarray]]]
    votes: Any = None
    notes: list[str] = field(default_factory=list)


def pool_copies(y: np.ndarray, groups: np.ndarray | None, task: Task) -> np.ndarray:
    """Return labels in which the first of exact copies holds what is known of any of them.

    The others are left unlabeled: what is held out of a training must not stay in it as a copy.

    Parameters
    ----------
    y : ndarray of shape (n,) or (n, K)
        Labels as codes.
    groups : ndarray of shape (n,), optional
        The same number for exact copies.
    task : Task
        What the labels are for.

    Returns
    -------
    ndarray of the shape of ``y``
        Labels; where copies contradict each other, the first counts.
    """
    if groups is None:
        return y
    labeled = task.labeled(y)
    _, first, group = np.unique(groups[labeled], return_index=True, return_inverse=True)
    keepers = labeled[first][group]
    pooled = task.without(y, labeled)
    # From the last one on, so that the first has the last word.
    for row, keeper in zip(labeled[::-1].tolist(), keepers[::-1].tolist(), strict=True):
        pooled[keeper] = np.where(y[row] >= 0, y[row], pooled[keeper])
    return pooled


def read_pixels(images: ImageSet, side: int, *, color: bool = False) -> np.ndarray:
    """Return all images at the size that networks take.

    Parameters
    ----------
    images : ImageSet
        Images.
    side : int
        Most pixels a side; larger images, and those of several sizes, are read as squares.
    color : bool
        Read grey images in three equal colors, too.

    Returns
    -------
    ndarray of shape (n, H, W) or (n, H, W, 3), dtype uint8
        Grey images without a channel axis.
    """
    native = images.native_shape
    small = native is not None and max(native[:2]) <= side
    size = native[:2] if native is not None and small else (side, side)
    channels = 1 if images.is_gray and not color else 3
    pixels = np.empty((len(images), *size, channels), dtype=np.uint8)
    for where, block in images.blocks(1_024, size=size, channels=channels):
        pixels[where] = block
    return pixels[..., 0] if channels == 1 else pixels
