"""What turns an image set into rows of numbers: the contract that every kind of features keeps."""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np

from fewlabel.data import ImageSet
from fewlabel.engine import current_engine
from fewlabel.errors import ModelFormatError, UsageError, _damaged
from fewlabel.features.reduce import DampedPCA
from fewlabel.params import MAX_SIDE, _as_size, choice, integer
from fewlabel.persist.schema import (
    _OBJECT,
    Saved,
    State,
    _among,
    _check_arrays,
    _check_fields,
    _Fields,
    _listed,
)

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with the stage, what is done and what there is to do."""

_IMAGE_FIELDS: _Fields = {
    "size": [_listed(integer(1, MAX_SIDE), 2, 2)],
    "channels": [_among((1, 3))],
    "max_fit_samples": [integer(1, 2**31)],
    "random_state": [integer(0, 2**63)],
    "reduce": [_OBJECT, None],
}
"""How a saved extractor reads images."""


class FeatureExtractor(Saved, ABC):
    """One row of features an image, learned without a look at labels.

    A kind of features says in ``_fit``, ``_transform``, ``_state`` and ``_from_state`` how it does
    what is promised here, and is entered in the table at the end of this module.
    """

    name: ClassVar[str]
    # What a saved one may say.
    _fields: ClassVar[_Fields] = {}

    @property
    @abstractmethod
    def width(self) -> int:
        """Length of a row, once it is fitted."""

    @property
    def is_frozen(self) -> bool:
        """Whether weights alone decide the features, so that fitting looks at no image."""
        return False

    def fit(self, images: ImageSet, *, progress: Progress | None = None) -> Self:
        """Look at the images, or at a sample of them.

        Parameters
        ----------
        images : ImageSet
            Images; their labels are not looked at.
        progress : callable, optional
            Called as ``progress(stage, done, total)``.

        Returns
        -------
        FeatureExtractor
            This extractor.

        Raises
        ------
        UsageError
            If a parameter is out of range.
        DataError
            If an image cannot be read any more.
        """
        self._fit(images, progress)
        return self

    def transform(self, images: ImageSet, *, progress: Progress | None = None) -> np.ndarray:
        """Turn images into rows.

        Parameters
        ----------
        images : ImageSet
            Images of any size.
        progress : callable, optional
            Called as ``progress(stage, done, total)``.

        Returns
        -------
        ndarray of shape (n, d), dtype float32
            Features.

        Raises
        ------
        UsageError
            If the extractor is not fitted.
        DataError
            If an image cannot be read any more.
        """
        self._check_fitted()
        return self._transform(images, progress)

    def fit_transform(self, images: ImageSet, *, progress: Progress | None = None) -> np.ndarray:
        """Fit, and turn the same images into rows, computing nothing twice.

        Parameters
        ----------
        images : ImageSet
            Images; their labels are not looked at.
        progress : callable, optional
            Called as ``progress(stage, done, total)``.

        Returns
        -------
        ndarray of shape (n, d), dtype float32
            Features.
        """
        return self.fit(images, progress=progress).transform(images, progress=progress)

    def _fit_transform(self, images: ImageSet, progress: Progress | None) -> np.ndarray:
        """Fit, and turn the same images into rows, on the engine in use."""
        if current_engine() is None:
            return self.fit_transform(images, progress=progress)
        return self.fit(images, progress=progress)._transform_anywhere(images, progress)

    def _transform_anywhere(self, images: ImageSet, progress: Progress | None) -> np.ndarray:
        """Turn images into rows, on the engine in use."""
        engine = current_engine()
        if engine is None:
            return self.transform(images, progress=progress)
        return engine.transform(self, images, progress)

    def to_state(self) -> State:
        """Return what `from_state` needs; raise `UsageError` if it is not fitted."""
        self._check_fitted()
        arrays, meta = self._state()
        return arrays, {"extractor": self.name, **meta}

    @classmethod
    def from_state(
        cls, arrays: dict[str, np.ndarray], meta: dict[str, Any], *, device: str = "auto"
    ) -> Self:
        """Rebuild a fitted extractor; a network of it runs on ``device``."""
        _check_fields(meta, {"extractor": [choice([cls.name])], **cls._fields}, "features")
        # Whatever a forged state makes the parts complain of, the user needs one answer.
        try:
            return cls._from_state(arrays, meta, device)
        except ModelFormatError:
            raise
        except (UsageError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise _damaged(f"The saved features cannot be rebuilt ({error})") from error

    @abstractmethod
    def _fit(self, images: ImageSet, progress: Progress | None) -> None: ...

    @abstractmethod
    def _transform(self, images: ImageSet, progress: Progress | None) -> np.ndarray: ...

    @abstractmethod
    def _state(self) -> State: ...

    @classmethod
    @abstractmethod
    def _from_state(
        cls, arrays: dict[str, np.ndarray], meta: dict[str, Any], device: str
    ) -> Self: ...

    def _check_fitted(self) -> None:
        if not any(name.endswith("_") for name in vars(self)):
            raise UsageError(
                f"This {type(self).__name__} extractor is not fitted: call fit with images first."
            )


# Above it, an image is a photo, of which a smaller one shows enough.
_MAX_NATIVE_SIDE = 64


def _size_to_read(images: ImageSet, size: Any, owner: str, reduced: int) -> tuple[int, int]:
    """Return the size asked for; by default the images' own if small, else the reduced one."""
    if size is not None:
        return _as_size(size, owner=owner)
    native = images.native_shape
    if native is None or max(native[:2]) > _MAX_NATIVE_SIDE:
        return reduced, reduced
    return native[:2]


def _reducer_state(reducer: DampedPCA | None) -> State:
    """Arrays under ``reduce.``, and ``meta["reduce"]``."""
    if reducer is None:
        return {}, {"reduce": None}
    arrays, meta = reducer.to_state()
    return {f"reduce.{name}": array for name, array in arrays.items()}, {"reduce": meta}


def _reducer_from_state(
    arrays: dict[str, np.ndarray], meta: dict[str, Any], width: int
) -> DampedPCA | None:
    """Rebuild what `_reducer_state` gave, for rows of some width."""
    if meta["reduce"] is None:
        return None
    parts = _part(arrays, "reduce.")
    _check_arrays(parts, {"mean": "d"}, "reduce", {"d": width})
    return DampedPCA.from_state(parts, meta["reduce"])


def _part(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Return the arrays whose names begin with ``prefix``, without it."""
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


def _fill(
    n: int,
    width: int,
    blocks: Iterable[tuple[slice, np.ndarray]],
    describe: Callable[[slice, np.ndarray], np.ndarray],
    stage: str,
    progress: Progress | None,
) -> np.ndarray:
    """Describe images block by block, (n, width) float32."""
    # Filled in place: joined blocks would be held twice.
    features = np.empty((n, width), dtype=np.float32)
    for where, pixels in blocks:
        features[where] = describe(where, pixels)
        if progress is not None:
            progress(stage, where.stop, n)
    return features


_KINDS = {
    "pixels": ("pixels", "Pixels"),
    "patches": ("patch_features", "PatchFeatures"),
    "backbone": ("backbone", "Backbone"),
    "backbones": ("backbones", "JoinedBackbones"),
    "joined": ("joined", "JoinedFeatures"),
    "joined-patches": ("joined_patches", "JoinedPatches"),
}


def _kind(name: str) -> Any:
    # Imported when it is asked for: networks load timm, and every kind imports this module.
    module, class_name = _KINDS[name]
    return getattr(importlib.import_module(f"fewlabel.features.{module}"), class_name)


def _extractor_from_state(arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> FeatureExtractor:
    """Return the extractor that was saved by ``to_state``, fitted."""
    name = meta.get("extractor")
    if not isinstance(name, str) or name not in _KINDS:
        raise ModelFormatError(
            f"The saved features {str(name)[:80]!r} are not known to this version of fewlabel: "
            "upgrade it."
        )
    extractor: FeatureExtractor = _kind(name).from_state(arrays, meta)
    return extractor
