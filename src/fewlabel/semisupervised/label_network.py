"""A network for several labels, with what it reads and how its probabilities are made honest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fewlabel.data import ImageSet
from fewlabel.data.calibration import Scaling
from fewlabel.errors import ModelFormatError
from fewlabel.nets import NetworkClassifier

Progress = Callable[[str, int, int], None]
_BLOCK = 1_024


@dataclass(frozen=True)
class PixelReader:
    """Reads images at the size that a network takes.

    Attributes
    ----------
    size : (int, int)
        Height and width.
    channels : int
        1 or 3.
    """

    size: tuple[int, int]
    channels: int

    def transform(self, images: ImageSet, *, progress: Progress | None = None) -> np.ndarray:
        """Read images.

        Parameters
        ----------
        images : ImageSet
            Any images.
        progress : callable, optional
            Called as ``progress(stage, done, total)``.

        Returns
        -------
        ndarray of shape (n, H, W) or (n, H, W, 3), dtype uint8
            Grey images without a channel axis.
        """
        pixels = np.empty((len(images), *self.size, self.channels), dtype=np.uint8)
        for where, block in images.blocks(_BLOCK, size=self.size, channels=self.channels):
            pixels[where] = block
            if progress is not None:
                progress("reading pixels", where.stop, len(images))
        return pixels[..., 0] if self.channels == 1 else pixels


@dataclass(frozen=True, eq=False)
class LabelNetwork:
    """A trained network and its calibration.

    Attributes
    ----------
    network : NetworkClassifier
        The network.
    scaling : Scaling
        Makes its probabilities honest.
    """

    network: NetworkClassifier
    scaling: Scaling

    @property
    def classes_(self) -> np.ndarray:
        """Names of the labels."""
        return np.asarray(self.network.classes_)

    def predict_proba(self, pixels: np.ndarray) -> np.ndarray:
        """Predict the calibrated probability of every label.

        Parameters
        ----------
        pixels : ndarray of shape (m, H, W) or (m, H, W, 3), dtype uint8
            Images, as a `PixelReader` reads them.

        Returns
        -------
        ndarray of shape (m, K)
            Float64.
        """
        return self.scaling.apply(self.network.predict_proba(pixels))

    def to_state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Give what predicting needs, for `fewlabel.persist.save_bundle`.

        Returns
        -------
        arrays : dict of str to ndarray
            Weights.
        meta : dict
            The network's description and the calibration, for JSON.
        """
        arrays, meta = self.network.to_state()
        return arrays, {"network": meta, "scaling": asdict(self.scaling)}

    @classmethod
    def from_state(
        cls, arrays: dict[str, np.ndarray], meta: dict[str, Any], *, device: str = "auto"
    ) -> LabelNetwork:
        """Rebuild a network that predicts as the saved one did.

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
        LabelNetwork
            The network.

        Raises
        ------
        ModelFormatError
            If something is missing or does not fit together.
        """
        try:
            scaling = Scaling(**{name: float(v) for name, v in meta["scaling"].items()})
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFormatError(
                f"The saved network lacks its calibration ({error!r}): fit again."
            ) from error
        network = NetworkClassifier.from_state(arrays, meta["network"], device=device)
        return cls(network, scaling)
