"""Commands that write, killed at random moments: what they write is whole or absent.

    python benchmarks/kills.py predict --n 50
    python benchmarks/kills.py evaluate | select | explain | fit | export | onnx | check | rerun

A command is run in a process that is forked from this one, where everything is imported already,
so the moments (uniform over the time that it takes) fall on its work and not on the start of
Python. After each kill every output must be as an uninterrupted run leaves it, or as it was
before; every third replaces an output that stands there. The same command again must succeed, give
the same bytes, and leave nothing else behind. Findings are added to results/kills.json.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from typer.testing import CliRunner

from fewlabel.cli import app

RESULT = Path(__file__).parent / "results" / "kills.json"
LABELS = "--labels labels.csv"
COMMANDS = {
    "predict": "predict run images --out out/predictions.csv --force",
    "evaluate": f"evaluate run images {LABELS} --out out/evaluation.html --force",
    "select": "select images --budget 12 --out out/labels.csv --force",
    "explain": "explain run images/i007.png --out out/why.png --force",
    "fit": f"fit images {LABELS} --features pixels --explain 0 --out out/run --force",
    "export": f"answers export images {LABELS} --out out/labels.csv --force",
    "onnx": "export run --onnx out/model.onnx --images images --force",
    "check": "check run images --out out/check.html --force",
    "rerun": "rerun run --out out/run --force",
}
# What differs from run to run though nothing else does: times, and the measured speed.
VOLATILE = re.compile(r"(metrics|run)\.json|(report|evaluation|check)\.html|model_card\.md")


def prepare(place: Path) -> None:
    """Write images and labels, and fit a run."""
    (place / "images").mkdir()
    rows = ["path,label"]
    for i in range(60):
        pixels = np.random.default_rng(i).integers(0, 120, (24, 24)) + 120 * (i % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(place / "images" / f"i{i:03d}.png")
        rows.append(f"i{i:03d}.png,{'ab'[i % 2]}" if i < 30 else f"i{i:03d}.png,")
    (place / "labels.csv").write_text("\n".join(rows))
    call(f"fit images {LABELS} --features pixels --explain 0 --out run")


def call(command: str) -> None:
    """Run a command in this process; it must succeed."""
    result = CliRunner().invoke(app, command.split(), prog_name="fewlabel")
    if result.exit_code:
        raise SystemExit(f"{command}: {result.output}")


def start(command: str) -> int:
    """Run a command in a process of its own."""
    if pid := os.fork():
        return pid
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    code = 1
    try:
        # It returns the exit code of a command that ends early, and None otherwise.
        code = app(command.split(), prog_name="fewlabel", standalone_mode=False) or 0
    finally:
        os._exit(code)


def content() -> dict[str, bytes]:
    """Return what lies in the folder of the outputs, volatile files by their name alone."""
    return {
        str(file): b"" if VOLATILE.search(file.name) else file.read_bytes()
        for file in sorted(Path("out").rglob("*"))
        # What is not whole yet lies under a name that begins with a dot.
        if file.is_file() and not any(part.startswith(".") for part in file.parts)
    }


def kill(command: str, n: int, dice: random.Random) -> list[str]:
    """Kill a command n times; return what was wrong."""
    shutil.rmtree("out", ignore_errors=True)
    Path("out").mkdir()
    # Once here, so that its processes find everything imported.
    call(command)
    shutil.rmtree("out")
    Path("out").mkdir()
    begin = time.perf_counter()
    assert os.waitpid(start(command), 0)[1] == 0, command
    seconds, whole, wrong = time.perf_counter() - begin, content(), []
    assert whole, command
    for number in range(n):
        if number % 3 < 2:
            shutil.rmtree("out")
            Path("out").mkdir()
        before = content()
        pid, moment = start(command), dice.uniform(0, seconds)
        time.sleep(moment)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        found = content()
        # A command of several outputs may have written the first of them.
        half = [name for name, data in found.items() if whole.get(name) != data]
        half += [name for name in before if name not in found]
        again = os.waitpid(start(command), 0)[1]
        left = [str(file) for file in Path("out").rglob(".*")]
        if half or again or content() != whole or left:
            wrong.append(f"{number}, {moment:.3f} of {seconds:.3f} s: {half} {again} {left}")
    return wrong


def main() -> None:
    """Kill one command, and record what was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--n", type=int, default=50)
    parser.add_argument("--first", type=int, default=0, help="go on: add to what was recorded")
    options = parser.parse_args()
    begin, home = time.perf_counter(), Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FEWLABEL_CACHE"] = str(Path(folder) / "cache")
        os.chdir(folder)
        prepare(Path(folder))
        wrong = kill(COMMANDS[options.command], options.n, random.Random(options.first))
        os.chdir(home)
    records = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    before = records.get(options.command) if options.first else None
    before = before or {"trials": 0, "seconds": 0, "wrong": []}
    record = {
        "trials": before["trials"] + options.n,
        "seconds": round(before["seconds"] + time.perf_counter() - begin, 1),
        "wrong": before["wrong"] + wrong,
    }
    print(json.dumps({options.command: record}, indent=1))
    RESULT.write_text(json.dumps(records | {options.command: record}, indent=1) + "\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
