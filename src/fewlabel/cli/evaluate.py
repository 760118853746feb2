"""``fewlabel evaluate``: how good a model is on a labelled set."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fewlabel.cli.console import ProgressBars, one_line, say, show_json, show_table
from fewlabel.cli.failures import command_of
from fewlabel.cli.fit import accuracy_cells
from fewlabel.cli.inputs import (
    check_labels_exist,
    check_new_file,
    open_images,
    open_labels,
    tell_skipped,
)
from fewlabel.cli.options import ImagesArgument, JsonOption, RunArgument
from fewlabel.files import atomic_file

HELP = """Measure a model on images whose labels are known.

Prints the accuracy with its 95 % interval, the log loss, the calibration error and the
accuracy of each class. Images that the table leaves blank are left out. Use images that were
not labelled for `fewlabel fit`; those would flatter the model. Where the model knows several
labels an image, it prints the exact match, F1 and mean average precision instead.

\b
Examples:
  fewlabel evaluate run test-photos --labels truth.csv
  fewlabel evaluate run sorted-test-photos --labels folders --out evaluation.html
  fewlabel evaluate run fashion-mnist:test --labels folders --json
"""


def evaluate(
    ctx: typer.Context,
    run: RunArgument,
    images: ImagesArgument,
    labels: Annotated[
        str,
        typer.Option(
            "--labels",
            metavar="FILE",
            help="Table of true labels, or the word `folders`: the labels that the images carry.",
            show_default=False,
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="FILE", help="HTML report to write.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing report.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Evaluate, print, and write the report if one is asked for."""
    if out is not None:
        check_new_file(out, force=force, holds="another report")
    check_labels_exist(labels)
    from fewlabel.runs.folder import evaluate_run, load_run

    model = load_run(run)
    with ProgressBars(enabled=not as_json) as progress:
        image_set = open_images(images, progress, white_level=model.white_level)
        tell_skipped(image_set)
        truth = open_labels(
            labels,
            image_set,
            classes=model.classes,
            min_classes=1,
            task=model.task,
        )
        evaluation = evaluate_run(
            model, image_set, truth, command=command_of(ctx), progress=progress
        )
    if out is not None:
        with atomic_file(out) as temporary:
            temporary.write_text(evaluation.report_html, encoding="utf-8")
    found = evaluation.to_dict() | ({} if out is None else {"report": out})
    if as_json:
        show_json(found)
    else:
        _tell(found)


def _tell(found: dict[str, Any]) -> None:
    interval = {"value": found["accuracy"], "low": found["accuracy_low"]}
    name = "exact match" if "exact_match" in found else "accuracy"
    rows = [(name, *accuracy_cells(interval | {"high": found["accuracy_high"]}))]
    if found["expected"] is not None:
        rows.append(("expected by fit", *accuracy_cells(found["expected"])))
    show_table((f"{found['n']:,} images", "", "95 % interval"), rows, right=(1,))
    say()
    if "exact_match" in found:
        _tell_labels(found)
    else:
        _tell_classes(found)
    if "report" in found:
        say()
        say(f"Report: {one_line(found['report'])}")


def _tell_classes(found: dict[str, Any]) -> None:
    say(
        f"Balanced accuracy {found['balanced_accuracy']:.1%}, log loss {found['log_loss']:.3f}, "
        f"calibration error {found['expected_calibration_error']:.3f}, "
        f"mean confidence {found['mean_confidence']:.1%}"
    )
    say()
    show_table(
        ("class", "images", "precision", "recall", "F1"), _class_rows(found), right=range(1, 5)
    )


def _tell_labels(found: dict[str, Any]) -> None:
    """Tell of several labels an image, the label that is ranked worst first."""
    say(
        ", ".join(
            f"{name} {_percent(found[key])}"
            for key, name in (
                ("mean_average_precision", "Mean average precision"),
                ("micro_f1", "micro F1"),
                ("macro_f1", "macro F1"),
            )
        )
        + f", calibration error {found['calibration_error']:.3f}, "
        f"mean confidence {found['mean_confidence']:.1%}"
    )
    say()
    keys = ("precision", "recall", "f1", "average_precision")
    table = sorted(
        found["per_label"],
        key=lambda row: (row["average_precision"] is None, row["average_precision"] or 0),
    )
    show_table(
        ("label", "images", "precision", "recall", "F1", "average precision"),
        [(row["name"], f"{row['present']:,}", *(_percent(row[k]) for k in keys)) for row in table],
        right=range(1, 6),
    )


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _class_rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """Give the classes as rows, the worst recognised first."""
    table = sorted(found["per_class"], key=lambda row: (row["recall"] is None, row["recall"] or 0))
    return [
        (
            row["class"],
            f"{row['support']:,}",
            *("" if row[k] is None else f"{row[k]:.1%}" for k in ("precision", "recall", "f1")),
        )
        for row in table
    ]
