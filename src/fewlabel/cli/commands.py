"""The commands in the order of the work, and the entry point."""

import contextlib
import sys
from typing import Annotated

import typer

from fewlabel import __version__
from fewlabel.cli import (
    answers,
    bench,
    check,
    data,
    demo,
    doctor,
    evaluate,
    explain,
    export,
    fit,
    label,
    predict,
    reproduce,
    rerun,
    runs,
    select,
    serve,
    weights,
)
from fewlabel.cli.choices import Command
from fewlabel.cli.console import note, say
from fewlabel.cli.failures import PIPE_CLOSED, CommandGroup, catch_signals, drop_closed_pipes

HELP = """From a folder of images and a handful of labels to a classifier you can trust.

`label` opens a page on which a person labels the images that help most, `fit` learns from those
labels and from all the other images, and `predict` labels new ones. `select` chooses the images
for labeling elsewhere, and `demo` does it all on small images.

\b
  fewlabel label photos --labels labels.csv
  fewlabel fit photos --labels labels.csv --out run
  fewlabel predict run more-photos --out predictions.csv

IMAGES is a folder of any depth, a folder with one folder a class, a .npz file with X (and y),
an idx file, a CSV manifest with a column `path`, Parquet files with `path` and `bytes`, the URL of
such or of a folder, or a benchmark (`fewlabel data list`).
"""

app = typer.Typer(
    name="fewlabel",
    cls=CommandGroup,
    help=HELP,
    # Plain help is quick, the same in every version of Typer, and survives a pipe.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        say(f"fewlabel {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _fewlabel(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


# In the order of the work, as the help lists them.
_COMMANDS = (demo, select, label, fit, runs, rerun, predict, evaluate, check, explain, export)
for _module in (*_COMMANDS, serve, bench, reproduce):
    _name = _module.__name__.rpartition(".")[2]
    app.command(help=_module.HELP, cls=Command)(vars(_module)[_name])
app.add_typer(answers.app)
app.add_typer(data.app)
app.add_typer(weights.app)
app.command(help=doctor.HELP)(doctor.doctor)


def main() -> None:
    """Run the command line and exit with its code."""
    catch_signals()
    for stream in (sys.stdout, sys.stderr):
        # A file name that the terminal cannot spell must not end the work.
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    code: int | str | None = 0
    try:
        app(prog_name="fewlabel")
    except SystemExit as end:
        code = end.code
    except KeyboardInterrupt:
        # Before the command began: while Python was still loading it.
        note("interrupted: nothing was written")
        code = 130
    sys.exit(_flushed(code))


def _flushed(code: int | str | None) -> int | str | None:
    """Print what is left; the last lines of a full pipe or disk fail only here."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        drop_closed_pipes()
        return PIPE_CLOSED
    except OSError as error:
        drop_closed_pipes()
        note(f"error: the output cannot be written: {error.strerror}.")
        return 2
    return code
