"""Features joined with what trained networks see: one row an image for the graph."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np

from fewlabel.data import ImageSet
from fewlabel.features.base import FeatureExtractor, Progress, _extractor_from_state, _part
from fewlabel.nets import NetworkClassifier
from fewlabel.params import _check_arguments, number
from fewlabel.persist.schema import _OBJECT, State, _check_arrays, _listed

_BLOCK_SIZE = 1_024


@dataclass(eq=False, repr=False)
class JoinedFeatures(FeatureExtractor):
    """Rows of another extractor beside the embeddings of trained networks.

    Each part is scaled to a length of its own, so that the share of the networks in every inner
    product is what is asked for, whatever their scale. Embeddings are centered first:
    those behind a rectifier all point the same way.

    Parameters
    ----------
    base : FeatureExtractor
        A fitted extractor.
    networks : list of NetworkClassifier
        Trained networks that take images.
    share : float
        Share of all networks together, in (0, 1).

    Attributes
    ----------
    centers_ : list of ndarray of shape (width,)
        Mean embedding of each network over the images of `fit`.
    """

    base: FeatureExtractor
    networks: list[NetworkClassifier]
    _: KW_ONLY
    share: float = 0.5

    name = "joined"
    _fields = {
        "base": [_OBJECT],
        "networks": [_listed(_OBJECT, most=100)],
        "share": [number(0, 1, closed="neither")],
    }

    def __post_init__(self) -> None:
        _check_arguments("JoinedFeatures", {"share": self._fields["share"]}, share=self.share)

    def _fit(self, images: ImageSet, progress: Progress | None) -> None:
        self.centers_ = [rows.mean(axis=0) for rows in self._embed(images, progress)]

    def _transform(self, images: ImageSet, progress: Progress | None) -> np.ndarray:
        return self._join(self.base.transform(images, progress=progress), images, progress=progress)

    def _join(
        self, rows: np.ndarray, images: ImageSet, *, progress: Progress | None = None
    ) -> np.ndarray:
        """Join rows (n, d) of the base extractor, which are at hand, with the embeddings."""
        embedded = self._embed(images, progress)
        if not hasattr(self, "centers_"):
            self.centers_ = [part.mean(axis=0) for part in embedded]
        part_share = self.share / len(self.networks)
        parts = [_unit(rows) * np.float32(np.sqrt(1 - self.share))]
        parts += [
            _unit(part - center) * np.float32(np.sqrt(part_share))
            for part, center in zip(embedded, self.centers_, strict=True)
        ]
        return np.concatenate(parts, axis=1)

    def _state(self) -> State:
        arrays, about = self.base.to_state()
        arrays = {f"base.{name}": array for name, array in arrays.items()}
        networks = []
        for position, network in enumerate(self.networks):
            weights, description = network.to_state()
            arrays |= {f"network{position}.{name}": array for name, array in weights.items()}
            arrays[f"center{position}"] = self.centers_[position].astype(np.float32)
            networks.append(description)
        return arrays, {"base": about, "networks": networks, "share": self.share}

    @classmethod
    def _from_state(cls, arrays: dict[str, np.ndarray], meta: dict[str, Any], device: str) -> Self:
        # A forged state could nest without end.
        if meta["base"].get("extractor") == cls.name:
            raise ValueError("joined features within joined features")
        base = _extractor_from_state(_part(arrays, "base."), meta["base"])
        networks = [
            NetworkClassifier.from_state(_part(arrays, f"network{position}."), about)
            for position, about in enumerate(meta["networks"])
        ]
        joined = cls(base, networks, share=float(meta["share"]))
        centers = {f"center{position}": f"w{position}" for position in range(len(networks))}
        widths = {f"w{i}": net.network_.head.in_features for i, net in enumerate(networks)}
        _check_arrays(arrays, centers, "features", widths)
        joined.centers_ = [arrays[name] for name in centers]
        return joined

    @property
    def width(self) -> int:
        """Length of a row."""
        return self.base.width + sum(net.network_.head.in_features for net in self.networks)

    def _embed(self, images: ImageSet, progress: Progress | None) -> list[np.ndarray]:
        """Run every network over the images, block by block."""
        shapes = {network.network_.spec.input_shape for network in self.networks}
        out = [
            np.empty((len(images), network.network_.head.in_features), dtype=np.float32)
            for network in self.networks
        ]
        # Networks that take one shape share the decoding.
        for shape in shapes:
            channels, height, width = shape
            blocks = images.blocks(_BLOCK_SIZE, size=(height, width), channels=channels)
            for where, pixels in blocks:
                batch = pixels[..., 0] if channels == 1 else pixels
                for network, rows in zip(self.networks, out, strict=True):
                    if network.network_.spec.input_shape == shape:
                        rows[where] = network.embed(batch)
                if progress is not None:
                    progress("embeddings", where.stop, len(images))
        return out


def _unit(rows: np.ndarray) -> np.ndarray:
    """Scale rows to unit length; a row of zeros stays."""
    rows = np.asarray(rows, np.float32)
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    scaled: np.ndarray = (rows / np.where(norms > 0, norms, 1)).astype(np.float32)
    return scaled
