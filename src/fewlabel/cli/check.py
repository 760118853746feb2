"""``fewlabel check``: whether a run still fits the images that come."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from fewlabel.cli import options
from fewlabel.cli.console import (
    ProgressBars,
    interval_cells,
    one_line,
    percent,
    say,
    show,
    show_table,
)
from fewlabel.cli.failures import command_of
from fewlabel.cli.inputs import check_new_file, open_run
from fewlabel.files import atomic_file
from fewlabel.texts import _counted

HELP = """Say whether the accuracy of a fit still holds on new images.

Compares confidence, brightness, contrast, sharpness, the likeness to what is labeled and to each
other, and the mix of classes, and says one of three things: the new images look like those of the
fit; the classes are otherwise frequent, and the accuracy that is then expected; or they are unlike,
so that nobody knows before some of them are labeled. Of images like those of the fit, about one
batch in thirty is called otherwise, or fewer. It takes 20 images, of which near-copies count once;
of more than 2,000, so many are drawn at random.

\b
Examples:
  fewlabel check run new-photos
  fewlabel check run new-photos --out check.html
  fewlabel check run new-photos --fail-on drift --json
"""

_FailOn = Literal["never", "unlike", "drift"]


def check(
    ctx: typer.Context,
    run: options.Run,
    images: options.Images,
    out: Annotated[
        str | None, options.option("--out", "FILE", "Page to write, with the most unlike images.")
    ] = None,
    fail_on: Annotated[
        _FailOn,
        options.one_of(
            "--fail-on",
            _FailOn,
            "End with exit code 1 if the images are unlike, or (drift) also if the classes "
            "are otherwise frequent.",
        ),
    ] = "never",
    force: Annotated[bool, options.flag("--force", "Replace an existing page.")] = False,
    as_json: options.Json = False,
) -> None:
    """Compare, print, and write the page if one is asked for."""
    if out is not None:
        check_new_file(out, "a web page", ".html", ".htm", force=force, holds="another report")
    with ProgressBars(enabled=not as_json) as progress:
        from fewlabel.runs.drift import _check_images

        model, image_set = open_run(run, images, progress)
        metrics, page = _check_images(
            model, image_set, name=run, command=command_of(ctx), progress=progress
        )
    if out is not None:
        with atomic_file(out) as temporary:
            temporary.write_text(page, encoding="utf-8")
        metrics = metrics | {"report": out}
    show(metrics, _print, as_json=as_json)
    failures = {"never": (), "unlike": ("unlike",), "drift": ("unlike", "mix")}
    if metrics["verdict"] in failures[fail_on]:
        raise typer.Exit(1)


def _print(found: dict[str, Any]) -> None:
    say(f"{found['title']}. {found['in_words']}")
    for text in found["differences"]:
        say(f"- {one_line(text)}")
    say()
    # A table of accuracies would look like a promise where none is made.
    if found["verdict"] != "unlike":
        rows = [(found["metric"], *interval_cells(found["accuracy"]))]
        if found["expected_by_fit"]:
            rows.append(("expected by fit", *interval_cells(found["expected_by_fit"])))
        show_table((_counted(found["n_compared"]), "", "95 % interval"), rows, right=(1,))
        say()
    moved = [row for row in found["classes"] if row["moved"]]
    if moved:
        cells = [
            (row["class"], *(percent(row[name]) for name in ("at_fit", "now", "low", "high")))
            for row in moved
        ]
        show_table(("class", "in the fit", "now", "from", "to"), cells, right=(1, 2, 3, 4))
        say()
    say("Next:")
    for command in found["commands"]:
        say(f"  {command}")
    if "report" in found:
        say(f"Page: {one_line(found['report'])}")
