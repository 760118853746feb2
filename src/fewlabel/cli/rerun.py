"""``fewlabel rerun``: a run once more, and whether its predictions agree."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fewlabel.cli import options
from fewlabel.cli.console import ProgressBars, interval_cells, one_line, say, show, show_table
from fewlabel.cli.failures import command_of
from fewlabel.cli.inputs import check_output_folder
from fewlabel.locks import _lock_output

HELP = """Repeat a run, and say whether the predictions agree.

Reads run.json in the folder RUN, computes the features anew and fits again on the same images,
labels and settings into a new folder. Then says how many labels are the same, the largest
difference in confidence, both estimates, and what is not as it was then: images, labels, versions,
threads, processor. Ends with exit code 1 if none of it has changed and yet the predictions do not
agree.

\b
Examples:
  fewlabel rerun run
  fewlabel rerun run --out run-2 --images /new/place/photos --labels /new/place/labels.csv
  fewlabel rerun run --json
"""


def rerun(
    ctx: typer.Context,
    run: options.Run,
    out: Annotated[
        str | None, options.option("--out", "NEW", "Folder to write; by default RUN-again.")
    ] = None,
    images: Annotated[
        str | None, options.option("--images", "IMAGES", "Where the images are now.")
    ] = None,
    labels: Annotated[
        str | None, options.option("--labels", "FILE", "Where the label table is now.")
    ] = None,
    cache: Annotated[
        bool,
        options.flag(
            "--cache/--no-cache",
            "Take features that are kept on disk; by default they are computed anew.",
        ),
    ] = False,
    force: Annotated[bool, options.flag("--force", "Replace an existing run.")] = False,
    as_json: options.Json = False,
) -> None:
    """Repeat, compare and print."""
    # `.` and `..` have no name of their own.
    place = Path(run) if Path(run).name.strip(".") else Path(run).resolve()
    new = out or f"{place}-again"
    check_output_folder(new, force=force)
    with _lock_output(Path(new)), ProgressBars(enabled=not as_json) as progress:
        from fewlabel.runs.rerun import rerun as repeat

        found = repeat(
            run,
            new,
            images=images,
            labels=labels,
            cache=cache,
            force=force,
            command=command_of(ctx),
            progress=progress,
        )
    show(found, _print, as_json=as_json)
    if not found["agrees"] and not found["changed"]:
        raise typer.Exit(1)


def _print(found: dict[str, Any]) -> None:
    verdict = "The predictions agree" if found["agrees"] else "The predictions do not agree"
    exact = ", to the last bit" if found["identical"] else ""
    say(
        f"{verdict}{exact}: labels equal in {found['n_same']:,} of {found['n']:,}, largest "
        f"difference in confidence {found['largest_difference']:.4f}."
    )
    for text in found["changed"]:
        say(f"- not as it was then: {one_line(text)}")
    say()
    rows = [(name, *interval_cells(found[key])) for name, key in (("then", "old"), ("now", "new"))]
    show_table(("accuracy", "", "95 % interval"), rows, right=(1,))
    say()
    say(f"New run: {one_line(found['out'])}")
