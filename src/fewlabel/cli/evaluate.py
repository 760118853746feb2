"""``fewlabel evaluate``: how good a model is on a labeled set."""

from typing import Annotated, Any

import typer

from fewlabel.cli import options
from fewlabel.cli.console import (
    ProgressBars,
    interval_cells,
    one_line,
    percent,
    say,
    scores_text,
    show,
    show_table,
    show_warnings,
)
from fewlabel.cli.failures import command_of
from fewlabel.cli.inputs import check_labels_exist, check_new_file, open_run, open_truth
from fewlabel.files import atomic_file
from fewlabel.texts import _counted

HELP = """Measure a model on images whose labels are known.

Prints the accuracy with its 95 % interval, F1, mean average precision, log loss and calibration
error, and how well each class is recognized. Where an image may have several labels, it is right
if all of them are, and the accuracy is called exact match. Images that the table leaves blank are
left out. Use images that were not labeled for `fewlabel fit`: those flatter the model. Where there
are some all the same, the accuracy on the others is printed beside.

\b
Examples:
  fewlabel evaluate run test-photos --labels truth.csv
  fewlabel evaluate run sorted-test-photos --labels folders --out evaluation.html
  fewlabel evaluate run fashion-mnist:test --labels folders --json
"""

_OF_CLASS = ("precision", "recall", "f1", "average_precision")


def evaluate(
    ctx: typer.Context,
    run: options.Run,
    images: options.Images,
    labels: Annotated[
        str,
        options.option(
            "--labels",
            "FILE",
            "Table of true labels, or the word `folders`: the labels that the images carry.",
        ),
    ],
    out: Annotated[str | None, options.option("--out", "FILE", "HTML report to write.")] = None,
    force: Annotated[bool, options.flag("--force", "Replace an existing report.")] = False,
    as_json: options.Json = False,
) -> None:
    """Evaluate, print, and write the report if one is asked for."""
    if out is not None:
        check_new_file(out, "a web page", ".html", ".htm", force=force, holds="another report")
    check_labels_exist(labels)
    with ProgressBars(enabled=not as_json) as progress:
        from fewlabel.runs.folder import evaluate_run

        model, image_set = open_run(run, images, progress)
        truth = open_truth(labels, image_set, model)
        evaluation = evaluate_run(
            model, image_set, truth, command=command_of(ctx), progress=progress
        )
    found = evaluation.metrics
    show_warnings(found["warnings"])
    if out is not None:
        with atomic_file(out) as temporary:
            temporary.write_text(evaluation.report_html, encoding="utf-8")
        found = found | {"report": out}
    show(found, _print, as_json=as_json)


def _print(found: dict[str, Any]) -> None:
    rows = [(found["metric"], *interval_cells(found))]
    if found["n_trained_on"] and found["unseen"]:
        rows.append(("on images not trained on", *interval_cells(found["unseen"])))
    if found["expected"] is not None:
        rows.append(("expected by fit", *interval_cells(found["expected"])))
    show_table((_counted(found["n"]), "", "95 % interval"), rows, right=(1,))
    say()
    scores = scores_text(found)
    say(scores[:1].upper() + scores[1:])
    say()
    headings = ("class", "images", *(name.replace("_", " ") for name in _OF_CLASS))
    # The class to label more of comes first; one without images last.
    worst_first = sorted(
        found["per_class"],
        key=lambda row: (row["average_precision"] is None, row["average_precision"]),
    )
    show_table(
        headings,
        [
            (row["class"], f"{row['support']:,}", *(_cell(row, name) for name in _OF_CLASS))
            for row in worst_first
        ],
        right=range(1, len(headings)),
    )
    if "report" in found:
        say()
        say(f"Report: {one_line(found['report'])}")


def _cell(row: dict[str, Any], name: str) -> str:
    """Return a measure of a class, with its 95 % interval if it has one."""
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    return percent(row[name]) + ("" if low is None else f" ({percent(low, 0)}–{percent(high, 0)})")
