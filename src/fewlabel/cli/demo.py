"""``fewlabel demo``: the whole pipeline on the digits."""

import json
import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from fewlabel import __version__
from fewlabel.cli import options
from fewlabel.cli.console import (
    ProgressBars,
    interval_cells,
    one_line,
    percent,
    plain,
    say,
    show,
    show_table,
)
from fewlabel.cli.failures import command_of
from fewlabel.cli.inputs import check_output_folder
from fewlabel.files import atomic_folder
from fewlabel.locks import _lock_output

FOLDER = "fewlabel-demo"
HELP = """Run the whole pipeline on digits that ship with scikit-learn.

Chooses 40 of 1,297 small images of handwritten digits, looks their labels up (a person would
type them), learns from them and from the unlabeled rest, and tests on 500 images that were
never seen, beside a supervised baseline trained on the 40 images without the rest. Takes less
than a minute, fetches nothing and opens nothing; the folder gets the label tables and the run
with its report.

\b
Examples:
  fewlabel demo
  fewlabel demo --budget 20 --out my-demo
"""


def demo(
    ctx: typer.Context,
    out: Annotated[str, options.option("--out", "FOLDER", "Folder to write.")] = FOLDER,
    budget: Annotated[int, options.number("--budget", "How many labels.", least=10)] = 40,
    seed: options.Seed = 0,
    force: Annotated[
        bool, options.flag("--force", f"Replace an existing folder; {FOLDER} is replaced anyway.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Select, look up the labels, fit, test and report."""
    start = time.perf_counter()
    # A second demo is no accident; another folder may hold what somebody wants to keep.
    force = force or out == FOLDER
    check_output_folder(out, force=force)
    # The digits are few and small: more threads would only wait for each other, and on a busy
    # machine for several times as long. Read when numpy and torch are imported, below.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from fewlabel.runs.demo import _run_demo

    with (
        _lock_output(Path(out)),
        ProgressBars(enabled=not as_json) as progress,
        atomic_folder(out, force=force) as folder,
    ):
        command = command_of(ctx)
        found = _run_demo(folder, budget, seed=seed, command=command, out=out, progress=progress)
        found["seconds"] = time.perf_counter() - start
        # The version marks the folder as one that --force may replace.
        marked = {"fewlabel_version": __version__, **found}
        figures = json.dumps(plain(marked), indent=1, allow_nan=False)
        (folder / "metrics.json").write_text(figures + "\n", encoding="utf-8")
    found |= {"out": out, "report": str(Path(out) / "run" / "report.html")}
    show(found, _print, as_json=as_json)


def _print(found: dict[str, Any]) -> None:
    out, fit, test = one_line(found["out"]), found["fit"], found["test"]
    n_labeled, n_train, n_test = found["n_labeled"], found["n_train"], found["n_test"]
    steps = [
        ("1 select", f"{n_labeled} of {n_train:,} images are worth a label", f"{out}/picks.csv"),
        ("2 label", "looked up in the data set; a person would type them", f"{out}/labels.csv"),
        ("3 fit", f"learned from all {n_train:,} images; kept: {fit['method']}", f"{out}/run"),
        ("4 evaluate", f"tested on {n_test} images that were never seen", ""),
    ]
    show_table(("", "", ""), steps)
    say()
    rows = [
        ("with the unlabeled images", *interval_cells(test)),
        ("supervised baseline, without them", percent(found["supervised_accuracy"]), ""),
        (f"expected from the {n_labeled} labels", *interval_cells(fit["estimate"])),
    ]
    show_table((f"{test['metric']} on the test images", "", "95 % interval"), rows, right=(1,))
    say()
    say(f"{found['seconds']:.0f} s. Report: {one_line(found['report'])}")
