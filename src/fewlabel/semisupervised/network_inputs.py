"""What all networks of a road share: images, features, and how to judge them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fewlabel.data import ImageSet
from fewlabel.features.choose import FeatureExtractor
from fewlabel.graph import FewLabelClassifier
from fewlabel.semisupervised.graph_student import StudentSettings
from fewlabel.semisupervised.kept_networks import KeptNetworks

Progress = Callable[[str, int, int], None]

SMALL_SIDE = 64
"""Larger images are read at this size for networks that are trained from scratch."""

PHOTO_SIDE = 160
"""Photos are read at this size to fine-tune a pretrained network."""


@dataclass(frozen=True)
class Problem:
    """Images with their features, and how to go about them.

    Attributes
    ----------
    images : ImageSet
        All images.
    base : FeatureExtractor
        The main job's features.
    base_rows : ndarray of shape (n, d)
        Features of the images.
    groups : ndarray of shape (n,)
        The same number for exact duplicates.
    settings : StudentSettings
        How each network is trained.
    main : FewLabelClassifier
        The main job's classifier.
    seed : int
        Seed of every random choice.
    kept : KeptNetworks
        Networks that an interrupted road has finished.
    progress : callable or None
        Called as ``progress(stage, done, total)``.
    """

    images: ImageSet
    base: FeatureExtractor
    base_rows: np.ndarray
    groups: np.ndarray
    settings: StudentSettings
    main: FewLabelClassifier
    seed: int
    kept: KeptNetworks
    progress: Progress | None = None

    @cached_property
    def pixels(self) -> np.ndarray:
        """All images at the size that the networks take; see `read_pixels`."""
        side = SMALL_SIDE if self.settings.backbone is None else PHOTO_SIDE
        colour = self.settings.backbone is not None
        return read_pixels(self.images, side, colour=colour)

    def codes(self, y: np.ndarray) -> np.ndarray:
        """Give classes as positions among those of the main job's classifier.

        Parameters
        ----------
        y : ndarray of shape (n,)
            Classes, -1 where unlabelled.

        Returns
        -------
        ndarray of shape (n,)
            Positions in ``main.classes_``, -1 where unlabelled.
        """
        return np.where(y >= 0, np.searchsorted(self.main.classes_, y), -1)

    def classify(self, rows: np.ndarray, y: np.ndarray) -> FewLabelClassifier:
        """Fit the main job's own choice on given rows, so that nothing is chosen again.

        Parameters
        ----------
        rows : ndarray of shape (n, d)
            Features.
        y : ndarray of shape (n,)
            Classes, -1 where unlabelled.

        Returns
        -------
        FewLabelClassifier
            Fitted.
        """
        alpha = self.main.settings_.get("alpha")
        alphas = (float(alpha),) if alpha is not None else self.main.alphas
        method = self.main.method_ if self.main.method_ in ("graph", "blend") else "graph"
        classifier = FewLabelClassifier(method=method, alphas=alphas, random_state=self.seed)
        return classifier.fit(rows, y, groups=self.groups)

    def training(self, name: str, number: int) -> dict[str, Any]:
        """Give what every training of a network is told.

        Parameters
        ----------
        name : str
            Name of the training.
        number : int
            Number of the network in its row.

        Returns
        -------
        dict
            ``seed``, ``checkpoint`` and ``progress``.
        """
        progress = None
        if self.progress is not None:
            told = self.progress

            def progress(stage: str, done: int, total: int) -> None:
                told(f"network {name}", done, total)

        return {
            "seed": self.seed * 101 + number,
            "checkpoint": self.kept.training_file(name),
            "progress": progress,
        }


def read_pixels(images: ImageSet, side: int, *, colour: bool = False) -> np.ndarray:
    """Read all images at the size that networks take.

    Parameters
    ----------
    images : ImageSet
        Images.
    side : int
        Most pixels a side; larger images, and those of several sizes, are read as squares.
    colour : bool
        Read grey images in three equal colours, too.

    Returns
    -------
    ndarray of shape (n, H, W) or (n, H, W, 3), dtype uint8
        Grey images without a channel axis.
    """
    native = images.native_shape
    small = native is not None and max(native[:2]) <= side
    size = native[:2] if native is not None and small else (side, side)
    channels = 1 if images.is_gray and not colour else 3
    pixels = np.empty((len(images), *size, channels), dtype=np.uint8)
    for where, block in images.blocks(1_024, size=size, channels=channels):
        pixels[where] = block
    return pixels[..., 0] if channels == 1 else pixels
