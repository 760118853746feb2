"""What an image costs, in seconds and memory, from ten thousand to a million of them.

    FEWLABEL_DATA=... python benchmarks/scaling.py --folder FOLDER

`select` with a budget of 500, features included, then `fit` with the labels of these images and the
features that `select` has kept, and everything that it writes: each in a process of its own. The
images are those of `many_images.py`. A record a size is added to
`benchmarks/results/scaling.jsonl`, and the last of each size is drawn into
`docs/images/scaling.svg`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import contest

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
BUDGET, N_CLASSES, SEED = 500, 20, 201
RECORD = Path("benchmarks/results/scaling.jsonl")
FIGURE = Path("docs/images/scaling.svg")


class Memory(threading.Thread):
    """Watches what this process holds: all, and what could not be read from files again."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = {"VmRSS": 0.0, "RssAnon": 0.0}

    def run(self) -> None:
        """Look twenty times a second."""
        while True:
            self.look()
            time.sleep(0.05)

    def look(self) -> None:
        """Note the peaks, in 10^6 bytes."""
        for line in Path("/proc/self/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in self.peak:
                self.peak[name] = max(self.peak[name], int(value.split()[0]) * 1024 / 1e6)


def prefix(folder: Path, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Map the first n images, and read their classes."""
    X = np.load(folder / "images.npy", mmap_mode="r")
    if len(X) < n:
        raise SystemExit(f"{folder} holds {len(X):,} images: python benchmarks/many_images.py {n}")
    return X[:n], np.load(folder / "labels.npy")[:n]


def select(folder: Path, n: int, state: Path) -> dict[str, Any]:
    """Choose images to label, and keep which."""
    from fewlabel.data import load_images
    from fewlabel.pipeline import select_images

    chosen = select_images(load_images(prefix(folder, n)[0]), BUDGET, seed=SEED, cache=True)
    np.savez(state / "picks.npz", rows=chosen.indices, purpose=chosen.purpose.astype(str))
    return {"stages": chosen.seconds}


def fit(folder: Path, n: int, state: Path) -> dict[str, Any]:
    """Fit, save the run, and compare the predictions with the classes."""
    from fewlabel.data import Labels, load_images
    from fewlabel.pipeline import FitSettings, fit_images
    from fewlabel.runs.folder import save_run

    X, y = prefix(folder, n)
    images, picks = load_images(X), np.load(state / "picks.npz")
    codes, purpose = np.full(n, -1), np.full(n, "", object)
    codes[picks["rows"]], purpose[picks["rows"]] = y[picks["rows"]], picks["purpose"]
    labels = Labels(codes, tuple(map(str, range(N_CLASSES))), tuple(purpose.tolist()))
    result = fit_images(images, labels, FitSettings(seed=SEED, cache=True))
    start = time.perf_counter()
    save_run(result, images, state / "run")
    stages = {k: v for k, v in result.seconds.items() if k not in ("report", "networks")}
    rest = codes < 0
    baseline = result.baseline.proba[rest].argmax(axis=1)
    return {
        "stages": stages | {"save": time.perf_counter() - start},
        "accuracy": float((result.predicted[rest] == y[rest]).mean()),
        "supervised_accuracy": float((baseline == y[rest]).mean()),
        "estimate": [result.estimate.value, result.estimate.low, result.estimate.high],
        "method": result.method,
        "settings": result.chosen_settings,
        "n_duplicates": result.n_duplicates,
        "n_near_copies": result.n_near_copies,
    }


def work(job: Callable[[Path, int, Path], dict[str, Any]], *args: Any) -> None:
    """Do one job in this process, and print its figures."""
    memory = Memory()
    memory.start()
    start, used = time.perf_counter(), time.process_time()
    found = job(*args)
    memory.look()
    found |= {
        "seconds": time.perf_counter() - start,
        "processor_seconds": time.process_time() - used,
        "peak_rss_mb": memory.peak["VmRSS"],
        "peak_anonymous_mb": memory.peak["RssAnon"],
        "load_average": os.getloadavg()[0],
    }
    print(json.dumps(_rounded(found)))


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def measure(folder: Path, n: int, work_folder: Path | None) -> dict[str, Any]:
    """Run both jobs on n images, each in a new process with one cache of features."""
    with tempfile.TemporaryDirectory(dir=work_folder) as state:
        record: dict[str, Any] = {"n": n, "threads": os.environ.get("OMP_NUM_THREADS", "all")}
        for name in ("select", "fit"):
            command = [sys.executable, __file__, "--folder", str(folder)]
            done = subprocess.run(
                [*command, "--job", name, "--sizes", str(n), "--state", state],
                env=os.environ | {"FEWLABEL_CACHE": str(Path(state) / "cache")},
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            record[name] = json.loads(done.stdout.splitlines()[-1])
            print(n, name, record[name], flush=True)
        return record | {"machine": contest.machine()}


def exponent(records: list[dict[str, Any]], cost: Callable[[dict[str, Any]], float]) -> float:
    """Return the power of n by which a cost grows, from 100,000 images on."""
    large = [record for record in records if record["n"] >= 100_000]
    n, seconds = ([f(r) for r in large] for f in (lambda r: r["n"], cost))
    return float(np.polyfit(np.log(n), np.log(seconds), 1)[0]) if len(large) > 1 else float("nan")


def whole_fit(record: dict[str, Any]) -> float:
    """Processor seconds of `fit`, with the share of `select`'s that its features took."""
    found = record["select"]
    share = found["stages"]["features"] / found["seconds"]
    return float(record["fit"]["processor_seconds"] + share * found["processor_seconds"])


def latest() -> list[dict[str, Any]]:
    """Read the last record of each size, ascending."""
    records = [json.loads(line) for line in RECORD.read_text().splitlines()]
    return sorted({record["n"]: record for record in records}.values(), key=lambda r: r["n"])


def plot(records: list[dict[str, Any]]) -> None:
    """Draw processor seconds and peak memory over the number of images."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    n = [record["n"] for record in records]
    costs: dict[str, Callable[[dict[str, Any]], float]] = {
        "fit, features included": whole_fit,
        "select, features included": lambda r: r["select"]["processor_seconds"],
    }
    for name, cost in costs.items():
        power = exponent(records, cost)
        label = name if np.isnan(power) else f"{name} (n^{power:.2f} from 100,000 on)"
        left.plot(n, [cost(record) for record in records], "o-", label=label)
    left.set(xscale="log", yscale="log", xlabel="images", ylabel="processor seconds")
    for job in ("fit", "select"):
        for kind, style in (("peak_rss_mb", "o-"), ("peak_anonymous_mb", "o:")):
            what = "" if kind == "peak_rss_mb" else ", without mapped files"
            memory = [record[job][kind] / 1000 for record in records]
            right.plot(n, memory, style, label=f"{job}{what}")
    right.set(xscale="log", xlabel="images", ylabel="peak memory (GB)", ylim=(0, None))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    figure.savefig(FIGURE, metadata={"Date": None})


def main() -> None:
    """Measure, record and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--work", type=Path, help="where features and runs are kept meanwhile")
    parser.add_argument("--plot", action="store_true", help="draw the records, measure nothing")
    parser.add_argument("--job", choices=("select", "fit"))
    parser.add_argument("--state", type=Path)
    args = parser.parse_args()
    if args.job:
        work({"select": select, "fit": fit}[args.job], args.folder, args.sizes[0], args.state)
        return
    for n in [] if args.plot else args.sizes:
        record = measure(args.folder, n, args.work)
        with RECORD.open("a") as out:
            out.write(json.dumps(record) + "\n")
    plot(latest())


if __name__ == "__main__":
    main()
