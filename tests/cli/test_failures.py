import signal
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from fewlabel.cli.failures import CommandGroup, Stopped, command_of
from fewlabel.errors import DataError, DownloadError
from tests.cli.conftest import start_cli


def _run(function, *args):
    app = typer.Typer(cls=CommandGroup, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command("work")(function)
    # With one command Typer would make no group.
    app.command("rest")(lambda: None)
    return CliRunner().invoke(app, ["work", *args], prog_name="fewlabel")


def _raiser(error):
    def work():
        raise error

    return work


def _interrupt_with_note():
    error = KeyboardInterrupt()
    error.add_note("2 runs are in x.jsonl.")
    return error


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DataError("no\nimages \x1b[1m"), 2, "error: no images \\x1b[1m\n"),
        (DownloadError("no network"), 1, "error: no network\n"),
        (KeyboardInterrupt(), 130, "interrupted: nothing was written\n"),
        (Stopped(signal.SIGTERM), 143, "interrupted: nothing was written\n"),
        (_interrupt_with_note(), 130, "interrupted: 2 runs are in x.jsonl.\n"),
        (BrokenPipeError(), 141, ""),
        (
            PermissionError(13, "Permission denied", "photos"),
            2,
            "error: photos cannot be used: there is no permission.\n",
        ),
        (
            FileNotFoundError(2, "No such file or directory"),
            2,
            "error: No such file or directory: look whether the disk and the current folder are "
            "still there.\n",
        ),
    ],
)
def test_a_failure_is_one_line_and_a_code(error, code, line):
    result = _run(_raiser(error))
    assert result.exit_code == code
    assert result.stderr == line
    assert result.stdout == ""


def test_a_fault_keeps_its_traceback_and_a_usage_error_names_the_help():
    result = _run(_raiser(RuntimeError()), "--nonsense")
    assert result.exit_code == 2
    assert result.stderr == "error: No such option: --nonsense. See `fewlabel work --help`.\n"
    result = _run(_raiser(ZeroDivisionError("odd")))
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert "ZeroDivisionError: odd" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: this is a fault of fewlabel")


def test_the_command_is_remembered_quoted():
    seen = []

    def work(ctx: typer.Context, folder: str):
        seen.append(command_of(ctx))

    assert _run(work, "my photos").exit_code == 0
    assert seen == ["fewlabel work 'my photos'"]


def _end(process):
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


def test_a_reader_that_goes_away_leaves_no_traceback():
    process = start_cli("data", "list")
    process.stdout.close()
    process.stdout = None
    assert _end(process) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [("--version",), ("data", "list")])
def test_a_full_output_is_one_line(arguments):
    full = "import sys; sys.stdout = open('/dev/full', 'w'); from fewlabel.cli import main; main()"
    process = start_cli(*arguments, code=full)
    assert _end(process) == (2, "error: No room left on the disk: free some space.\n")


WAITS = """
import sys, time, typer
from fewlabel.cli import app, main
@app.command()
def wait():
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        # Cleaning up that a second Ctrl-C must not disturb.
        print("cleaning", flush=True)
        time.sleep(0.4)
        print("clean", flush=True)
sys.argv[0] = "fewlabel"
main()
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cleans_up_once(number, code):
    process = start_cli("wait", code=WAITS)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.stdout.readline() == "cleaning\n"
    process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (code, "clean\n")
    assert errors == "interrupted: nothing was written\n"


def test_what_the_parent_ignores_stays_ignored():
    code = (
        "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from fewlabel.cli.failures import catch_signals; catch_signals()\n"
        "assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN"
    )
    assert _end(start_cli(code=code)) == (0, "")
