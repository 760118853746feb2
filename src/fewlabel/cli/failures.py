"""What goes wrong, as one line and an exit code.

| exit code | what happened |
|---|---|
| 0 | all well |
| 1 | something outside the user's hands: a download that failed, memory that ran out, a bug |
| 2 | a mistake in what was asked for, or a file that cannot be read or written |
| 130 | Ctrl-C (143 and 129 for SIGTERM and SIGHUP) |
| 141 | the reader of a pipe went away, as in ``| head`` |
"""

import contextlib
import errno
import os
import shlex
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any

import typer
from typer.core import TyperGroup

from fewlabel.cli.console import note, one_line, warnings_as_lines
from fewlabel.errors import OUT_OF_SPACE, FewLabelError, _is_about_users_path, _refusal

NOTHING_WRITTEN = "nothing was written"
PIPE_CLOSED = 141
_OF_DISKS = {errno.ENOENT, errno.EIO, errno.ESTALE}
_COMMAND, _BEGIN = "fewlabel.command", "fewlabel.begin"
_AGAIN_AFTER_S = 2.0

# Newer versions of Typer carry click inside, older ones import it: the class that both
# raise for a mistake on the command line is reached through one that Typer exports.
_CommandLineError: type[Exception] = typer.BadParameter.__mro__[1]


class Stopped(KeyboardInterrupt):
    """A signal that asks the process to end; cleaned up after like Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class CommandGroup(TyperGroup):
    """A group whose commands end with one clear line, in tests as on the command line."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        """Return the context, with the command as it was typed for the reports."""
        # Before parsing, which would lose the order and the defaults that were left out.
        typed, begin = shlex.join(["fewlabel", *args]), time.perf_counter()
        with failures_as_lines():
            context = super().make_context(info_name, args, parent=parent, **extra)
        context.meta.setdefault(_COMMAND, typed)
        context.meta.setdefault(_BEGIN, begin)
        return context

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what it raises becomes a line and an exit code."""
        if ctx.parent is not None:
            return super().invoke(ctx)
        with failures_as_lines(), warnings_as_lines():
            return super().invoke(ctx)


def command_of(ctx: typer.Context) -> str:
    """Return the command as it was typed, quoted for a shell."""
    return str(ctx.meta.get(_COMMAND, "fewlabel"))


def add_to_command(ctx: typer.Context, options: str) -> None:
    """Add what came from elsewhere, so that the command as it is told makes the same again."""
    ctx.meta[_COMMAND] = f"{command_of(ctx)} {options}"


def seconds_of(ctx: typer.Context) -> float:
    """Return the seconds since the command began."""
    return time.perf_counter() - float(ctx.meta[_BEGIN])


@contextlib.contextmanager
def failures_as_lines() -> Iterator[None]:
    """Turn what is raised in the block into a line on stderr and ``typer.Exit``."""
    try:
        yield
    except _CommandLineError as error:
        note(f"error: {_usage_text(error)}")
        raise typer.Exit(2) from error
    except FewLabelError as error:
        note(f"error: {one_line(str(error))}")
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt as stop:
        # A command that keeps something all the same names it in a note of the exception.
        kept = " ".join(getattr(stop, "__notes__", [])) or NOTHING_WRITTEN
        note(f"interrupted: {one_line(kept)}")
        raise typer.Exit(getattr(stop, "exit_code", 130)) from stop
    except BrokenPipeError as error:
        drop_closed_pipes()
        raise typer.Exit(PIPE_CLOSED) from error
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in OUT_OF_SPACE:
            drop_closed_pipes()
            where = f" to write {one_line(str(error.filename))}" if error.filename else ""
            note(f"error: No room left on the disk{where}: free some space.")
            raise typer.Exit(2) from error
        if isinstance(error, OSError) and _is_about_users_path(error):
            note(f"error: {one_line(_refusal(error, 'used'))}")
            raise typer.Exit(2) from error
        if isinstance(error, OSError) and error.errno in _OF_DISKS and error.filename is None:
            # What has no name is the current folder, a place for temporary files, or an open file.
            text = one_line(str(error.strerror or error))
            note(f"error: {text}: look whether the disk and the current folder are still there.")
            raise typer.Exit(2) from error
        traceback.print_exc()
        note(
            "error: this is a fault of fewlabel, not of yours: please report it with the lines "
            "above and the output of `fewlabel doctor`."
        )
        raise typer.Exit(1) from error


def _usage_text(error: Any) -> str:
    # Some versions of Typer put the name of the inner exception into the message.
    text = one_line(error.format_message()).replace(": Value error, ", ": ").rstrip(".")
    ctx = getattr(error, "ctx", None)
    end = "" if text.endswith("?") else "."
    return f"{text}{end} See `{ctx.command_path if ctx else 'fewlabel'} --help`."


def drop_closed_pipes() -> None:
    """Send what is still to be printed nowhere, so that the exit does not fail on it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)


def catch_signals() -> None:
    """Let SIGTERM and SIGHUP clean up as Ctrl-C does, and let a second Ctrl-C not disturb it."""
    last = [float("-inf")]

    def stop(number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        # Whoever presses Ctrl-C three times would otherwise interrupt the cleaning up.
        if now - last[0] >= _AGAIN_AFTER_S:
            last[0] = now
            raise Stopped(number)

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # What the parent ignores (nohup, a job in the background) stays ignored.
        if number is not None and signal.getsignal(number) in (
            signal.SIG_DFL,
            signal.default_int_handler,
        ):
            signal.signal(number, stop)
