"""``fewlabel data``: the benchmark data sets."""

from __future__ import annotations

from typing import Annotated

import typer

from fewlabel.cli.console import ProgressBars, note, say, show_json, show_table
from fewlabel.cli.options import JsonOption

HELP = """Find and fetch the benchmark data sets.

Files in the folder FEWLABEL_DATA come first; what is fetched goes to the user's cache folder,
or to FEWLABEL_CACHE.

\b
Examples:
  fewlabel data list
  fewlabel data get fashion-mnist
"""

LIST_HELP = """List the benchmark data sets and where they are.

Prints their sizes and licences too. Their names can be given wherever a command takes IMAGES,
also with a split as NAME:train and NAME:test.

\b
Examples:
  fewlabel data list
  fewlabel data list --json
"""

GET_HELP = """Fetch a benchmark data set, and print the folder that holds it.

Every file is checked against its published checksum. A download that breaks off is resumed
when the command is run again. One that is on this machine already is not fetched.

\b
Examples:
  fewlabel data get mnist
  FEWLABEL_CACHE=/big/disk fewlabel data get grocery
"""

app = typer.Typer(name="data", help=HELP, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def _data(ctx: typer.Context) -> None:
    if ctx.invoked_subcommand is None:
        say(ctx.get_help())


@app.command("list", help=LIST_HELP)
def list_(as_json: JsonOption = False) -> None:
    """List the benchmarks."""
    from dataclasses import asdict

    from fewlabel.data import list_benchmarks

    benchmarks = list_benchmarks()
    if as_json:
        show_json([asdict(info) for info in benchmarks])
        return
    rows = [
        (
            info.name,
            f"{info.n_train:,}",
            f"{info.n_test:,}",
            str(info.classes),
            str(info.where or f"not here: fewlabel data get {info.name}"),
        )
        for info in benchmarks
    ]
    show_table(("name", "train", "test", "classes", "where"), rows, right=(1, 2, 3))
    say()
    show_table(
        ("name", "what", "licence"), [(i.name, i.description, i.licence) for i in benchmarks]
    )


@app.command("get", help=GET_HELP)
def get(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="Name from `fewlabel data list`.", show_default=False),
    ],
    as_json: JsonOption = False,
) -> None:
    """Fetch one benchmark."""
    from fewlabel.data import get_benchmark

    with ProgressBars(enabled=not as_json) as progress:
        try:
            folder = get_benchmark(name, progress=progress.stage(f"{name} (bytes)"))
        except KeyboardInterrupt as stop:
            stop.add_note("what was fetched is kept; run the command again to go on.")
            raise
    if as_json:
        show_json({"name": name, "folder": str(folder)})
        return
    note(f"{name} is in this folder; give its name as IMAGES to use it:")
    say(str(folder))
