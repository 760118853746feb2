"""Pretrained networks whitened: the rows of each beside those of the others."""

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import clone

from fewlabel.data import ImageSet
from fewlabel.errors import UsageError
from fewlabel.features.backbone import Backbone
from fewlabel.features.base import FeatureExtractor, Progress, _part
from fewlabel.features.reduce import DampedPCA, _sample_rows
from fewlabel.persist.schema import _OBJECT, State, _check_arrays, _listed

MAX_BACKBONES = 8
"""Networks that can be joined, at most."""

_MAX_FIT_ROWS = 20_000
# Of rows this long, C = 1 of logistic regression means what it does on those of one network.
_LENGTH = math.sqrt(1_280)


@dataclass(eq=False, repr=False)
class JoinedBackbones(FeatureExtractor):
    """Rows of pretrained networks side by side, each whitened and of the same length.

    Networks of other designs, or trained otherwise, are mistaken about other photos: joined, they
    find better neighbors than the best of them. What a network gives is dominated by a few
    directions that tell the pictures of ImageNet apart; whitened, the others count as well, and
    the images at hand are told apart better. Of few images the small eigenvalues are noise, so that
    they are shrunk towards their mean, by more the fewer they are.

    Parameters
    ----------
    parts : list of Backbone
        The networks.
    n_components : int
        Most principal components of each.
    power : float
        Each component is divided by its eigenvalue to this power, between 0 and 0.5.
    ridge : float
        What is added to the eigenvalues, see `DampedPCA`.
    random_state : int
        Seed of the reduction.

    Attributes
    ----------
    reducers_ : list of DampedPCA
        The fitted reduction of each network.

    Examples
    --------
    >>> from fewlabel.data import image_set_from_array
    >>> images = image_set_from_array(np.zeros((3, 32, 32, 3), np.uint8))
    >>> parts = [Backbone(name, pretrained=False, size=32) for name in ("resnet18", "resnet10t")]
    >>> len(JoinedBackbones(parts).fit_transform(images))
    3
    """

    parts: list[Backbone]
    _: KW_ONLY
    n_components: int = 256
    power: float = 0.5
    ridge: float = 10.0
    random_state: int = 0

    name = "backbones"
    _fields = {"parts": [_listed(_OBJECT, 1, MAX_BACKBONES)], "reduce": [_listed(_OBJECT)]}

    def __post_init__(self) -> None:
        if not 1 <= len(self.parts) <= MAX_BACKBONES:
            raise UsageError(
                f"The 'parts' parameter of JoinedBackbones must be 1 to {MAX_BACKBONES} networks. "
                f"Got {len(self.parts)} instead."
            )

    @property
    def width(self) -> int:
        """Length of a row."""
        return sum(reducer.n_components_ for reducer in self.reducers_)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the largest images that a network looks at."""
        return max(part.network_.size for part in self.parts)

    def _fit_rows(self, rows: Sequence[np.ndarray]) -> np.ndarray:
        """Learn the reductions from rows (n, d_i) by each network, and join these."""
        sample = _sample_rows(len(rows[0]), _MAX_FIT_ROWS, self.random_state)
        reducer = DampedPCA(
            self.n_components,
            power=self.power,
            standardize=False,
            ridge=self.ridge,
            random_state=self.random_state,
        )
        self.reducers_ = [clone(reducer).fit(part[sample]) for part in rows]
        return self._join(rows)

    def _join(self, rows: Sequence[np.ndarray]) -> np.ndarray:
        """Reduce and join rows (n, d_i) by each network, all with the same share."""
        share = np.float32(_LENGTH / np.sqrt(len(rows)))
        return np.concatenate(
            [
                _scaled(reducer.transform(part), share)
                for reducer, part in zip(self.reducers_, rows, strict=True)
            ],
            axis=1,
        )

    def _alone(self, number: int) -> Self:
        """Return one of the networks by itself, reduced as here."""
        one = type(self)(
            [self.parts[number]],
            n_components=self.n_components,
            power=self.power,
            ridge=self.ridge,
            random_state=self.random_state,
        )
        one.reducers_ = [self.reducers_[number]]
        return one

    def _split(self, rows: np.ndarray) -> list[np.ndarray]:
        """Take joined rows (n, width) apart again, to what `_alone` of each network would give."""
        ends = np.cumsum([reducer.n_components_ for reducer in self.reducers_])[:-1]
        scale = np.float32(np.sqrt(len(self.parts)))
        return [part * scale for part in np.split(rows, ends, axis=1)]

    def _fit(self, images: ImageSet, progress: Progress | None) -> None:
        self._fit_rows([part.fit_transform(images, progress=progress) for part in self.parts])

    def _transform(self, images: ImageSet, progress: Progress | None) -> np.ndarray:
        return self._join([part.transform(images, progress=progress) for part in self.parts])

    def fit_transform(self, images: ImageSet, *, progress: Progress | None = None) -> np.ndarray:
        """Fit, and turn the same images into rows, running each network once."""
        return self._fit_rows(
            [part.fit_transform(images, progress=progress) for part in self.parts]
        )

    def _state(self) -> State:
        arrays = dict[str, np.ndarray]()
        meta: dict[str, Any] = {"parts": [], "reduce": []}
        for kind, things in (("parts", self.parts), ("reduce", self.reducers_)):
            for number, thing in enumerate(things):
                found, about = thing.to_state()
                arrays |= {f"{kind}{number}.{name}": array for name, array in found.items()}
                meta[kind].append(about)
        return arrays, meta

    @classmethod
    def _from_state(cls, arrays: dict[str, np.ndarray], meta: dict[str, Any], device: str) -> Self:
        parts = [
            Backbone.from_state(_part(arrays, f"parts{number}."), about, device=device)
            for number, about in enumerate(meta["parts"])
        ]
        joined = cls(parts)
        joined.reducers_ = []
        for number, (part, about) in enumerate(zip(parts, meta["reduce"], strict=True)):
            saved = _part(arrays, f"reduce{number}.")
            _check_arrays(saved, {"mean": "d"}, "reduce", {"d": part.width})
            joined.reducers_.append(DampedPCA.from_state(saved, about))
        joined.n_components = joined.reducers_[0].n_components
        joined.power = joined.reducers_[0].power
        return joined


def _scaled(rows: np.ndarray, length: np.float32) -> np.ndarray:
    """Scale rows to one length; a row of zeros stays."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: np.ndarray = rows * (length / np.where(norms > 0, norms, 1))
    return scaled
