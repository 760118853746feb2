"""``fewlabel evaluate``: how good a model is on a labelled set."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fewlabel.cli.console import ProgressBars, one_line, say, show_json, show_table
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
not labelled for `fewlabel fit`; those would flatter the model.

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
    from fewlabel.pipeline import evaluate_run, load_run

    model = load_run(run)
    with ProgressBars(enabled=not as_json) as progress:
        image_set = open_images(images, progress)
        tell_skipped(image_set)
        truth = open_labels(labels, image_set, classes=model.classes, min_classes=1)
        evaluation = evaluate_run(model, image_set, truth, progress=progress)
    if out is not None:
        with atomic_file(out) as temporary:
            temporary.write_text(evaluation.report_html, encoding="utf-8")
    found = evaluation.to_dict() | ({} if out is None else {"report": out})
    if as_json:
        show_json(found)
    else:
        _tell(found)


def _tell(found: dict[str, Any]) -> None:
    say(str(found))
