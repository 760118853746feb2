"""What a run is unsure of, for a second round of labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fewlabel.data import ImageSet
from fewlabel.features.pixels import Progress
from fewlabel.model import Model
from fewlabel.runs.tables import _read_predictions


def _confidence_of(
    run: Path, model: Model, images: ImageSet, progress: Progress | None = None
) -> np.ndarray:
    """Return how confident a run is in its predictions (n,); what is new to it is predicted."""
    trained = set(model.meta.get("trained_on", ()))
    # Names say which images are meant only where these are the images of the run.
    known = _saved(run) if trained and trained <= set(images.content_digests()) else {}
    found = np.array([known.get(name, np.nan) for name in images.names], dtype=np.float64)
    new = np.flatnonzero(np.isnan(found))
    if len(new):
        found[new] = model.predict(images.subset(new), progress=progress).confidence
    return np.clip(found, 0, 1)


def _saved(run: Path) -> dict[str, float]:
    """Return the confidence in each image that a run has predicted; none where it is damaged."""
    try:
        return {name: float(row["confidence"]) for name, row in _read_predictions(run).items()}
    except (LookupError, ValueError):
        return {}
