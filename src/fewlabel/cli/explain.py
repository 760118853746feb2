"""``fewlabel explain``: what the model looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from fewlabel.cli.console import ProgressBars, note, one_line, say, show_json, show_table
from fewlabel.cli.inputs import (
    check_labels_exist,
    check_new_file,
    open_images,
    open_labels,
    tell_skipped,
)
from fewlabel.cli.options import JsonOption, RunArgument, SeedOption, at_least
from fewlabel.errors import UsageError
from fewlabel.files import atomic_file

if TYPE_CHECKING:
    from fewlabel.data import ImageSet
    from fewlabel.explain.model import Explained
    from fewlabel.model import Model

HELP = """Show which parts of an image speak for a class and which against it.

Draws the image beside its explanation by LIME: green speaks for the class, red against it.
The stability says how far to believe the picture: how well repeats with other random samples
agree, from 0 (chance) to 1. Occlusion checks it by another road. With --grid, a sheet of right,
wrong and unsure predictions where true labels are given, of sure and unsure ones otherwise.
Needs the extra `explain`.

\b
Examples:
  fewlabel explain run photos/0031.jpg --out why.png
  fewlabel explain run fashion-mnist:test --name 17 --class Coat --out why.png
  fewlabel explain run test-photos --grid 12 --labels truth.csv --out sheet.png
"""


def explain(
    run: RunArgument,
    images: Annotated[
        str,
        typer.Argument(
            metavar="IMAGES",
            help="One image; or images in any form that fewlabel takes, with --grid or --name.",
            show_default=False,
        ),
    ],
    out: Annotated[
        str,
        typer.Option("--out", metavar="FILE", help="PNG picture to write.", show_default=False),
    ],
    class_name: Annotated[
        str | None,
        typer.Option(
            "--class",
            metavar="NAME",
            help="Class to explain, instead of the predicted one.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="Which of several images: its path, or its index in an array.",
            show_default=False,
        ),
    ] = None,
    grid: Annotated[
        int | None,
        typer.Option(
            "--grid",
            metavar="N",
            parser=at_least(1),
            help="Draw a sheet of N predictions.",
            show_default=False,
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            metavar="FILE",
            help="True labels for the sheet: a table, or the word `folders`.",
            show_default=False,
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            "--samples",
            metavar="N",
            parser=at_least(10),
            help="Changed images a repeat of LIME; 1000 for one image, 300 each for a sheet.",
            show_default=False,
        ),
    ] = None,
    repeats: Annotated[
        int,
        typer.Option(
            "--repeats",
            metavar="N",
            parser=at_least(1),
            help="Repeats of LIME: their mean is drawn, their agreement is the stability.",
        ),
    ] = 3,
    seed: SeedOption = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing picture.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Explain, draw, and say how far to believe it."""
    check_new_file(out, force=force, holds="another picture")
    _check_together(grid, labels, name)
    if labels is not None:
        check_labels_exist(labels)
    from fewlabel.explain.model import class_position
    from fewlabel.runs.folder import load_run

    model = load_run(run)
    target = None if class_name is None else class_position(class_name, model.classes)
    settings: dict[str, Any] = {"target": target, "repeats": repeats, "seed": seed}
    if samples is not None:
        settings["n_samples"] = samples
    with ProgressBars(enabled=not as_json) as progress:
        image_set = open_images(images, progress, white_level=model.white_level)
        tell_skipped(image_set)
        if grid is None:
            found = _one(model, image_set, name, out, settings | {"progress": progress})
        else:
            found = _sheet(model, image_set, grid, labels, out, settings | {"progress": progress})
    if as_json:
        show_json(found)
    else:
        _tell(found)


def _check_together(grid: int | None, labels: str | None, name: str | None) -> None:
    if labels is not None and grid is None:
        raise UsageError("--labels is for a sheet: add --grid 12, or leave the labels out.")
    if name is not None and grid is not None:
        raise UsageError("--name is for one image and --grid for a sheet: leave one of them out.")


def _one(
    model: Model, images: ImageSet, name: str | None, out: str, settings: dict[str, Any]
) -> dict[str, Any]:
    from fewlabel.explain.figure import explanation_png
    from fewlabel.explain.model import explain_one, image_position

    explained = explain_one(model, images, image_position(images, name), **settings)
    _write(out, explanation_png(explained.explanation, model.classes, name=explained.name))
    return {"out": out, "explained": [_as_dict(explained, model.classes, settings["seed"])]}


def _sheet(
    model: Model,
    images: ImageSet,
    grid: int,
    labels: str | None,
    out: str,
    settings: dict[str, Any],
) -> dict[str, Any]:
    from fewlabel.explain.sheets import draw_sheet, explain_sheet

    y = None
    if labels is not None:
        y = open_labels(
            labels,
            images,
            classes=model.classes,
            min_classes=1,
            task=model.task,
        ).y
    explained = explain_sheet(model, images, grid, y=y, **settings)
    source = images.source.rstrip("/").rpartition("/")[2]
    title = f"{source}: what speaks for each prediction"
    _write(out, draw_sheet(explained, model.classes, title=title))
    rows = [_as_dict(one, model.classes, settings["seed"]) for one in explained]
    return {"out": out, "explained": rows}


def _write(out: str, png: bytes) -> None:
    with atomic_file(out) as temporary:
        temporary.write_bytes(png)


def _as_dict(explained: Explained, classes: tuple[str, ...], seed: int) -> dict[str, Any]:
    found = explained.explanation.to_dict()
    return {
        "image": explained.name,
        "class": classes[found.pop("target")],
        "predicted": explained.predicted_text(classes),
        "kind": explained.kind or None,
        "truth": explained.true_text(classes) or None,
        "seed": seed,
        **found,
    }


def _tell(found: dict[str, Any]) -> None:
    rows = found["explained"]
    for message in dict.fromkeys(text for row in rows for text in row["notes"]):
        note(f"warning: {one_line(message)}")
    show_table(
        ("image", "", "class", "probability", "stability", "occlusion agrees", "fidelity"),
        [
            (
                row["image"],
                row["kind"] or "",
                row["class"],
                f"{row['probability']:.1%}",
                *(_number(row[k]) for k in ("stability", "occlusion_agreement", "fidelity")),
            )
            for row in rows
        ],
        right=range(3, 7),
    )
    say()
    say(f"Picture: {one_line(found['out'])}")


def _number(value: float) -> str:
    # NaN, where there is nothing to compare, is unequal to itself.
    return "" if value != value else f"{value:.2f}"
