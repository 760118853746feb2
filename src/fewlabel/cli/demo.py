"""``fewlabel demo``: the whole road on the digits."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewlabel import __version__
from fewlabel.cli.console import ProgressBars, one_line, plain, say, show_json, show_table
from fewlabel.cli.failures import command_of
from fewlabel.cli.fit import accuracy_cells
from fewlabel.cli.inputs import check_place
from fewlabel.cli.options import JsonOption, SeedOption, at_least
from fewlabel.files import atomic_folder, check_new_folder

if TYPE_CHECKING:
    from fewlabel.data import ImageSet, Labels
    from fewlabel.pipeline import Features

FOLDER = "fewlabel-demo"
HELP = """Walk the whole road on the digits that ship with scikit-learn.

Chooses 40 of 1,297 small images of handwritten digits, looks their labels up (a person would
type them), learns from them and from the unlabelled rest, and tests on 500 images that were
never seen, beside a model trained on the 40 labels alone. Takes less than a minute, fetches
nothing and opens nothing; the folder gets the label tables and the run with its report.

\b
Examples:
  fewlabel demo
  fewlabel demo --budget 20 --out my-demo
"""


def demo(
    ctx: typer.Context,
    out: Annotated[str, typer.Option("--out", metavar="FOLDER", help="Folder to write.")] = FOLDER,
    budget: Annotated[
        int,
        typer.Option("--budget", metavar="N", parser=at_least(10), help="How many labels."),
    ] = 40,
    seed: SeedOption = 0,
    force: Annotated[
        bool,
        typer.Option("--force", help=f"Replace an existing folder; {FOLDER} is replaced anyway."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Select, look up the labels, fit, test and report."""
    start = time.perf_counter()
    # A second demo is no accident; another folder may hold what somebody wants to keep.
    force = force or out == FOLDER
    check_new_folder(out, force=force)
    check_place(Path(out))
    # The digits are few and small: more threads would only wait for each other, and on a busy
    # machine for several times as long. Read when numpy and torch are imported, below.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with ProgressBars(enabled=not as_json) as progress, atomic_folder(out, force=force) as folder:
        found = _walk(folder, budget, seed, progress, command_of(ctx))
        found["seconds"] = time.perf_counter() - start
        # The version marks the folder as one that --force may replace.
        marked = {"fewlabel_version": __version__, **found}
        figures = json.dumps(plain(marked), indent=1, allow_nan=False)
        (folder / "metrics.json").write_text(figures + "\n", encoding="utf-8")
    found |= {"out": out, "report": str(Path(out) / "run" / "report.html")}
    if as_json:
        show_json(found)
    else:
        _tell(found)


def _walk(
    folder: Path, budget: int, seed: int, progress: ProgressBars, command: str
) -> dict[str, Any]:
    """Take the road, from images to a tested model."""
    from fewlabel.data import labels_from_truth, load_images
    from fewlabel.pipeline import FitSettings, extract_features, fit_images
    from fewlabel.runs.folder import evaluate_run, load_run, save_run

    train, test = (load_images("digits", split=split) for split in ("train", "test"))
    # Computed once: `select` and `fit` would each do it.
    features = extract_features(train, seed=seed, progress=progress)
    labels = _label(train, budget, seed, folder, features)
    settings = FitSettings(seed=seed)
    result = fit_images(train, labels, settings, prepared=features, progress=progress)
    run = load_run(
        save_run(
            result,
            train,
            folder / "run",
            command=command,
            n_explained=None,
            progress=progress,
        )
    )
    truth = labels_from_truth(test, run.classes)
    tested = evaluate_run(run, test, truth, progress=progress).to_dict()
    # The same labels without the unlabelled images: what those are worth.
    alone = fit_images(train, labels, replace(settings, method="supervised"), prepared=features)
    baseline = alone.model.predict(test)
    return {
        "n_labeled": labels.n_labeled,
        "n_train": len(train),
        "n_test": len(test),
        "fit": result.summary(),
        "test": tested,
        "supervised_accuracy": float((baseline.label == truth.y).mean()),
    }


def _label(train: ImageSet, budget: int, seed: int, folder: Path, features: Features) -> Labels:
    """Choose images, and look up what a person would type."""
    from fewlabel.data import Labels, read_labels, write_labels
    from fewlabel.pipeline import select_images, write_picks

    selection = select_images(train, budget, seed=seed, prepared=features)
    write_picks(selection, train, folder / "picks.csv")
    chosen = train.subset(selection.indices)
    if chosen.truth is None:
        raise RuntimeError("the digits come with labels")
    write_labels(folder / "labels.csv", chosen.names, list(chosen.truth), by_index=True)
    labels = read_labels(folder / "labels.csv", train)
    assert isinstance(labels, Labels)
    return labels


def _tell(found: dict[str, Any]) -> None:
    out, fit = one_line(found["out"]), found["fit"]
    n_labeled, n_train, n_test = found["n_labeled"], found["n_train"], found["n_test"]
    steps = [
        ("1 select", f"{n_labeled} of {n_train:,} images are worth a label", f"{out}/picks.csv"),
        ("2 label", "looked up in the data set; a person would type them", f"{out}/labels.csv"),
        ("3 fit", f"learnt from all {n_train:,} images; kept: {fit['method']}", f"{out}/run"),
        ("4 evaluate", f"tested on {n_test} images that were never seen", ""),
    ]
    show_table(("", "", ""), steps)
    say()
    test = found["test"]
    tested = {"value": test["accuracy"], "low": test["accuracy_low"]}
    rows = [
        ("with the unlabelled images", *accuracy_cells(tested | {"high": test["accuracy_high"]})),
        ("with the labels alone", f"{found['supervised_accuracy']:.1%}", ""),
        (f"expected from the {n_labeled} labels", *accuracy_cells(fit["estimate"])),
    ]
    show_table(("accuracy on the test images", "", "95 % interval"), rows, right=(1,))
    say()
    say(f"{found['seconds']:.0f} s. Report: {one_line(found['report'])}")
