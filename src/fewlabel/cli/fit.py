"""``fewlabel fit``: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewlabel.cli.console import ProgressBars, note, one_line, say, show_json, show_table
from fewlabel.cli.failures import command_of
from fewlabel.cli.inputs import check_labels_exist, check_place, open_images, open_labels
from fewlabel.cli.options import (
    CacheOption,
    Device,
    DeviceOption,
    FeaturesOption,
    ImagesArgument,
    JsonOption,
    Method,
    ProbabilitiesOption,
    SeedOption,
    TimeOption,
    WeightsOption,
    auto_or_number,
)
from fewlabel.extras import check_installed
from fewlabel.files import check_new_folder

if TYPE_CHECKING:
    from fewlabel.semisupervised.history import TrainingHistory

HELP = """Learn from a few labels and all the other images.

Computes features, spreads the labels over the images that look alike, trains a classifier on
the labels and on what was spread with confidence, and keeps whichever model does best on
labels that it was not shown; a model trained on the labels alone is always among them. The
folder RUN gets predictions.csv, report.html, metrics.json, ledger.parquet (every label that
was assumed), skipped.csv and model/. It is written whole or not at all.

\b
Examples:
  fewlabel fit photos --labels labels.csv --out run
  fewlabel fit photos --labels labels.csv --out run --features mobilenetv2_100
  fewlabel fit scans --labels labels.csv --out run --time 30m
  fewlabel fit sorted-photos --labels folders --out run
"""


def fit(
    ctx: typer.Context,
    images: ImagesArgument,
    labels: Annotated[
        str,
        typer.Option(
            "--labels",
            metavar="FILE",
            help="Table `path,label` (`index,label` for arrays), blank where unlabelled, and `a|b` "
            "where an image may have several; or the word `folders`: the labels that the images "
            "carry, such as one folder a class.",
            show_default=False,
        ),
    ],
    out: Annotated[
        str,
        typer.Option("--out", metavar="RUN", help="Folder to write.", show_default=False),
    ],
    method: Annotated[
        Method,
        typer.Option("--method", help="How to learn; auto tries all and keeps the best."),
    ] = Method.auto,
    features: FeaturesOption = "auto",
    weights: WeightsOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = Device.auto,
    cache: CacheOption = True,
    time: TimeOption = None,
    probabilities: ProbabilitiesOption = False,
    explain: Annotated[
        Any,
        typer.Option(
            "--explain",
            metavar="N",
            parser=auto_or_number,
            help="Explain so many predictions in the report (a second to some ten each; needs the "
            "extra `explain`). auto: six, three of images larger than 64 pixels, none without "
            "the extra.",
        ),
    ] = "auto",
    tensorboard: Annotated[
        str | None,
        typer.Option(
            "--tensorboard",
            metavar="DIR",
            help="Write the curves of trained networks for TensorBoard too, into DIR/RUN (needs "
            "the extra `tensorboard`).",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing run.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Fit and write the run folder."""
    check_new_folder(out, force=force)
    check_place(Path(out))
    events = None if tensorboard is None else _check_tensorboard(tensorboard, out, force=force)
    if explain:
        check_installed("captum", "--explain")
    check_labels_exist(labels)
    with ProgressBars(enabled=not as_json) as progress:
        image_set = open_images(images, progress)
        table = open_labels(labels, image_set)
        # Imported late: a mistake in the images is told before torch has been loaded.
        from fewlabel.pipeline import FitSettings, fit_images
        from fewlabel.runs.folder import save_run

        settings = FitSettings(
            method=method.value,
            features=features,
            weights=weights,
            seed=seed,
            device=device.value,
            time_budget=time,
            cache=cache,
            checkpoint=Path(out).with_name(f".{Path(out).name}.training"),
        )
        result = fit_images(image_set, table, settings, progress=progress)
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
        if events is not None:
            _write_tensorboard(result.training, events, force=force)
    summary = result.summary() | {"run": str(run), "report": str(run / "report.html")}
    if as_json:
        show_json(summary)
    else:
        tell_fit(summary)


def _check_tensorboard(folder: str, out: str, *, force: bool) -> Path:
    """Refuse what would fail after the fit; give the place of the event files."""
    check_installed("tensorboard", "--tensorboard")
    events = Path(folder) / Path(out).resolve().name
    check_new_folder(events, force=force)
    check_place(events)
    return events


def _write_tensorboard(training: TrainingHistory | None, events: Path, *, force: bool) -> None:
    from fewlabel.report.tensorboard import write_events

    if training is None:
        note("warning: no network was trained, so there are no curves for --tensorboard.")
        return
    write_events(training, events, force=force)
    note(f"For TensorBoard: {one_line(str(events))}")


def tell_fit(summary: dict[str, Any]) -> None:
    """Print what a fit found: accuracy, baseline, choice, warnings and where the report is."""
    for warning in summary["warnings"]:
        note(f"warning: {one_line(warning)}")
    measure = "exact match" if summary["scores"] else "accuracy"
    headings = ("", measure, "95 % interval", "measured on")
    show_table(headings, _accuracy_rows(summary), right=(1,))
    if summary["scores"]:
        _tell_scores(summary["scores"])
    say()
    say(advice(summary))
    chosen = next((c for c in summary["candidates"] if c["chosen"]), None)
    why = f": {chosen['why']}" if chosen and chosen["why"] else ""
    say(f"Method: {summary['method']}{one_line(why)}")
    say(f"Features: {one_line(summary['features'])}")
    stages = ", ".join(f"{name} {value:.1f}" for name, value in summary["seconds"].items())
    say(
        f"{summary['n_images']:,} images in {sum(summary['seconds'].values()):.1f} s ({stages}); "
        f"peak memory {summary['peak_rss_mb']:,.0f} MB"
    )
    say()
    say(f"Report: {one_line(summary['report'])}")


def _tell_scores(scores: dict[str, float | None]) -> None:
    say()
    say(
        "An image is right only if all its labels are. "
        + ", ".join(
            f"{name} {'unknown' if scores[key] is None else format(scores[key], '.1%')}"
            for key, name in (
                ("micro_f1", "micro F1"),
                ("macro_f1", "macro F1"),
                ("mean_average_precision", "mean average precision"),
            )
        )
    )


def advice(summary: dict[str, Any]) -> str:
    """Say what twice the labels would bring, or why that cannot be told.

    Parameters
    ----------
    summary : dict
        With ``learning_curve`` (None if there is none) and ``no_learning_curve``.

    Returns
    -------
    str
        One line.
    """
    curve = summary["learning_curve"]
    if curve is None:
        return str(summary["no_learning_curve"])
    gain = f"a gain of {100 * curve['gain']['expected']:.1f} points"
    return (
        f"2x labels ({curve['next_n']:,}): about {curve['expected']:.1%} "
        f"({curve['low']:.1%} to {curve['high']:.1%}), now {curve['now']['expected']:.1%}: "
        + (gain if curve["worth_it"] else f"{gain} is hardly worth it")
    )


def _accuracy_rows(summary: dict[str, Any]) -> list[tuple[str, ...]]:
    estimate, audit = summary["estimate"], summary["audit"]
    where = f"{summary['n_labeled']:,} labels, by cross-fitting"
    if summary["n_networks"]:
        where = f"{estimate['n']:,} labels that the networks were not shown"
    rows: list[tuple[str, ...]] = [("estimate", *accuracy_cells(estimate), where)]
    if audit is not None:
        rows.append(("audit", *accuracy_cells(audit), f"{audit['n']:,} random labels"))
    baseline = summary["supervised_accuracy"]
    shown = "unknown" if baseline is None else f"{baseline:.1%}"
    rows.append(("labels alone", shown, "", "the same labels, without the unlabelled images"))
    return rows


def accuracy_cells(estimate: dict[str, Any]) -> tuple[str, str]:
    """Give an accuracy and its interval as text.

    Parameters
    ----------
    estimate : dict
        With ``value`` (None if unknown), ``low`` and ``high``.

    Returns
    -------
    value, interval : str
        Such as ``"91.2%"`` and ``"84.0% to 95.4%"``.

    Examples
    --------
    >>> accuracy_cells({"value": 0.912, "low": 0.84, "high": 0.954})
    ('91.2%', '84.0% to 95.4%')
    """
    value = estimate["value"]
    shown = "unknown" if value is None else f"{value:.1%}"
    return shown, f"{estimate['low']:.1%} to {estimate['high']:.1%}"
