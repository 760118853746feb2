"""ONNX Runtime against torch: the same model, the same threads, single images and batches of 64.

Run as ``python benchmarks/bench_export.py``; it prints a line a model and batch: median
milliseconds of each, and their ratio. torch computes in float32, as the files do, and in what suits
the processor.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import torch

from fewlabel.compute import _full_precision
from fewlabel.data.task import SingleLabel
from fewlabel.export.assemble import _assembled
from fewlabel.export.candidate_modules import _Activated, _Whole
from fewlabel.export.feature_modules import _BackboneRows, _NetworkRows
from fewlabel.features.backbone import Backbone
from fewlabel.nets import NetworkSpec, build_network
from fewlabel.nets.loop import predict_logits

RUNS, SECONDS = 200, 4.0
BATCHES = (1, 64)


def main() -> None:
    """Measure the student of Fashion-MNIST and a MobileNet at 128 pixels."""
    threads = torch.get_num_threads()
    print(f"{threads} thread(s); median ms a call: ONNX Runtime, torch float32, torch here; ratio")
    spec = NetworkSpec("resnet", (1, 28, 28), 10)
    network = build_network(spec).eval()
    student = _NetworkRows(network)

    def run_student(pixels: np.ndarray) -> Any:
        return predict_logits(network, torch.from_numpy(pixels[..., 0]), torch.device("cpu"))

    compare("student 28 px", student, run_student, (28, 28, 1), threads)
    backbone = Backbone("tf_efficientnet_lite0", size=128)
    backbone._load()
    rows = _BackboneRows(backbone)
    compare("tf_efficientnet_lite0 128 px", rows, backbone._forward, (128, 128, 3), threads)


def compare(
    name: str,
    module: Any,
    run: Callable[[np.ndarray], Any],
    shape: tuple[int, int, int],
    threads: int,
) -> None:
    """Print how long a module takes as a file and in torch, behind pixels of its own size."""
    task = SingleLabel()
    width = 10 if shape[2] == 1 else 1_280
    whole = _Whole(module, _Activated(task), task, task.calibration(), np.arange(width), width)
    made = _assembled(whole)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    session = onnxruntime.InferenceSession(made.SerializeToString(), options)
    rng = np.random.default_rng(0)
    for batch in BATCHES:
        pixels = rng.integers(0, 256, (batch, *shape), np.uint8)
        ours = median(lambda pixels=pixels: session.run(None, {"images": pixels}))
        with _full_precision():
            exact = median(lambda pixels=pixels: run(pixels))
        here = median(lambda pixels=pixels: run(pixels))
        print(
            f"{name}, batch {batch}: {ours:.2f}, {exact:.2f}, {here:.2f}; "
            f"torch/ONNX {exact / ours:.2f}, {here / ours:.2f}; {1e3 * batch / ours:,.0f} images/s"
        )


def median(call: Callable[[], Any]) -> float:
    """Return the median milliseconds of calls, after three to warm up."""
    for _ in range(3):
        call()
    seconds, end = [], time.perf_counter() + SECONDS
    while len(seconds) < RUNS and (len(seconds) < 5 or time.perf_counter() < end):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return 1e3 * statistics.median(seconds)


if __name__ == "__main__":
    main()
