from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from threadpoolctl import threadpool_limits
from typer.testing import CliRunner, Result

from fewlabel.cli import app

SRC = Path(__file__).parents[2] / "src"
QUICK = ("--features", "pixels", "--no-cache")
Run = Callable[..., Result]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Use one thread: on forty images, more only wait for each other."""
    with threadpool_limits(1):
        yield


def cli(*args: object) -> Result:
    """Call the command line in this process."""
    return CliRunner().invoke(app, [str(a) for a in args], prog_name="fewlabel")


@pytest.fixture
def run_cli(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Call the command line in this process, in a terminal of eighty columns."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    return cli


def start_cli(*args: object, code: str = "") -> subprocess.Popen:
    """Start the command line in a process of its own."""
    how = ["-c", code] if code else ["-m", "fewlabel"]
    return subprocess.Popen(
        [sys.executable, *how, *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(SRC), "OMP_NUM_THREADS": "1"},
        # A test suite in the background ignores SIGINT, and its children would too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def refused(result: Result, *parts: str) -> None:
    """Assert that a command ended with one line, ``error: …``, that has these parts."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    *before, last = result.stderr.splitlines()
    assert last.startswith("error: ")
    assert not any(line.startswith("error: ") for line in before)
    assert [part for part in parts if part not in last] == [], last


def draw(folder: Path, n: int, *, classes: tuple[str, ...] = ("dark", "light")) -> list[str]:
    """Draw ``n`` gray 8x8 images, of brightness by class; return their labels."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    labels = []
    for i in range(n):
        k = i % len(classes)
        level = 40 + 170 * k // max(1, len(classes) - 1)
        pixels = np.clip(rng.normal(level, 15, (8, 8)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:03}.png")
        labels.append(classes[k])
    return labels


def draw_several(folder: Path, n: int, seed: int = 0) -> list[str]:
    """Draw images with a bar, a frame, both or neither; return their labels."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    labels = []
    for number in range(n):
        pixels = rng.normal(40, 10, (16, 16))
        bar, frame = (rng.random(2) < 0.5).tolist()
        if bar:
            pixels[:, 7:9] += 130
        if frame:
            pixels[[0, -1]] += 150
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / f"{number:03}.png")
        labels.append("|".join(["bar"] * bar + ["rähmen"] * frame) + "|" * (not bar or not frame))
    return labels


def _write_table(path: Path, labels: dict[str, str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label"), *labels.items()])
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of 40 dark and light images, alternately: 000.png is dark, 001.png light."""
    draw(tmp_path / "photos", 40)
    return tmp_path / "photos"


@pytest.fixture
def label_table(tmp_path: Path) -> Path:
    """Labels of the first eight photos."""
    labels = {f"{i:03}.png": "light" if i % 2 else "dark" for i in range(8)}
    return _write_table(tmp_path / "labels.csv", labels)


@dataclass
class World:
    """A messy folder of one's own, a table with some labels, and a run, as fit printed it."""

    photos: Path
    labels: Path
    truth: Path
    run: Path
    printed: Result
    names: tuple[str, str]
    metric: str
    draw: Callable[..., list[str]]


@pytest.fixture(scope="session", params=["one label", "several labels"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A folder and its run, made once for each task."""
    root = tmp_path_factory.mktemp(request.param)
    several = request.param == "several labels"
    draw_them = draw_several if several else draw
    photos = root / "äußere bilder"
    labels = {f"{i:03}.png": label for i, label in enumerate(draw_them(photos, 90))}
    (photos / "leer.png").write_bytes(b"")
    (photos / "notes.txt").write_text("not an image")
    known = dict(list(labels.items())[:40]) | {"leer.png": "bar|" if several else "dark"}
    return World(
        photos,
        _write_table(root / "labels.csv", known),
        _write_table(root / "truth.csv", dict(list(labels.items())[40:])),
        root / "run",
        cli("fit", photos, "--labels", root / "labels.csv", "--out", root / "run", *QUICK),
        ("bar", "rähmen") if several else ("dark", "light"),
        "exact match" if several else "accuracy",
        draw_them,
    )
