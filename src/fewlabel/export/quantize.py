"""A file of a quarter of the size: weights, and what the layers of networks give, in eight bits."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from fewlabel.data import ImageSet, Labels
from fewlabel.export.assemble import SCOPES, _quiet
from fewlabel.export.check import _milliseconds, _native, _probabilities, _session
from fewlabel.extras import require
from fewlabel.model import Model

# Labeled images that eight bits are measured on, at most.
_MAX_LABELED = 1_000
# Pictures that tell in which range the values of each layer lie.
_MAX_PICTURES = 128
# What follows a convolution and must be in eight bits, too, or each value would go back and forth.
_LAYERS = ("Conv", "Clip", "Relu", "Add", "MaxPool")
# Products with fewer weights than this are no size to speak of.
_MIN_WEIGHTS = 4_096


def _in_eight_bits(
    content: bytes,
    session: Any,
    model: Model,
    images: ImageSet,
    labels: Labels,
    sample: list[np.ndarray],
) -> tuple[bytes, dict[str, Any]]:
    """Return a file in eight bits, and what that costs on labeled images."""
    rows = labels.labeled
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), _MAX_LABELED)).astype(int)]
    pictures = [_native(images, row)[None] for row in rows.tolist()]
    small = _quantize(content, pictures)
    quick = _session(small)
    before, after = (_probabilities(each, pictures) for each in (session, quick))
    y, task = labels.y[rows], model.task
    changed = (task.decided(before) != task.decided(after)).any(axis=1)
    return small, {
        "n": len(rows),
        "accuracy_before": float(task.correct(y, before).mean()),
        "accuracy": float(task.correct(y, after).mean()),
        "n_changed": int(changed.sum()),
        "n_bytes": len(small),
        "milliseconds": _milliseconds(quick, sample),
    }


def _quantize(content: bytes, pictures: list[np.ndarray]) -> bytes:
    """Return a file in eight bits; pictures (1, H, W, C) tell the ranges of convolutions."""
    onnx, _ = require("onnx", "--int8"), require("onnxruntime", "--int8")
    from onnxruntime import quantization

    class Pictures(quantization.CalibrationDataReader):
        rest = iter(pictures[:_MAX_PICTURES])

        def get_next(self) -> dict[str, np.ndarray] | None:
            pixels = next(self.rest, None)
            return None if pixels is None else {"images": pixels}

    layers, products = _heavy_nodes(onnx.load_from_string(content))
    # Quiet: it recommends a step that would fold the reading of images away.
    with _quiet(), tempfile.TemporaryDirectory() as folder:
        # By way of files: a model in memory would be changed.
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(content)
        if products:
            quantization.quantize_dynamic(source, target, nodes_to_quantize=products)
            source.write_bytes(target.read_bytes())
        if layers:
            quantization.quantize_static(
                source,
                target,
                Pictures(),
                nodes_to_quantize=layers,
                per_channel=True,
                # Bytes without a sign are quick on all x86 processors.
                activation_type=quantization.QuantType.QUInt8,
            )
        return (target if products or layers else source).read_bytes()


def _heavy_nodes(made: Any) -> tuple[list[str], list[str]]:
    """Return the names of the layers of networks, and of products with many weights."""
    sizes = {weights.name: int(np.prod(weights.dims)) for weights in made.graph.initializer}
    layers, last = list[tuple[int, str]](), -1
    products: dict[bool, list[str]] = {True: [], False: []}
    for place, node in enumerate(made.graph.node):
        scopes = next((part.value for part in node.metadata_props if part.key == SCOPES), "")
        of_network = ".network" in scopes
        if of_network and node.op_type in _LAYERS:
            layers.append((place, node.name))
            last = place if node.op_type == "Conv" else last
        is_heavy = max((sizes.get(name, 0) for name in node.input), default=0) >= _MIN_WEIGHTS
        # The stored rows of a graph decide which are nearest, and stay as they are.
        if node.op_type in ("MatMul", "Gemm") and is_heavy and (of_network or ".reduce" in scopes):
            products[of_network].append(node.name)
    # Beside a network, reductions stay as they are: they enlarge what eight bits change before.
    has_network = last >= 0 or bool(products[True])
    return [name for place, name in layers if place <= last + 1], products[has_network]
