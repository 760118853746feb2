"""What a file says of itself, and the fingerprint of its model."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from fewlabel import __version__
from fewlabel.evaluate import PROMISES, accept_at
from fewlabel.export.feature_modules import Reading
from fewlabel.graph.inductive import _Inductive
from fewlabel.model import Model

METADATA_KEY = "fewlabel"
"""Where a file's metadata hold what must be known to use it, as JSON: see `export_onnx`."""


def _describe(model: Model, reading: Reading, instead: _Inductive | None) -> dict[str, Any]:
    """Return what must be known to use a file, as JSON types."""
    height, width, channels = reading
    method, replaced, accuracy, kept = model.meta.get("method", model.fitted.name), None, None, []
    if instead is not None:
        method, replaced = instead.name, instead.figures | {"method": method}
    else:
        # They rest on predictions of the candidate that was chosen.
        kept = [accept_at(*model.evidence, error) for error in PROMISES]
        accuracy = model.expected and model.expected.to_dict()
    return {
        "classes": list(model.classes),
        "task": model.task.name,
        "metric": model.task.metric,
        "channels": channels,
        "size": [height, width],
        "model_id": model_id(model),
        "version": __version__,
        "method": method,
        "instead_of": replaced,
        "accuracy": accuracy,
        "promises": [
            {"max_error": found.max_error, "threshold": found.threshold}
            for found in kept
            if found.threshold is not None
        ],
        "pixels": model.scale._to_dict(),
    }


def model_id(model: Model) -> str:
    """Return a short fingerprint of all that a model predicts with.

    Parameters
    ----------
    model : Model
        The model.

    Returns
    -------
    str
        16 hexadecimal digits; the same for a model that was saved and loaded again.
    """
    arrays, meta = model.to_state()
    state = hashlib.blake2b(digest_size=8)
    kept = {name: meta[name] for name in ("task", "classes", "columns", "calibration")}
    state.update(json.dumps(kept, sort_keys=True).encode())
    for name in sorted(name for name in arrays if name.startswith(("features.", "candidate."))):
        array = np.ascontiguousarray(arrays[name])
        state.update(f"{name} {array.shape}".encode())
        state.update(array.data)
    return state.hexdigest()
