"""How long an answer takes in the label store: kept on the disk, and the label table written.

Run it as ``python benchmarks/bench_answers.py``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from fewlabel.data import image_set_from_array
from fewlabel.labelling.store import Answer, open_store


def main() -> None:
    """Print the milliseconds of an answer, of the next images and of opening."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--answers", type=int, default=5_000)
    parser.add_argument("--timed", type=int, default=200)
    given = parser.parse_args()
    pixels = np.random.default_rng(0).integers(0, 255, (given.images, 28, 28), np.uint8)
    images = image_set_from_array(pixels)
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "labels.csv"
        with open_store(images, table) as store:
            store.add([_answer(row) for row in range(given.answers - given.timed)])
            rows = range(given.answers - given.timed, given.answers)
            show("an answer", [_seconds(lambda r=row: store.add([_answer(r)])) for row in rows])
            ask = [_seconds(lambda: store.lease("Ann", range(given.images), 2)) for _ in rows]
            show("a lease of two", ask)
            show("a poll of the table", [_seconds(store.take_table) for _ in rows])
        show("opening again", [_seconds(lambda: open_store(images, table).close())])


def show(what: str, seconds: list[float]) -> None:
    """Print the mean and the tail of some times."""
    mean, tail = np.mean(seconds) * 1e3, np.quantile(seconds, 0.95) * 1e3
    print(f"{what:20} {mean:8.2f} ms on average, {tail:8.2f} ms at the 95th percentile")


def _answer(row: int) -> Answer:
    return Answer(row, (str(row % 10),), "Ann", 1.5)


def _seconds(step: object) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
