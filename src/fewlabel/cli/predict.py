"""``fewlabel predict``: labels for new images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewlabel.cli.console import ProgressBars, one_line, say, show_json, show_table
from fewlabel.cli.inputs import check_new_file, open_images, tell_skipped
from fewlabel.cli.options import ImagesArgument, JsonOption, ProbabilitiesOption, RunArgument

if TYPE_CHECKING:
    from fewlabel.data import ImageSet
    from fewlabel.model import Prediction

HELP = """Label new images with a model that `fewlabel fit` made.

Writes a table `path,label,confidence,source` with one row an image. The confidence is a calibrated
probability: of the images with confidence 0.9, about nine in ten should be right. Where a model
was trained with several labels an image, the label is such as `cat|dog`, or `|` for none, and the
confidence that all of them are right.

\b
Examples:
  fewlabel predict run new-photos --out predictions.csv
  fewlabel predict run new-photos --out predictions.csv --probabilities
"""


def predict(
    run: RunArgument,
    images: ImagesArgument,
    out: Annotated[
        str,
        typer.Option("--out", metavar="FILE", help="CSV table to write.", show_default=False),
    ],
    probabilities: ProbabilitiesOption = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing table.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Predict and write the table."""
    check_new_file(out, force=force, holds="labels or predictions")
    from fewlabel.runs.folder import load_run, write_predictions

    model = load_run(run)
    with ProgressBars(enabled=not as_json) as progress:
        image_set = open_images(images, progress, white_level=model.white_level)
        tell_skipped(image_set)
        prediction = model.predict(image_set, progress=progress)
    write_predictions(out, image_set, prediction, probabilities=probabilities)
    found = _as_dict(prediction, image_set, out)
    if as_json:
        show_json(found)
    else:
        _tell(found)


def _as_dict(prediction: Prediction, images: ImageSet, out: str) -> dict[str, Any]:
    return {
        "out": out,
        "n_images": len(images),
        "n_skipped": len(images.skipped),
        "seconds": prediction.seconds,
        "mean_confidence": float(prediction.confidence.mean()),
        "classes": prediction.by_class(),
    }


def _tell(found: dict[str, Any]) -> None:
    n, seconds = found["n_images"], sum(found["seconds"].values())
    say(
        f"Labelled {n:,} images in {seconds:.1f} s; mean confidence {found['mean_confidence']:.0%}."
    )
    say()
    rows = [
        (name, f"{c['n_images']:,}", "" if not c["n_images"] else f"{c['mean_confidence']:.0%}")
        for name, c in found["classes"].items()
    ]
    show_table(("label", "images", "mean confidence"), rows, right=(1, 2))
    say()
    say(f"Written to {one_line(found['out'])}.")
