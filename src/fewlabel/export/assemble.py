"""Modules and what reads images as one ONNX graph."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import torch

from fewlabel.export.candidate_modules import _Whole
from fewlabel.export.feature_modules import Reading
from fewlabel.extras import require

_PURPOSE = "`fewlabel export`"
_OPSET = 18
SCOPES = "pkg.torch.onnx.name_scopes"
"""Where torch notes the names of the modules that a node comes from."""


def _assembled(whole: _Whole) -> Any:
    """Return a model from uint8 images to probabilities and labels, an `onnx.ModelProto`."""
    onnx = require("onnx", _PURPOSE)
    require("onnxscript", _PURPOSE)
    return _joined(onnx, [_read(each) for each in whole.features.readings], _exported(whole))


def _exported(whole: _Whole) -> Any:
    """Return the graph behind the pixels, for any number of images."""
    # Two, since a batch of one would be taken for a constant.
    levels = tuple(torch.zeros(2, channels, h, w) for h, w, channels in whole.features.readings)
    batch = torch.export.Dim("n")
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            whole.eval(),
            levels,
            dynamo=True,
            input_names=[f"levels_{k}" for k in range(len(levels))],
            output_names=["probabilities", "labels"],
            dynamic_shapes=(({0: batch},) * len(levels),),
            opset_version=_OPSET,
            verbose=False,
        )
    assert program is not None
    made = program.model_proto
    for node in made.graph.node:
        # The rest names lines of code, by where they lie on this machine.
        kept = [part for part in node.metadata_props if part.key == SCOPES]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    return made


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
        "images", onnx.TensorProto.UINT8, ["n", "height", "width", "channels"]
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
