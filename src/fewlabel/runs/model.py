"""Models on disk: saved whole, and checked before anything is built from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fewlabel import __version__
from fewlabel.data import ImageSet
from fewlabel.errors import ModelFormatError, RunFolderError, _path_errors
from fewlabel.evaluate.drift import MIN_IMAGES, _make_reference, _Reference
from fewlabel.model import Model
from fewlabel.persist import load_bundle, save_bundle

if TYPE_CHECKING:
    from fewlabel.fit_result import FitResult

_KIND = "model"


def _save_model(result: FitResult, images: ImageSet, folder: Path) -> None:
    """Save the model of a fit, made from these images, into a new folder."""
    result.model.reference = _reference(result, images)
    arrays, meta = result.model.to_state()
    expected = result.headline.to_dict()
    trained_on = images.subset(result.task.labeled(result.labels.training_y))
    meta |= {
        "estimate": expected,
        # An evaluation tells by these whether its images are new to the model.
        "trained_on": sorted(set(trained_on.content_digests())),
    }
    save_bundle(folder, kind=_KIND, arrays=arrays, meta=meta)


def _reference(result: FitResult, images: ImageSet) -> _Reference | None:
    """Keep what new images are compared with: images without a label, or tested ones."""
    rows = np.setdiff1d(np.arange(len(images)), result.labels.labeled)
    proba = result.proba[rows]
    if len(rows) < MIN_IMAGES:
        rows, proba = result.tested, result.tested_proba
    found, n, seed = result.unlike_scores, len(result.tested), result.settings.seed
    scores = np.zeros(len(rows)) if found is None else found[rows]
    return _make_reference(result.task, images.subset(rows), proba, scores, n, seed)


@_path_errors(RunFolderError)
def load_run(path: str | Path) -> Model:
    """Load the model of a run folder; nothing in it is executed.

    Parameters
    ----------
    path : str or Path
        A run folder, or its ``model`` folder.

    Returns
    -------
    Model
        The model.

    Raises
    ------
    RunFolderError
        If there is no run there.
    ModelFormatError
        If the model is damaged, or written by another version of fewlabel that this one cannot
        read.
    """
    path = Path(path)
    folder = path / "model" if (path / "model").is_dir() else path
    if not path.is_dir():
        raise RunFolderError(f"{path} is not a run folder: give the folder that `fit` wrote.")
    if not (folder / "manifest.json").is_file():
        raise RunFolderError(
            f"{path} holds no model (model/manifest.json is missing): give the folder that "
            "`fewlabel fit --out` wrote."
        )
    bundle = load_bundle(folder)
    writer = bundle.created_with.get("fewlabel", "of an unknown version")
    # What 0.1.0 saved, whose classes are gone.
    if bundle.kind == "classifier":
        raise ModelFormatError(
            f"The model in {folder} was written by fewlabel {writer}, whose models this fewlabel "
            f"{__version__} cannot read: fit again."
        )
    if bundle.kind != _KIND:
        raise ModelFormatError(f"{folder} holds a {bundle.kind[:80]}: give the folder of a run.")
    # A manifest may be whole and still lie: whatever that raises is one line.
    try:
        return Model.from_state(bundle.arrays, bundle.meta)
    except (ModelFormatError, LookupError, TypeError, ValueError, AttributeError) as error:
        why = f" ({error!r}): fit again, or copy it anew if it is damaged."
        if isinstance(error, ModelFormatError):
            why = f": {error}"
        raise ModelFormatError(
            f"The model in {folder} was written by fewlabel {writer} and cannot be read{why}"
        ) from error
