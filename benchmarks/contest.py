"""What the speed benchmarks share: one process a contender, turn and turn about.

A contender runs in a process of its own, so that its peak memory is its own, and the contenders
take turns, so that a busy machine slows all of them alike.
"""

from __future__ import annotations

import gzip
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import fewlabel

FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
PACKAGES = ("numpy", "torch", "scikit-learn", "faiss-cpu")


def fashion_mnist(*splits: str) -> np.ndarray:
    """Images of Fashion-MNIST from ``FEWLABEL_DATA``, (n, 784) float32 in [0, 1]."""
    folder = Path(os.environ["FEWLABEL_DATA"]) / "fashion-mnist"
    parts = []
    for split in splits:
        with gzip.open(folder / f"{split}-images-idx3-ubyte.gz") as file:
            parts.append(np.frombuffer(file.read(), dtype=np.uint8, offset=16).reshape(-1, 784))
    return np.concatenate(parts).astype(np.float32) / 255


def machine() -> dict[str, Any]:
    """Describe the processor and the versions, without names of hosts or paths."""
    text = Path("/proc/cpuinfo").read_text() if sys.platform == "linux" else ""
    names = [line.split(":")[1].strip() for line in text.splitlines() if "model name" in line]
    flags = next((line.split() for line in text.splitlines() if line.startswith("flags")), [])
    versions = {"fewlabel": fewlabel.__version__}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "processor": names[0] if names else platform.machine(),
        "cores": os.cpu_count(),
        # Above the number of cores, somebody else was computing too: trust ratios, not seconds.
        "load_average_15_min": round(os.getloadavg()[2], 1),
        "instruction_sets": [flag for flag in FLAGS if flag in flags],
        "python": platform.python_version(),
        "versions": versions,
    }


def peak_mb() -> float:
    """Peak resident memory of this process, in 10^6 bytes; not a number outside Linux.

    ``getrusage`` would not do: Linux starts a child's peak at the peak of its parent.
    """
    if sys.platform != "linux":
        return float("nan")
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM"))


def timed(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """Run the work of a contender; seconds, and the peak memory of the process after it."""
    start = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start
    return result, {"seconds": seconds, "peak_rss_mb": peak_mb()}


def contest(script: str, names: list[str], repeats: int, *args: str) -> dict[str, dict[str, Any]]:
    """Run every contender ``repeats`` times, in turns, and take medians."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for turn in range(repeats):
        for name in names:
            command = [sys.executable, script, "--contender", name, *args]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            runs[name].append(json.loads(done.stdout.splitlines()[-1]))
            print(f"{turn + 1}/{repeats} {name}: {runs[name][-1]}", file=sys.stderr, flush=True)
    return {
        name: {
            **{key: round(statistics.median(r[key] for r in rows), 4) for key in rows[0]},
            "all_seconds": [round(row["seconds"], 3) for row in rows],
        }
        for name, rows in runs.items()
    }


def ratios(results: dict[str, dict[str, Any]], ours: str) -> dict[str, float]:
    """How many times longer each contender took than ours."""
    base = results[ours]["seconds"]
    return {name: round(row["seconds"] / base, 2) for name, row in results.items() if name != ours}


def write(path: str, record: dict[str, Any]) -> None:
    """Write the record as JSON and print it."""
    from fewlabel.files import atomic_file

    text = json.dumps(record, indent=2) + "\n"
    with atomic_file(path) as temporary:
        temporary.write_text(text)
    print(text)
