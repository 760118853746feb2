from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from threadpoolctl import threadpool_limits
from typer.testing import CliRunner, Result

from fewlabel.cli import app

SRC = Path(__file__).parents[2] / "src"


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Use one thread: on forty images, more only wait for each other."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def run_cli(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Call the command line in this process."""
    # Eighty columns, whatever terminal the tests run in.
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")

    def run(*args: object) -> Result:
        return CliRunner().invoke(app, [str(a) for a in args], prog_name="fewlabel")

    return run


@pytest.fixture
def start_cli() -> Callable[..., subprocess.Popen]:
    """Start the command line in a process of its own."""

    def start(*args: object, code: str = "", **options: object) -> subprocess.Popen:
        how = ["-c", code] if code else ["-m", "fewlabel"]
        return subprocess.Popen(
            [sys.executable, *how, *map(str, args)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(SRC), "OMP_NUM_THREADS": "1"},
            # A test suite in the background ignores SIGINT, and its children would too.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            **options,
        )

    return start


def draw(folder: Path, n: int, *, classes: tuple[str, ...] = ("dark", "light")) -> list[str]:
    """Draw ``n`` grey 8x8 images, of brightness by class; give their labels."""
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


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of 40 dark and light images, alternately: 000.png is dark, 001.png light."""
    draw(tmp_path / "photos", 40)
    return tmp_path / "photos"


@pytest.fixture
def label_table(tmp_path: Path) -> Path:
    """Labels of the first eight photos."""
    rows = [f"{i:03}.png,{'light' if i % 2 else 'dark'}" for i in range(8)]
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(["path,label", *rows]) + "\n")
    return table
