"""``fewlabel explain``: what the model looked at."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

from fewlabel.cli import options
from fewlabel.cli.console import (
    ProgressBars,
    one_line,
    percent,
    say,
    show,
    show_table,
    show_warnings,
)
from fewlabel.cli.inputs import check_labels_exist, check_new_file, open_run, open_truth
from fewlabel.errors import UsageError
from fewlabel.files import atomic_file

if TYPE_CHECKING:
    from fewlabel.explain.model import Explained

HELP = """Show what in an image speaks for a class, and what against it.

Draws the image beside its explanation by LIME: green speaks for the class, red against it.
The stability says how far to trust the picture: how well repeats with other random samples
agree, from 0 (chance) to 1. Occlusion is a second method that checks it. With --grid, a sheet of
right, wrong and unsure predictions where true labels are given, of sure and unsure ones
otherwise. Needs the extra `explain`.

\b
Examples:
  fewlabel explain run photos/0031.jpg --out why.png
  fewlabel explain run fashion-mnist:test --name 17 --class Coat --out why.png
  fewlabel explain run test-photos --grid 12 --labels truth.csv --out sheet.png
"""


def explain(
    run: options.Run,
    images: Annotated[
        str,
        options.argument(
            "IMAGES", "One image; or images in any form that fewlabel takes, with --grid or --name."
        ),
    ],
    out: Annotated[str, options.option("--out", "FILE", "PNG picture to write.")],
    class_name: Annotated[
        str | None,
        options.option("--class", "NAME", "Class to explain, instead of the predicted one."),
    ] = None,
    name: Annotated[
        str | None,
        options.option(
            "--name", "NAME", "Which of several images: its path, or its index in an array."
        ),
    ] = None,
    grid: Annotated[
        int | None, options.number("--grid", "Draw a sheet of N predictions.", least=1)
    ] = None,
    labels: Annotated[
        str | None,
        options.option(
            "--labels", "FILE", "True labels for the sheet: a table, or the word `folders`."
        ),
    ] = None,
    samples: Annotated[
        int | None,
        options.number(
            "--samples",
            "Changed images a repeat of LIME; 1000 for one image, 300 each for a sheet.",
            least=10,
        ),
    ] = None,
    repeats: Annotated[
        int,
        options.number(
            "--repeats",
            "Repeats of LIME: their mean is drawn, their agreement is the stability.",
            least=1,
        ),
    ] = 3,
    seed: options.Seed = 0,
    force: Annotated[bool, options.flag("--force", "Replace an existing picture.")] = False,
    as_json: options.Json = False,
) -> None:
    """Explain, draw, and print how far to trust it."""
    check_new_file(out, "a PNG picture", ".png", force=force, holds="another picture")
    _check_together(grid, labels, name)
    if labels is not None:
        check_labels_exist(labels)
    settings: dict[str, Any] = {"repeats": repeats, "seed": seed}
    if samples is not None:
        settings["n_samples"] = samples
    with ProgressBars(enabled=not as_json) as progress:
        from fewlabel.explain.figure import _explanation_png, draw_sheet
        from fewlabel.explain.model import _class_position, _explain_one, _image_position
        from fewlabel.explain.sheets import explain_sheet

        model, image_set = open_run(run, images, progress)
        if class_name is not None:
            settings["target"] = _class_position(class_name, model.classes)
        settings["progress"] = progress
        if grid is None:
            position = _image_position(image_set, name)
            explained = [_explain_one(model, image_set, position, **settings)]
            png = _explanation_png(explained[0], model.classes)
        else:
            y = None if labels is None else open_truth(labels, image_set, model).y
            explained = explain_sheet(model, image_set, grid, y=y, **settings)
            # The folder's own name: a whole path is wider than the sheet.
            source = image_set.source.rstrip("/").rpartition("/")[2]
            title = f"{source}: what speaks for each prediction"
            png = draw_sheet(explained, model.classes, title=title)
    with atomic_file(out) as temporary:
        temporary.write_bytes(png)
    found = {"out": out, "explained": [_as_dict(each, model.classes, seed) for each in explained]}
    show(found, _print, as_json=as_json)


def _check_together(grid: int | None, labels: str | None, name: str | None) -> None:
    if labels is not None and grid is None:
        raise UsageError("--labels is for a sheet: add --grid 12, or leave the labels out.")
    if name is not None and grid is not None:
        raise UsageError("--name is for one image and --grid for a sheet: leave one of them out.")


def _as_dict(explained: Explained, classes: tuple[str, ...], seed: int) -> dict[str, Any]:
    # With the seed, so that the same picture can be made again.
    found = explained.explanation.to_dict()
    return {
        "image": explained.name,
        "class": classes[found.pop("target")],
        "predicted": explained.predicted,
        "kind": explained.kind or None,
        "truth": explained.true or None,
        "seed": seed,
        **found,
    }


def _print(found: dict[str, Any]) -> None:
    rows = found["explained"]
    show_warnings(list(dict.fromkeys(text for row in rows for text in row["notes"])))
    show_table(
        ("image", "", "class", "probability", "stability", "occlusion agrees", "fidelity"),
        [
            (
                row["image"],
                row["kind"] or "",
                row["class"],
                percent(row["probability"]),
                *(_number(row[k]) for k in ("stability", "occlusion_agreement", "fidelity")),
            )
            for row in rows
        ],
        right=range(3, 7),
    )
    say()
    say(f"Picture: {one_line(found['out'])}")


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f}"
