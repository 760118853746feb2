"""What networks are given: settings, labels without copies, and pixels."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from fewlabel.data import ImageSet, Task
from fewlabel.features.backbone import Backbone
from fewlabel.nets import FineTuning, NetworkClassifier

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
    depth : str
        How much of the backbone is trained, see `fewlabel.nets.FineTuning`.
    side : int
        Longest side of the images that networks see.
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
    depth: str = "top"
    # Small images are small already.
    side: int = 64

    @classmethod
    def for_features(cls, extractor: Any, device: str) -> Self:
        """Return settings that suit what makes the features: a backbone is fine-tuned."""
        # Of several joined networks the first is trained on.
        extractor = getattr(extractor, "parts", [extractor])[0]
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
            # As the features: the layers below the top see what they have been trained on.
            side=max(extractor.network_.size),
        )

    @property
    def keeps_trunk(self) -> bool:
        """Whether photos pass the layers below the top once, before the first step."""
        return self.backbone is not None and self.depth == "top"

    def network(self, n_rows: int, **settings: Any) -> NetworkClassifier | FineTuning:
        """Return an untrained network for so many rows, which decide the number of epochs."""
        n_epochs = max(1, round(self.n_steps * self.batch_size / n_rows))
        common: dict[str, Any] = {
            "n_epochs": min(n_epochs, self.max_epochs),
            # The number of epochs is all that decides, unless a method asks for more.
            "min_steps": 0,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "augment": self.augment,
            "flip": self.flip,
            "device": self.device,
        }
        if self.backbone is None:
            return NetworkClassifier(self.architecture, **common | settings)
        return FineTuning(
            self.backbone, weights=self.weights, depth=self.depth, **common | settings
        )


def _pool_copies(y: np.ndarray, groups: np.ndarray, task: Task) -> np.ndarray:
    """Return labels in which the first of exact copies holds what is known of any of them."""
    labeled = task.labeled(y)
    _, first, group = np.unique(groups[labeled], return_index=True, return_inverse=True)
    keepers = labeled[first][group]
    pooled = task.without(y, labeled)
    # From the last one on, so that the first has the last word.
    for row, keeper in zip(labeled[::-1].tolist(), keepers[::-1].tolist(), strict=True):
        pooled[keeper] = np.where(y[row] >= 0, y[row], pooled[keeper])
    return pooled


def _read_pixels(images: ImageSet, side: int, *, color: bool = False) -> np.ndarray:
    """Return all images at the size that networks take: (n, H, W), or (n, H, W, 3) for colors."""
    native = images.native_shape
    # Enlarging small images would cost time and show nothing more.
    small = native is not None and max(native[:2]) <= side
    size = native[:2] if native is not None and small else (side, side)
    channels = 1 if images.is_gray and not color else 3
    pixels = np.empty((len(images), *size, channels), dtype=np.uint8)
    for where, block in images.blocks(1_024, size=size, channels=channels):
        pixels[where] = block
    return pixels[..., 0] if channels == 1 else pixels
