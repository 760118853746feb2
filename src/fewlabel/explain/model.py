"""What a model looked at in one image."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fewlabel.data import ImageSet, image_set_from_array
from fewlabel.errors import UsageError
from fewlabel.explain.explanation import Explanation, explain_image
from fewlabel.explain.perturb import PredictProba
from fewlabel.model import Model

_DISPLAY_SIDE = 256
_FALLBACK_SIDE = 128


@dataclass(frozen=True, eq=False)
class Explained:
    """An explained prediction of an image set.

    Attributes
    ----------
    explanation : Explanation
        The explanation.
    name : str
        Path or index of the image.
    predicted : str
        The predicted labels, as the text of a label table.
    true : str
        The true ones; blank where they are not known.
    kind : str
        ``"right"``, ``"wrong"``, ``"sure"`` or ``"unsure"``; blank if it was not chosen.
    note : str
        A few words for the reader of a picture, such as the true class.
    """

    explanation: Explanation
    name: str
    predicted: str
    true: str = ""
    kind: str = ""
    note: str = ""


def _predict_arrays(model: Model) -> PredictProba:
    """Return a function from pixels (b, H, W, C), uint8, to probabilities (b, K)."""
    return lambda pixels: model.predict(image_set_from_array(pixels)).proba


def _model_size(model: Model, images: ImageSet) -> tuple[int, int]:
    """Return the height and width at which a model looks at images."""
    for holder in (model.extractor, getattr(model.extractor, "network_", None)):
        for name in ("size_", "size"):
            size = getattr(holder, name, None)
            if isinstance(size, tuple | list) and len(size) == 2:
                return int(size[0]), int(size[1])
    # A patch dictionary or pixels take images as they come; large ones would take minutes.
    native = images.native_shape
    if native is not None and max(native[:2]) <= _FALLBACK_SIDE:
        return native[:2]
    return _FALLBACK_SIDE, _FALLBACK_SIDE


def _class_position(name: str, classes: Sequence[str]) -> int:
    """Return the position of a class of a model."""
    if name in classes:
        return list(classes).index(name)
    lower = {label.lower(): label for label in classes}
    close = difflib.get_close_matches(name.lower(), lower, n=1)
    named = ", ".join(classes[:12]) + (", …" if len(classes) > 12 else "")
    hint = f"did you mean {lower[close[0]]!r}?" if close else f"the classes are {named}."
    raise UsageError(f"The model knows no class {name!r}: {hint}")


def _image_position(images: ImageSet, name: str | None = None) -> int:
    """Return the position of one image, by its path or index, which a single one can do without."""
    if name is None and len(images) == 1:
        return 0
    if name is None:
        raise UsageError(
            f"{images.source} holds {len(images):,} images: add --grid 12 for a sheet, or "
            f"--name {images.names[0]} for one of them."
        )
    if name in images.names:
        return images.names.index(name)
    # The default cutoff would suggest nothing for a short name with one digit wrong.
    close = difflib.get_close_matches(name, images.names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]}?" if close else f"the first one is {images.names[0]}."
    raise UsageError(f"{images.source} holds no image called {name}: {hint}")


def _explain_one(
    model: Model, images: ImageSet, index: int = 0, *, target: int | None = None, **settings: Any
) -> Explained:
    """Return what speaks for and against a prediction, at the size that the model looks at."""
    size, proba = _model_size(model, images), model.predict(images.subset([index])).proba[0]
    explanation = explain_image(
        _predict_arrays(model),
        images.read([index], size=size)[0],
        target=int(proba.argmax()) if target is None else target,
        display=_display(images, index, size),
        **settings,
    )
    text = model.task.texts(model.task.predict(proba[None]), model.classes)[0]
    # Of two networks one may look at it in another size than that of the pixels that are changed.
    return Explained(replace(explanation, proba=proba), images.names[index], text)


def _display(images: ImageSet, index: int, size: tuple[int, int]) -> np.ndarray | None:
    """Read an image finer than the model does, for pictures, where it is finer."""
    native = images.subset([index]).native_shape
    # A whole multiple, so that segments end between two pixels.
    fine = round(_DISPLAY_SIDE / max(size))
    if native is None or fine < 2 or min(native[0] / size[0], native[1] / size[1]) <= 1:
        return None
    return images.read([index], size=(fine * size[0], fine * size[1]))[0]
