"""What happened in training, by epoch and by round: kept in files of their own, and drawn."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fewlabel.files import atomic_file

if TYPE_CHECKING:
    from .rounds import SelfTrained

FILE = "training.csv"
"""All curves of a run; also the name of the last full measurement in the study's folder."""

COLUMNS = ("row", "seed", "measure", "step", "value")

LOSS, SHARE, PRECISION = "loss", "share", "precision"
"""Loss by epoch; by round the share of unlabeled photos that is accepted, and is right."""


@dataclass(frozen=True)
class Point:
    """A point of a curve."""

    measure: str  # what was measured
    step: int  # epoch from 1, or round from 0
    value: float  # what came out


def epochs(history: Sequence[dict[str, Any]]) -> list[Point]:
    """Return the loss by epoch."""
    return [Point(LOSS, k, float(epoch["loss"])) for k, epoch in enumerate(history, start=1)]


def rounds(trained: SelfTrained, truth: np.ndarray) -> list[Point]:
    """Return what each round of self-training accepted, and how much of it is right."""
    entries = trained.ledger.columns()
    points = []
    for record in trained.records[1:]:
        held = (entries["revoked"] < 0) | (entries["revoked"] > record.round)
        stood = (entries["round"] <= record.round) & held
        points.append(Point(SHARE, record.round, float(stood.sum() / trained.n_unlabeled)))
        if stood.any():
            labels = trained.classes[entries["label"][stood]]
            right = float(np.mean(labels == truth[entries["row"][stood]]))
            points.append(Point(PRECISION, record.round, right))
    return points


def to_csv(row: str, seed: int, points: Sequence[Point]) -> bytes:
    """Write the curves of one row and seed."""
    return _table([(row, seed, p.measure, p.step, f"{p.value:.6g}") for p in points])


def gather(folder: Path) -> Path | None:
    """Put the curves of all rows and seeds of a run into one file."""
    lines: list[tuple[Any, ...]] = []
    for file in sorted(folder.glob("training-*-seed*.csv")):
        lines += [tuple(line) for line in csv.reader(io.StringIO(file.read_text("utf-8")))][1:]
    if not lines:
        return None
    with atomic_file(folder / FILE) as temporary:
        temporary.write_bytes(_table(lines))
    return folder / FILE


def read_means(file: Path, measure: str) -> dict[str, list[tuple[float, float]]]:
    """Average a curve over the seeds."""
    if not file.is_file():
        return {}
    values: dict[str, dict[int, list[float]]] = {}
    with file.open(encoding="utf-8", newline="") as opened:
        for line in csv.DictReader(opened):
            if line["measure"] == measure:
                steps = values.setdefault(line["row"], {})
                steps.setdefault(int(line["step"]), []).append(float(line["value"]))
    return {
        row: [(float(step), statistics.mean(found)) for step, found in sorted(steps.items())]
        for row, steps in values.items()
    }


def _table(lines: Sequence[tuple[Any, ...]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(lines)
    return text.getvalue().encode()
