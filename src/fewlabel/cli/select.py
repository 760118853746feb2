"""``fewlabel select``: which images to label first."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewlabel.cli import options
from fewlabel.cli.console import ProgressBars, one_line, say, show_json, show_warnings
from fewlabel.cli.failures import seconds_of
from fewlabel.cli.inputs import (
    check_labels_exist,
    check_new_file,
    engine_of,
    open_images,
    open_labels,
)
from fewlabel.cli.project import TRAVELING, with_project
from fewlabel.runs.project import PROJECT, _write_project

if TYPE_CHECKING:
    from fewlabel.data import ImageSet
    from fewlabel.selection import Selection

HELP = """Choose the images that are worth labeling first.

Writes a table `path,label,purpose,cluster_size` with one row for each image to label: fill in
the column `label` and give the table to `fewlabel fit`. By default the images represent groups
of similar ones, so that few labels cover many images. Such images are easier than the rest, so a
part of them is drawn at random: an honest estimate of accuracy rests on these. `--audit N` adds N
random ones more, which are never trained on; where all images are labeled, it marks N of them.
The options are kept beside the table, in fewlabel.toml, for the commands that follow.

With `--run RUN`, images are chosen that its model is unsure of and that are like many others of
that kind: a second round of labels. The labels of the run go into the new table; features and
seed are those of the run, too.

\b
Examples:
  fewlabel select photos --budget 50 --out picks.csv
  fewlabel select photos --budget 50 --audit 30 --out picks.csv
  fewlabel select photos --budget 20 --run run --out more-picks.csv
  fewlabel select sorted-photos --budget 0 --audit 50 --labels folders --out labels.csv
"""


def select(
    ctx: typer.Context,
    images: options.Images,
    budget: Annotated[
        int,
        options.number("--budget", "How many images to choose for training; 0 with --audit only."),
    ],
    out: options.Table,
    method: options.Strategy = None,
    random_fraction: Annotated[
        float,
        options.fraction(
            "--random-fraction",
            "Part of the budget to draw at random, for an honest estimate of accuracy.",
        ),
    ] = 0.2,
    audit: Annotated[
        int, options.number("--audit", "Random images to add for an unbiased accuracy.")
    ] = 0,
    labels: Annotated[
        str | None,
        options.option(
            "--labels",
            "FILE",
            "Labels that exist already: these images are not chosen again, and their rows are "
            "copied to the new table. By default those of --run.",
        ),
    ] = None,
    run: Annotated[
        str | None,
        options.option(
            "--run",
            "RUN",
            "A run of `fewlabel fit` on these images: choose those that its model is unsure of.",
        ),
    ] = None,
    features: options.Features = "auto",
    weights: options.Weights = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    cache: options.Cache = True,
    engine: options.EngineName = "local",
    ray_address: options.RayAddress = None,
    force: Annotated[
        bool, options.flag("--force", "Replace an existing table and the labels in it.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Choose images and write the table."""
    check_new_file(out, force=force, holds="labels that were typed in")
    model = None
    names = TRAVELING if run is None else ("labels", *TRAVELING)
    if run is not None:
        from fewlabel.runs.model import load_run

        model = load_run(run)
    given = with_project(ctx, labels or out, names=names, run=run)
    labels = given.labels
    if labels is not None:
        check_labels_exist(labels)
    with engine_of(engine, ray_address), ProgressBars(enabled=not as_json) as progress:
        scale = model.scale if model else None
        image_set = open_images(images, progress, scale=scale, warns=False)
        known = None if labels is None else open_labels(labels, image_set, min_classes=0)
        # Imported late: a mistake in the images is named before torch has been loaded.
        import numpy as np

        from fewlabel.selection import select_images, write_picks

        confidence = None
        if run is not None and model is not None:
            from fewlabel.runs.tables import _confidence_of

            confidence = _confidence_of(Path(run), model, image_set, progress)
        selection = select_images(
            image_set,
            budget,
            method=method,
            random_fraction=random_fraction,
            audit=audit,
            labels=known,
            confidence=confidence,
            features=given.features,
            weights=given.weights,
            seed=given.seed,
            device=device,
            cache=cache,
            progress=progress,
        )
        write_picks(selection, image_set, out, labels=known)
    kept = _write_project(Path(out).parent, given._asdict() | {"labels": out})
    show_warnings(selection.warnings)
    if as_json:
        show_json(_as_dict(selection, image_set, out))
        return
    _print(selection, len(image_set), seconds_of(ctx))
    say(f"Written to {one_line(out)}.")
    if kept:
        say(f"Options kept for the next commands in {one_line(str(Path(out).with_name(PROJECT)))}.")
    is_labeled = known is not None and np.isin(selection.indices, known.labeled).all()
    flags = "" if kept else given.flags
    _print_next(given.images, out, flags, is_labeled=bool(is_labeled))


def _as_dict(selection: Selection, images: ImageSet, out: str) -> dict[str, Any]:
    chosen = zip(selection.indices, selection.purpose, selection.cluster_size, strict=True)
    key = "index" if images.by_index else "path"
    return {
        "out": out,
        "n_images": len(images),
        "method": selection.method,
        "features": selection.feature_reason,
        "chosen": [
            {key: images.names[i], "purpose": purpose, "cluster_size": int(size)}
            for i, purpose, size in chosen
        ],
        "seconds": selection.seconds,
        "warnings": selection.warnings,
    }


def _print(selection: Selection, n_images: int, seconds: float) -> None:
    n_audit = int((selection.purpose == "audit").sum())
    n_train = len(selection.indices) - n_audit
    if n_train:
        say(f"Chose {n_train:,} of {n_images:,} images ({selection.method}) in {seconds:.1f} s.")
    n_random = int((selection.purpose == "random").sum())
    # Random images represent nothing but themselves.
    sizes = selection.cluster_size[selection.purpose == "train"]
    if len(sizes):
        say(
            f"{len(sizes):,} represent groups of {sizes.min():,} to {sizes.max():,} similar images."
        )
    if n_random:
        say(f"{n_random:,} are drawn at random: the estimate of accuracy will rest on them.")
    if n_audit:
        say(f"Added {n_audit:,} random images for the audit; they are not trained on.")
    if n_train:
        say(f"Features: {one_line(selection.feature_reason)}")


def _print_next(images: str, out: str, flags: str, *, is_labeled: bool) -> None:
    from fewlabel.report.next_steps import _free_name

    fill = f"fill in the column `label` of {one_line(out)} (a blank one is left out), then run"
    say()
    say(f"Next: {'run' if is_labeled else fill}")
    words = [images, "--labels", out, "--out", _free_name("", "run", suffix="")]
    say(f"  fewlabel fit {shlex.join(words)}{flags}")
