"""``fewlabel runs``: the runs below a folder, side by side."""

from typing import Annotated, Any

from fewlabel.cli import options
from fewlabel.cli.console import duration_text, interval_cells, one_line, say, show, show_table
from fewlabel.errors import RunFolderError

HELP = """List and compare the runs below a folder.

One line a run, the oldest first: its accuracy with the 95 % interval (of the audit where there is
one), the labels and the features it was made with, and the seconds it took. Intervals that overlap
do not say which of two runs is better. Accuracies can be compared where the images are the same.

\b
Examples:
  fewlabel runs
  fewlabel runs experiments --json
"""


def runs(
    folder: Annotated[str, options.argument("FOLDER", "Where to look for runs.")] = ".",
    as_json: options.Json = False,
) -> None:
    """Print the table."""
    from fewlabel.runs.project import _list_runs

    found = _list_runs(folder)
    if not found:
        raise RunFolderError(
            f"There is no run in {folder}: make one with `fewlabel fit IMAGES --labels FILE --out "
            "run`, or name the folder in which the runs lie."
        )
    show(found, _print, as_json=as_json)


def _print(found: list[dict[str, Any]]) -> None:
    rows = [
        (
            row["run"],
            *interval_cells(row | {"value": row.pop("accuracy")}),
            f"{row['n_labeled']:,} of {row['n_images']:,}",
            one_line(row["features"]),
            row["method"],
            duration_text(row["seconds"]),
            str(row["created"])[:16].replace("T", " "),
        )
        for row in found
    ]
    # Exact match and accuracy are no figures of one kind.
    metrics = "/".join(sorted({row["metric"] for row in found}))
    headings = ("run", metrics, "95 % interval", "labels", "features", "method", "time", "made")
    show_table(headings, rows, right=(1, 3, 6))
    say()
    say("What each rests on, and its command: fewlabel runs --json")
