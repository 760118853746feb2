"""ONNX Runtime against torch: the same model on one thread, single images and many.

Run as ``python benchmarks/bench_export.py``; it prints the table of docs/decisions/0018-shipping.md
in two minutes: median milliseconds of the processor, which other work on the machine changes less
than those of a clock. torch computes in float32, as the files do, and in what suits the processor.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from fewlabel.compute import _full_precision, matmul_dtype
from fewlabel.data.task import SingleLabel
from fewlabel.export.assemble import _assembled
from fewlabel.export.candidate_modules import _Activated, _Whole
from fewlabel.export.check import _session
from fewlabel.export.feature_modules import _BackboneRows, _NetworkRows
from fewlabel.export.quantize import _quantize
from fewlabel.features.backbone import Backbone
from fewlabel.nets import NetworkSpec, build_network
from fewlabel.nets.loop import predict_logits

RUNS, SECONDS = 200, 2.0
# Images, and how many of them at once.
BATCHES = ((1, 1), (64, 64), (64, 8))
Run = Callable[[np.ndarray], Any]


def main() -> None:
    """Measure the student of Fashion-MNIST and a MobileNet at 128 pixels."""
    torch.set_num_threads(1)
    here = str(matmul_dtype()).removeprefix("torch.")
    print(f"| model | images | ONNX Runtime | in 8 bits | torch float32 | torch {here} |")
    print("|---|---|---|---|---|---|")
    network = build_network(NetworkSpec("resnet", (1, 28, 28), 10)).eval()

    def run_student(pixels: np.ndarray) -> Any:
        return predict_logits(network, torch.from_numpy(pixels[..., 0]), torch.device("cpu"))

    compare("network of 28×28 pixels", _NetworkRows(network), run_student, (28, 28, 1), 10)
    backbone = Backbone("tf_efficientnet_lite0", size=128)
    backbone._load()
    rows = _BackboneRows(backbone)
    compare("tf_efficientnet_lite0, 128 pixels", rows, backbone._forward, (128, 128, 3), 1_280)


def compare(name: str, module: Any, run: Run, shape: tuple[int, int, int], width: int) -> None:
    """Print how long a module takes as a file and in torch, behind pixels of its own size."""
    task = SingleLabel()
    whole = _Whole(module, _Activated(task), task, task.calibration(), np.arange(width), width)
    content = _assembled(whole).SerializeToString()
    images = np.random.default_rng(0).integers(0, 256, (64, *shape), np.uint8)
    small = _quantize(content, [image[None] for image in images[:16]])
    sessions = [_session(content), _session(small)]
    for n, at_once in BATCHES:
        parts = np.split(images[:n], range(at_once, n, at_once))
        cells = [median(partial(session_run, session), parts) for session in sessions]
        with _full_precision():
            cells.append(median(run, parts))
        cells.append(median(run, parts))
        text = " | ".join(f"{cell:.3g}" for cell in cells)
        print(f"| {name} | {n}{'' if n == at_once else f', {at_once} at once'} | {text} |")


def session_run(session: Any, pixels: np.ndarray) -> Any:
    """Run a file."""
    return session.run(None, {"images": pixels})


def median(call: Run, parts: list[np.ndarray]) -> float:
    """Return the median milliseconds of the processor for all parts, after two calls to warm up."""
    seconds: list[float] = []
    while len(seconds) < 7 or (len(seconds) < RUNS and sum(seconds) < SECONDS):
        start = time.process_time()
        for part in parts:
            call(part)
        seconds.append(time.process_time() - start)
    return 1e3 * statistics.median(seconds[2:])


if __name__ == "__main__":
    main()
