"""A model as one ONNX file: images in, calibrated probabilities out, nothing around it needed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from fewlabel import __version__
from fewlabel.cluster.neighbors import _EXACT_UP_TO
from fewlabel.data import ImageSet, Labels
from fewlabel.errors import FewLabelError, UsageError
from fewlabel.export.about import METADATA_KEY, _describe
from fewlabel.export.assemble import _assembled
from fewlabel.export.candidate_modules import _Activated, _candidate_of, _Linear, _Whole
from fewlabel.export.check import _compare, _milliseconds, _sample, _session
from fewlabel.export.feature_modules import _Features, _features_of, _NetworkRows
from fewlabel.export.quantize import _in_eight_bits
from fewlabel.extras import require
from fewlabel.features.base import Progress
from fewlabel.features.joined import JoinedFeatures
from fewlabel.files import atomic_file
from fewlabel.graph.inductive import _Inductive
from fewlabel.graph.predictor import _Predictor
from fewlabel.model import Model

TOLERANCE = 1e-3
"""Largest difference in probability between a file and its model."""

MAX_ROWS = _EXACT_UP_TO
"""Images whose graph goes into a file: of more, the search for neighbors is no longer exact."""


@dataclass(frozen=True)
class Exported:
    """What was written, and how far to trust it.

    Attributes
    ----------
    file : str
        The file.
    n_bytes : int
        Its size.
    n_images : int
        Images that it was compared with the model on.
    difference : float
        Largest difference in probability from the model, both computed in float32.
    difference_here : float
        The same from the model as this machine computes it, perhaps in bfloat16.
    milliseconds : float
        Median time of a single image.
    about : dict
        What the file says of itself.
    int8 : dict or None
        Of the file in eight bits beside it: ``file``, ``n_bytes``, ``milliseconds``, and of the
        ``n`` labeled images ``accuracy``, ``accuracy_before`` and ``n_changed``, which are
        predicted otherwise.
    graph : dict or None
        Of a model that needs the graph of all images: its ``n_images``, of how many a file holds
        it at most (``max_images``), whether it is ``kept``, and the ``method`` that predicts
        without it, where the model has one, with the ``difference`` in accuracy and its standard
        error ``se`` on ``n`` labels that neither saw.
    """

    file: str
    n_bytes: int
    n_images: int
    difference: float
    difference_here: float
    milliseconds: float
    about: dict[str, Any]
    int8: dict[str, Any] | None = None
    graph: dict[str, Any] | None = None


def export_onnx(
    model: Model,
    file: str | Path,
    images: ImageSet,
    *,
    graph: bool | None = None,
    labels: Labels | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Write a model as one ONNX file, and check that it predicts what the model does.

    The file takes ``images``, uint8 of shape (n, H, W, C), any number of one size, gray (C = 1) or
    RGB (C = 3), and gives ``probabilities``, float32 of shape (n, K), calibrated, and ``labels``,
    int64: the most probable class (n,), or for several labels 1 where one is present (n, K).

    A graph of at most `MAX_ROWS` images goes into the file, which then predicts exactly what the
    model does. A model with a larger one is exported through what predicts best without it, which
    `fit` has kept beside it; how much that costs is in the result.

    Its metadata hold under `METADATA_KEY` a JSON object, as docs/how-to/export.md describes it.

    Parameters
    ----------
    model : Model
        The model.
    file : str or Path
        File to write, whole or not at all; one that exists is replaced.
    images : ImageSet
        Images to check it on, best those that the model was fitted on.
    graph : bool, optional
        Whether the graph goes into the file; by default if it is small enough.
    labels : Labels, optional
        Labels of ``images``, in the order of the model's classes: write a second file,
        ``NAME.int8.onnx``, in eight bits. Its ranges and what it costs are measured on them.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    Exported
        Size, speed and the largest difference.

    Raises
    ------
    FewLabelError
        If a probability differs by more than 0.001; nothing is written then.
    UsageError
        If the graph is too large for a file, or the model keeps nothing that predicts without it.
    MissingExtraError
        If the extra ``onnx`` is not installed.
    StorageError
        If the file cannot be written.
    """
    report = progress or (lambda stage, done, total: None)
    instead, of_graph = _plan(model, graph)
    report("export", 0, 1)
    made, about = _build(model, instead)
    report("export", 1, 1)
    content, sample = made.SerializeToString(), _sample(images)
    session = _session(content)
    difference, here = _compare(session, model, instead, sample, report)
    n_images = sum(map(len, sample))
    # Written so that NaN fails it.
    if not difference <= TOLERANCE:
        raise FewLabelError(
            f"The file would differ from the model by up to {difference:.2g} in probability on "
            f"{n_images} images, more than {TOLERANCE:g}: nothing was written. Please report it, "
            "with the features and the method of the run."
        )
    files, int8 = {Path(file): content}, None
    if labels is not None:
        report("int8", 0, 1)
        small, int8 = _in_eight_bits(content, session, model, images, labels, sample)
        beside = Path(file).with_suffix(".int8.onnx")
        files[beside], int8["file"] = small, str(beside)
        report("int8", 1, 1)
    n_bytes, milliseconds = len(content), _milliseconds(session, sample)
    for path, written in files.items():
        with atomic_file(path) as temporary:
            temporary.write_bytes(written)
    return Exported(
        str(file), n_bytes, n_images, difference, here, milliseconds, about, int8, of_graph
    )


def _plan(model: Model, graph: bool | None) -> tuple[_Inductive | None, dict[str, Any] | None]:
    """Return what replaces the candidate in a file, if anything, and `Exported.graph`."""
    arrays, _ = model.fitted.to_state()
    if "graph.rows" not in arrays:
        return None, None
    n = len(arrays["graph.rows"])
    if graph and n > MAX_ROWS:
        raise UsageError(
            f"The graph of this model holds {n:,} images, and a file at most {MAX_ROWS:,}: leave "
            "--graph out, and the file predicts without it."
        )
    kept, instead = graph is not False and n <= MAX_ROWS, model.inductive
    if instead is None and not kept:
        raise UsageError(
            "The model predicts by its graph and keeps nothing that predicts without it, as models "
            "of earlier versions do: fit again."
        )
    found = {"n_images": n, "max_images": MAX_ROWS, "kept": kept} | (
        {} if instead is None else instead.figures
    )
    return None if kept else instead, found


def _build(model: Model, instead: _Inductive | None) -> tuple[Any, dict[str, Any]]:
    """Return a model as an `onnx.ModelProto`, not compared yet, and what it says of itself."""
    calibration = model.calibration if instead is None else instead.calibration
    parts = _parts(model, instead)
    whole = _Whole(*parts, model.task, calibration, model.columns, len(model.classes))
    made, about = _assembled(whole), _describe(model, max(whole.features.readings), instead)
    text = json.dumps(about, ensure_ascii=False, allow_nan=False)
    onnx = require("onnx", "`fewlabel export`")
    onnx.helper.set_model_props(made, {METADATA_KEY: text})
    made.producer_name, made.producer_version = "fewlabel", __version__
    onnx.checker.check_model(made, full_check=True)
    return made, about


def _parts(model: Model, instead: _Inductive | None) -> tuple[_Features, nn.Module]:
    """Return the modules of features and candidate."""
    if instead is None:
        # Networks stand in the extractor: what is saved beside it is of the graph or linear.
        arrays, saved = model.fitted.to_state()
        predictor = _Predictor.from_state(arrays, saved)
        return _features_of(model.extractor), _candidate_of(predictor, saved["method"])
    if instead.linear is not None:
        return _features_of(model.extractor), _Linear(instead.linear)
    extractor = model.extractor
    assert isinstance(extractor, JoinedFeatures)
    return _NetworkRows(extractor.networks[-1].network_), _Activated(model.task)
