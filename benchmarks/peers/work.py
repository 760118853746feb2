"""Run one method of one peer in this process: what `run.py` starts in the peer's environment.

    python work.py with_sklearn.py "logistic regression" FOLDER --labels 500 --seed 81 --out OUT.npz

Needs numpy and the peer, not fewlabel. Imports, reading and writing are not timed. Peak memory is
that of the whole process, with the interpreter, the libraries and the data.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np


def load(folder: Path, n_labels: int, seed: int) -> SimpleNamespace:
    """Read what a method may know: features, labels (-1 where unknown), the seed; no truth."""
    arrays = {path.stem: np.load(path) for path in folder.glob("*.npy")}
    # Of unit length, as fewlabel's graph compares them: on seed 101 better for each peer.
    units = {f"{name}_unit": _unit(arrays[name]) for name in ("X", "X_test") if name in arrays}
    labels = np.load(folder / f"labels_{n_labels}.npz") if n_labels else {}
    about = {"folder": folder, "n_labels": n_labels, "seed": seed}
    return SimpleNamespace(**about, **arrays, **units, **dict(labels))


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-12)


def main() -> None:
    """Time one method, write its result, and print seconds and megabytes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("method")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--labels", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gigabytes", type=float, default=10)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    limit = int(args.gigabytes * 1e9)
    # What asks for more than there is fails as such, instead of taking the machine with it.
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    warnings.simplefilter("ignore")
    spec = importlib.util.spec_from_file_location(args.file.stem, args.file)
    peer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(peer)
    task = load(args.folder, args.labels, args.seed)
    work = peer.METHODS[args.method](task)
    start, busy = time.perf_counter(), time.process_time()
    result = work()
    # Beside other programs the processor's seconds are what can be compared.
    busy, seconds = time.process_time() - busy, time.perf_counter() - start
    np.savez(args.out, result=result)
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM"))
    figures = {"seconds": seconds, "processor_seconds": busy, "peak_rss_mb": peak}
    json.dump({key: round(value, 3) for key, value in figures.items()}, sys.stdout)


if __name__ == "__main__":
    main()
