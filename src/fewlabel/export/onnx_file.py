"""A model as one ONNX file: images in, calibrated probabilities out, nothing around it needed."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fewlabel import __version__
from fewlabel.data import ImageSet, Labels
from fewlabel.errors import FewLabelError, UsageError
from fewlabel.evaluate import PROMISES, accept_at
from fewlabel.export.check import _compare, _milliseconds, _native, _probabilities, _sample
from fewlabel.export.modules import (
    Reading,
    _candidate_of,
    _Features,
    _features_of,
    _head_of,
    _Linear,
    _Whole,
)
from fewlabel.export.quantize import _quantize
from fewlabel.extras import require
from fewlabel.features.base import Progress
from fewlabel.features.joined import JoinedFeatures
from fewlabel.files import atomic_file
from fewlabel.graph.inductive import _Inductive
from fewlabel.graph.predictor import _Predictor
from fewlabel.model import Model

METADATA_KEY = "fewlabel"
"""Where a file's metadata hold what must be known to use it, as JSON: see `export_onnx`."""

TOLERANCE = 1e-3
"""Largest difference in probability between a file and its model."""

MAX_ROWS = 10_000
"""Images whose graph goes into a file: of more, the search for neighbors is no longer exact."""

INPUT, PROBABILITIES, LABELS = "images", "probabilities", "labels"
_PURPOSE = "`fewlabel export`"
_OPSET = 18
# Labeled images that eight bits are measured on, at most.
_MAX_LABELED = 1_000


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
    """

    file: str
    n_bytes: int
    n_images: int
    difference: float
    difference_here: float
    milliseconds: float
    about: dict[str, Any]
    int8: dict[str, Any] | None = None


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

    Its metadata hold under ``"fewlabel"`` a JSON object: ``classes``, ``task``, ``metric``,
    ``channels`` and ``size`` (how images are read), ``model_id``, ``version``, ``method``,
    ``accuracy`` (expected, with its interval, or null), ``promises`` (the ``threshold`` of
    confidence from which on at most ``max_error`` of the labels are wrong), ``pixels`` (which
    values became 0 and 255) and ``instead_of`` (null; or the ``method`` whose graph is not in the
    file, with ``difference`` in accuracy and its standard error ``se`` on ``n`` labels).

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
    instead = _plan(model, graph)
    report("export", 0, 1)
    made, about = _build(model, instead)
    report("export", 1, 1)
    content, sample = made.SerializeToString(), _sample(images)
    difference, here = _compare(content, model, instead, sample, report)
    n_images = sum(map(len, sample))
    # Written so that NaN fails it.
    if not difference <= TOLERANCE:
        raise FewLabelError(
            f"The file would differ from the model by up to {difference:.2g} in probability on "
            f"{n_images} images, more than {TOLERANCE:g}: nothing was written. Please report it, "
            "with the features and the method of the run."
        )
    milliseconds, small, int8 = _milliseconds(content, sample), b"", None
    if labels is not None:
        report("int8", 0, 1)
        small, int8 = _in_eight_bits(content, model, images, labels)
        int8 |= {"n_bytes": len(small), "milliseconds": _milliseconds(small, sample)}
        report("int8", 1, 1)
    with atomic_file(file) as temporary:
        temporary.write_bytes(content)
    if int8 is not None:
        beside = Path(file).with_suffix(".int8.onnx")
        int8["file"] = str(beside)
        with atomic_file(beside) as temporary:
            temporary.write_bytes(small)
    n_bytes = len(content)
    return Exported(str(file), n_bytes, n_images, difference, here, milliseconds, about, int8)


def _in_eight_bits(
    content: bytes, model: Model, images: ImageSet, labels: Labels
) -> tuple[bytes, dict[str, Any]]:
    """Return a file in eight bits, and what that costs on labeled images."""
    rows = labels.labeled
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), _MAX_LABELED)).astype(int)]
    pictures = [_native(images, row)[None] for row in rows.tolist()]
    small = _quantize(content, pictures)
    before, after = (_probabilities(each, pictures) for each in (content, small))
    y, task = labels.y[rows], model.task
    changed = (task.decided(before) != task.decided(after)).any(axis=1)
    return small, {
        "n": len(rows),
        "accuracy_before": float(task.correct(y, before).mean()),
        "accuracy": float(task.correct(y, after).mean()),
        "n_changed": int(changed.sum()),
    }


def _describe(model: Model, reading: Reading, instead: _Inductive | None) -> dict[str, Any]:
    """Return what must be known to use a file, as JSON types."""
    expected, (height, width, channels) = model.expected, reading
    # They rest on predictions of the candidate that was chosen.
    kept = [accept_at(*model.evidence, error) for error in PROMISES] if instead is None else []
    chosen = model.meta.get("method", model.fitted.name)
    return {
        "classes": list(model.classes),
        "task": model.task.name,
        "metric": model.task.metric,
        "channels": channels,
        "size": [height, width],
        "model_id": model_id(model),
        "version": __version__,
        "method": chosen if instead is None else instead.name,
        "instead_of": None
        if instead is None
        else {
            "method": chosen,
            **{name: getattr(instead, name) for name in ("difference", "se", "n")},
        },
        "accuracy": None if expected is None or instead else expected.to_dict(),
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


def _plan(model: Model, graph: bool | None) -> _Inductive | None:
    """Return what is exported instead of the candidate; None where that goes into the file."""
    arrays, _ = model.fitted.to_state()
    if "graph.rows" not in arrays:
        return None
    n = len(arrays["graph.rows"])
    if graph and n > MAX_ROWS:
        raise UsageError(
            f"The graph of this model holds {n:,} images, and a file at most {MAX_ROWS:,}: leave "
            "--graph out, and the file predicts without it."
        )
    if graph or (graph is None and n <= MAX_ROWS):
        return None
    if model.inductive is None:
        raise UsageError(
            "The model predicts by its graph and keeps nothing that predicts without it, as models "
            "of earlier versions do: fit again."
        )
    return model.inductive


def _build(model: Model, instead: _Inductive | None) -> tuple[Any, dict[str, Any]]:
    """Return a model as an `onnx.ModelProto`, not compared yet, and what it says of itself."""
    onnx = require("onnx", _PURPOSE)
    require("onnxscript", _PURPOSE)
    calibration = model.calibration if instead is None else instead.calibration
    parts = _parts(model, instead)
    whole = _Whole(*parts, model.task, calibration, model.columns, len(model.classes))
    readings = whole.features.readings
    made = _joined(onnx, [_read(reading) for reading in readings], _exported(whole, readings))
    about = _describe(model, max(readings), instead)
    text = json.dumps(about, ensure_ascii=False, allow_nan=False)
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
    return _head_of(extractor.networks[-1].network_, model.task)


def _exported(whole: nn.Module, readings: list[Reading]) -> Any:
    """Return the graph behind the pixels, for any number of images."""
    # Two, since a batch of one would be taken for a constant.
    levels = tuple(torch.zeros(2, channels, h, w) for h, w, channels in readings)
    batch = torch.export.Dim("n")
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            whole.eval(),
            levels,
            dynamo=True,
            input_names=[f"levels_{k}" for k in range(len(levels))],
            output_names=[PROBABILITIES, LABELS],
            dynamic_shapes=(({0: batch},) * len(levels),),
            opset_version=_OPSET,
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def _read(reading: Reading) -> Any:
    """Return the graph that reads images at a size."""
    onnx = require("onnx", _PURPOSE)
    from onnx.inliner import inline_local_functions

    from fewlabel.export.resize import _reading_model

    made = onnx.shape_inference.infer_shapes(inline_local_functions(_reading_model(*reading)))
    _name_types(made.graph, {})
    return made


def _name_types(graph: Any, outer: dict[str, int]) -> None:
    """Replace CastLike by Cast, in branches too: ONNX Runtime warns of each one that it loads."""
    from onnx import helper

    typed = [*graph.input, *graph.value_info, *graph.output]
    types = outer | {value.name: value.type.tensor_type.elem_type for value in typed}
    for node in graph.node:
        if node.op_type == "CastLike":
            node.op_type = "Cast"
            node.attribute.append(helper.make_attribute("to", types[node.input.pop()]))
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _name_types(attribute.g, types)


def _joined(onnx: Any, readers: list[Any], body: Any) -> Any:
    """Return one model of what reads images and what looks at them."""
    helper, graph = onnx.helper, body.graph
    nodes = []
    for number, reader in enumerate(readers):
        prefixed = onnx.compose.add_prefix(reader, f"read_{number}/", rename_inputs=False)
        (found,) = (value.name for value in prefixed.graph.output)
        nodes += [*prefixed.graph.node, helper.make_node("Identity", [found], [f"levels_{number}"])]
    images = helper.make_tensor_value_info(
        INPUT, onnx.TensorProto.UINT8, ["n", "height", "width", "channels"]
    )
    made = helper.make_graph(
        [*nodes, *graph.node], "fewlabel", [images], graph.output, graph.initializer
    )
    opset = helper.make_opsetid("", _OPSET)
    return helper.make_model(made, opset_imports=[opset], ir_version=body.ir_version)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter, which reports on its steps and warns of its own parts."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
