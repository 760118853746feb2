"""Ray on one machine against one process: the same commands on the same files, side by side.

Run as ``python benchmarks/bench_ray.py [--images N] [--repeats N] [--fit]``, with
``FEWLABEL_DATA`` set and the extra `ray` installed. It writes images of Fashion-MNIST and MNIST as
PNG files and as Parquet, fits a model once, and times `fewlabel predict` (and with ``--fit``
`select` and `fit`) with either engine, each in a process of its own and in turn. The times hold
everything: the start of Python and of Ray, listing, reading, writing. Medians and ratios go into
``benchmarks/results/ray.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from PIL import Image

from fewlabel.data import ImageSet, load_images
from fewlabel.runs.model import load_run
from fewlabel.scale.predict import _Predictor
from fewlabel.scale.ray import BLOCK, ray_cluster
from fewlabel.threads import _processor_name, _usable_cores

RESULTS = Path(__file__).parent / "results" / "ray.json"
N_LABELS, ROWS_PER_GROUP = 500, 1_024


def main() -> None:
    """Measure, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--fit", action="store_true", help="time select and fit, too")
    parser.add_argument("--rate", action="store_true", help="measure the workers' rate alone")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        record = measure(Path(folder), given)
    RESULTS.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=2))


def measure(home: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Return the seconds of every command with either engine."""
    write_images(home, given.images)
    fit_once(home, given.seed)
    files, table, run = (str(home / name) for name in ("files", "photos.parquet", "run"))
    work = {
        "predict, files": (["predict", run, files, "--out"], "predictions"),
        "predict, Parquet": (["predict", run, table, "--out"], "predictions"),
    }
    if given.rate:
        work = {}
    if given.fit:
        labels = str(home / "labels.csv")
        select = ["select", files, "--budget", str(N_LABELS), "--no-cache", "--out"]
        fit = ["fit", files, "--labels", labels, "--no-cache", "--explain", "0", "--out"]
        work |= {"select, files": (select, "picks.csv"), "fit, files": (fit, "fitted")}
    rate = worker_rate(home)
    rows = {name: compare(home, *each, given.repeats) for name, each in work.items()}
    return {
        "command": f"python benchmarks/bench_ray.py {' '.join(sys.argv[1:])}".strip(),
        "processor": _processor_name(),
        "cores": _usable_cores(),
        "load": os.getloadavg()[0],
        "n_images": given.images,
        "repeats": given.repeats,
        "same_labels": None if given.rate else same_labels(home),
        "worker": rate,
        "seconds": rows,
    }


def write_images(home: Path, n: int) -> None:
    """Write distinct images as files and as one Parquet table."""
    sources = ("fashion-mnist:train", "mnist:train", "fashion-mnist:test")
    pixels = np.concatenate([pixels_of(load_images(name)) for name in sources])[:n]
    if len(pixels) < n:
        raise SystemExit(f"There are only {len(pixels):,} images: give --images.")
    (home / "files").mkdir()
    names = [f"{row:06}.png" for row in range(n)]
    for name, image in zip(names, pixels, strict=True):
        Image.fromarray(image).save(home / "files" / name, compress_level=1)
    contents = [(home / "files" / name).read_bytes() for name in names]
    columns = pa.table({"path": names, "bytes": contents})
    pa.parquet.write_table(columns, home / "photos.parquet", row_group_size=ROWS_PER_GROUP)


def pixels_of(images: ImageSet) -> np.ndarray:
    """Return all images, (n, 28, 28)."""
    return images.read(slice(None))[..., 0]


def fit_once(home: Path, seed: int) -> None:
    """Fit the model that predicts, on 10,000 of the images of which 500 are labeled."""
    truth = load_images("fashion-mnist:train").truth
    rows = np.sort(np.random.default_rng(seed).choice(10_000, N_LABELS, replace=False))
    lines = [f"{row:06}.png,{truth[row]}" for row in rows]
    (home / "labels.csv").write_text("path,label\n" + "\n".join(lines) + "\n", encoding="utf-8")
    (home / "some").mkdir()
    for row in range(10_000):
        name = f"{row:06}.png"
        os.link(home / "files" / name, home / "some" / name)
    words = ["fit", str(home / "some"), "--labels", str(home / "labels.csv"), "--explain", "0"]
    timed(home, [*words, "--no-cache", "--out", str(home / "run")])


def compare(home: Path, words: list[str], out: str, repeats: int) -> dict[str, Any]:
    """Run a command with one engine and the other in turn."""
    found: dict[str, list[float]] = {"local": [], "ray": []}
    for _ in range(repeats):
        for engine, each in found.items():
            suffix = {"local": ".csv", "ray": ".parquet"}[engine] if out == "predictions" else ""
            more = ["--engine", "ray"] if engine == "ray" else []
            each.append(timed(home, [*words, str(home / f"{out}{suffix}"), "--force", *more]))
    medians = {engine: statistics.median(each) for engine, each in found.items()}
    return {
        **{f"{engine}_seconds": round(value, 2) for engine, value in medians.items()},
        "ratio": round(medians["ray"] / medians["local"], 3),
        "runs": {engine: [round(run, 2) for run in each] for engine, each in found.items()},
    }


def timed(home: Path, words: list[str]) -> float:
    """Run a command of fewlabel; return its seconds."""
    # What a first look found is kept for the next command: each run has to look for itself.
    shutil.rmtree(home / "cache", ignore_errors=True)
    environment = os.environ | {"FEWLABEL_CACHE": str(home / "cache")}
    start = time.perf_counter()
    command = [sys.executable, "-m", "fewlabel", *words]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def worker_rate(home: Path) -> dict[str, float]:
    """Return how many images a worker does in a second of its core, which load changes little."""
    with ray_cluster():
        import ray

        state = ray.put(load_run(home / "run").to_state())
        predictor = _Predictor([state, ray.put((None, None, None, False))])
    names = sorted(path.name for path in (home / "files").iterdir())[: 8 * BLOCK]
    seconds = []
    for start in range(0, len(names), BLOCK):
        part = names[start : start + BLOCK]
        places = [os.fsencode(home / "files" / name) for name in part]
        urls = pa.array([None] * len(part), pa.string())
        columns = {"name": part, "place": places, "url": urls, "position": np.arange(len(part))}
        batch = pa.table(columns)
        begin = time.process_time()
        predictor(batch)
        seconds.append((time.process_time() - begin) / len(part))
    return {"images_per_core_second": round(1 / statistics.median(seconds[1:]), 1)}


def same_labels(home: Path) -> float:
    """Return the fraction of images that both engines label alike."""
    local = pa.csv.read_csv(home / "predictions.csv")["label"].cast(pa.string()).to_pylist()
    ray = pa.parquet.read_table(home / "predictions.parquet")["label"].to_pylist()
    return sum(one == other for one, other in zip(local, ray, strict=True)) / len(local)


if __name__ == "__main__":
    main()
