"""``fewlabel fit``: the main job."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewlabel.cli import options
from fewlabel.cli.console import (
    ProgressBars,
    interval_cells,
    note,
    one_line,
    open_page,
    percent,
    say,
    scores_text,
    show,
    show_table,
    show_warnings,
)
from fewlabel.cli.failures import command_of, seconds_of
from fewlabel.cli.inputs import (
    FOLDERS,
    check_labels_exist,
    check_output_folder,
    engine_of,
    open_images,
    open_labels,
)
from fewlabel.cli.project import Options, with_project
from fewlabel.extras import check_installed
from fewlabel.locks import _hidden_beside, _lock_output

if TYPE_CHECKING:
    from fewlabel.report.next_steps import _NextStep

_BASELINE, _MAX_ERROR, _MAX_NAMED = "supervised", 0.02, 5

HELP = """Learn from a few labels and all the other images.

Computes features, propagates the labels to images that look alike, trains a classifier on the
labels and on the most confident propagated ones, and keeps whichever model does best on labels
that it was not trained on; a supervised baseline, trained without the unlabeled images, is always
among them. The folder RUN gets predictions.csv, report.html, metrics.json, ledger.parquet (every
label that was ever assumed), suspicious.csv (labels, the most doubtful first), skipped.csv,
model_card.md, run.json (how it was made, for `rerun`) and model/. It is written whole or not at
all.

\b
Examples:
  fewlabel fit photos --labels labels.csv --out run
  fewlabel fit photos --labels labels.csv --out run --backbone tf_efficientnet_lite2
  fewlabel fit scans --labels labels.csv --out run --time 30m
  fewlabel fit sorted-photos --labels folders --out run
  fewlabel fit s3://bucket/photos --labels labels.csv --out run --engine ray
"""


def fit(
    ctx: typer.Context,
    out: Annotated[str, options.option("--out", "RUN", "Folder to write.")],
    images: options.ImagesOrProject = None,
    labels: Annotated[
        str | None,
        options.option(
            "--labels",
            "FILE",
            "Table `path,label` (`index,label` for arrays), blank where unlabeled, and `a|b` "
            "where an image may have several; or the word `folders`: the labels that the images "
            "carry, such as one folder a class. By default what fewlabel.toml names, which "
            "`fewlabel select` writes.",
        ),
    ] = None,
    method: options.Method = "auto",
    features: options.Features = "auto",
    weights: options.Weights = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    cache: options.Cache = True,
    time: options.Time = None,
    probabilities: options.Probabilities = False,
    explain: Annotated[
        Any,
        typer.Option(
            "--explain",
            metavar="N",
            parser=options.auto_or_number,
            help="Explain so many predictions in the report (a second to some ten each; needs the "
            "extra `explain`). auto: up to six, three of images larger than 64 pixels, as many "
            "as take a tenth of the time of the fit; none without the extra.",
        ),
    ] = "auto",
    tensorboard: Annotated[
        str | None,
        options.option(
            "--tensorboard",
            "DIR",
            "Write the curves of trained networks for TensorBoard too, into DIR/RUN (needs the "
            "extra `tensorboard`).",
        ),
    ] = None,
    engine: options.EngineName = "local",
    ray_address: options.RayAddress = None,
    force: Annotated[bool, options.flag("--force", "Replace an existing run.")] = False,
    opens: Annotated[bool, options.flag("--open", "Open the report in the browser.")] = False,
    as_json: options.Json = False,
) -> None:
    """Fit and write the run folder."""
    # What can fail without work fails before it: a fit may take hours.
    check_output_folder(out, force=force)
    events = None if tensorboard is None else _check_tensorboard(tensorboard, out, force=force)
    if explain:
        check_installed("captum", "--explain")
    given = with_project(ctx, None if labels in (None, FOLDERS) else labels, names=Options._fields)
    check_labels_exist(given.labels)
    with (
        _lock_output(Path(out)),
        engine_of(engine, ray_address),
        ProgressBars(enabled=not as_json) as progress,
    ):
        start = perf_counter()
        image_set = open_images(given.images, progress, warns=False)
        table = open_labels(given.labels, image_set)
        reading = perf_counter() - start
        # Imported late: a mistake in the images is named before torch has been loaded.
        from fewlabel.pipeline import fit_images
        from fewlabel.report.next_steps import _next_steps
        from fewlabel.runs.folder import save_run

        # Outside the run, which is whole or absent: the same command goes on from there.
        checkpoint = _hidden_beside(Path(out), "training")
        settings = given.fit_settings(
            device, method=method, time_budget=time, cache=cache, checkpoint=checkpoint
        )
        starting = seconds_of(ctx) - reading
        result = fit_images(image_set, table, settings, progress=progress)
        result.seconds = {"starting": starting, "reading": reading} | result.seconds
        run = save_run(
            result,
            image_set,
            out,
            force=force,
            command=command_of(ctx),
            probabilities=probabilities,
            n_explained=explain,
            progress=progress,
        )
        if events is not None and result.training is not None:
            from fewlabel.report.tensorboard import _write_events

            _write_events(result.training, events, force=force)
            note(f"For TensorBoard: {one_line(str(events))}")
        elif events is not None:
            note("warning: no network was trained, so there are no curves for --tensorboard.")
    summary = result.summary() | {"run": str(run), "report": str(run / "report.html")}
    show_warnings(summary["warnings"])
    summary["seconds_in_all"] = round(seconds_of(ctx), 3)
    show(summary, _print, as_json=as_json)
    if not as_json:
        if result.left_unexplained:
            say(result.left_unexplained.replace("`", ""))
        _print_next(_next_steps(result, given.images, str(run)))
    if opens:
        open_page((run / "report.html").absolute().as_uri())


def _print_next(steps: list[_NextStep]) -> None:
    for number, step in enumerate(steps):
        say(f"{'Or: ' if number else 'Next: '}{step.why}")
        say(f"  {step.command}")


def _check_tensorboard(folder: str, out: str, *, force: bool) -> Path:
    """Raise for what would fail after the fit; return the place of the event files."""
    check_installed("tensorboard", "--tensorboard")
    events = Path(folder) / Path(out).absolute().name
    check_output_folder(events, force=force)
    return events


def _print(summary: dict[str, Any]) -> None:
    headings = ("", summary["metric"], "95 % interval", "rests on")
    show_table(headings, _accuracy_rows(summary), right=(1,))
    say()
    if scores := scores_text(summary["scores"]):
        say(f"On tested labels: {scores}")
    say(_accepted(summary))
    if weak := [one_line(name) for name in summary["surely_weak"]]:
        more = f" and {len(weak) - _MAX_NAMED} more" if len(weak) > _MAX_NAMED else ""
        say(f"Surely weaker than the rest: {', '.join(weak[:_MAX_NAMED])}{more} (see the report)")
    if unlike := summary["unlike"]["in_words"]:
        say(unlike)
    if n := summary["n_suspicious"]:
        say(f"Suspicious labels: {n:,}, to be checked in suspicious.csv (see the report)")
    curve = summary["learning_curve"]
    say(summary["no_learning_curve"] if curve is None else curve["in_words"])
    if summary["near_copies"]:
        n, several = summary["n_near_copies"], "" if summary["n_near_copies"] == 1 else "s"
        say(one_line(f"Near-copies: {n:,} image{several}, {summary['near_copies']}"))
    chosen = next((c for c in summary["candidates"] if c["chosen"]), None)
    why = f": {chosen['why']}" if chosen and chosen["why"] else ""
    say(f"Method: {summary['method']}{one_line(why)}")
    say(f"Features: {one_line(summary['features'])}")
    stages = ", ".join(f"{name} {value:.1f}" for name, value in summary["seconds"].items())
    say(
        f"{summary['n_images']:,} images in {summary['seconds_in_all']:.1f} s ({stages}); "
        f"peak memory {summary['peak_rss_mb']:,.0f} MB"
    )
    say()
    say(f"Report: {one_line(summary['report'])}")


def _accuracy_rows(summary: dict[str, Any]) -> list[tuple[str, ...]]:
    name = "estimate" if summary["audit"] is None else "audit"
    rows: list[tuple[str, ...]] = [(name, *interval_cells(summary[name]), summary["rests_on"])]
    baseline, gain = percent(summary["supervised_accuracy"]) or "unknown", summary["unlabeled_gain"]
    how = ", on labels set aside" if summary["n_networks"] else ", by cross-fitting on all labels"
    if gain is not None and gain["n_audit"]:
        baseline, how = percent(gain["baseline"]), f", on the {gain['n_audit']:,} audited images"
    if gain is not None and summary["method"] != _BASELINE and baseline != "unknown":
        # On the same labels: the estimate above is of other images.
        how += f", where {gain['method']} reaches {percent(gain['accuracy'])}"
    how = f"without the unlabeled images{how}"
    rows.append(("supervised baseline", baseline, "", how))
    return rows


def _accepted(summary: dict[str, Any]) -> str:
    """Return how many images can be accepted if 2 % may be wrong, or the least that can be."""
    rows = [row for row in summary["accepted_without_a_look"] if row["max_error"] >= _MAX_ERROR]
    able = next((row for row in rows if row["threshold"] is not None), None)
    text = "Without a look: "
    if able is not rows[0]:
        text += f"at most {percent(_MAX_ERROR, 0)} wrong cannot be promised: {rows[0]['why_not']}. "
    if able is not None and not summary["n_unlabeled"]:
        new = "new" if able is rows[0] else "New"
        text += (
            f"{new} images with at least {percent(able['threshold'])} confidence can be accepted "
            f"if {percent(able['max_error'], 0)} may be wrong (with 95 % certainty, from "
            f"{able['n_labels']:,} labels)."
        )
    elif able is not None:
        share = percent(able["n_images"] / max(summary["n_unlabeled"], 1))
        text += (
            f"{able['n_images']:,} of {summary['n_unlabeled']:,} unlabeled images ({share}) can be "
            f"accepted if {percent(able['max_error'], 0)} may be wrong (with 95 % certainty, from "
            f"{able['n_labels']:,} random labels)."
        )
    return text.rstrip()
