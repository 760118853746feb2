"""Two patch dictionaries: the rows of each beside those of the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from fewlabel.data import ImageSet
from fewlabel.features.base import FeatureExtractor, Progress, _part
from fewlabel.features.joined import _unit
from fewlabel.features.patch_features import PatchFeatures
from fewlabel.persist.schema import _OBJECT, State, _listed

_MOST = 4


@dataclass(eq=False, repr=False)
class JoinedPatches(FeatureExtractor):
    """Rows of several patch dictionaries side by side, each of the same length.

    Smaller patches in smaller cells see details that the usual dictionary averages away. Whether
    that helps depends on the images (docs/decisions/0015): clothes are told apart by details, of
    which handwriting should not depend.

    Parameters
    ----------
    parts : list of PatchFeatures
        The dictionaries.

    Examples
    --------
    >>> from fewlabel.data import load_images
    >>> parts = [PatchFeatures(), PatchFeatures(fine=True)]
    >>> len(JoinedPatches(parts).fit_transform(load_images("digits").subset(range(200))))
    200
    """

    parts: list[PatchFeatures]

    name = "joined-patches"
    _fields = {"parts": [_listed(_OBJECT, 1, _MOST)]}

    @property
    def width(self) -> int:
        """Length of a row."""
        return sum(part.width for part in self.parts)

    def _join(self, rows: Sequence[np.ndarray]) -> np.ndarray:
        """Join rows (n, d_i) by each dictionary."""
        return np.concatenate([_unit(part) for part in rows], axis=1)

    def _fit(self, images: ImageSet, progress: Progress | None) -> None:
        for part in self.parts:
            part.fit(images, progress=progress)

    def _transform(self, images: ImageSet, progress: Progress | None) -> np.ndarray:
        return self._join([part.transform(images, progress=progress) for part in self.parts])

    def _check_fitted(self) -> None:
        for part in self.parts:
            part._check_fitted()

    def _state(self) -> State:
        arrays, about = dict[str, np.ndarray](), []
        for number, part in enumerate(self.parts):
            found, meta = part.to_state()
            arrays |= {f"parts{number}.{name}": array for name, array in found.items()}
            about.append(meta)
        return arrays, {"parts": about}

    @classmethod
    def _from_state(cls, arrays: dict[str, np.ndarray], meta: dict[str, Any], device: str) -> Self:
        return cls(
            [
                PatchFeatures.from_state(_part(arrays, f"parts{number}."), about, device=device)
                for number, about in enumerate(meta["parts"])
            ]
        )
