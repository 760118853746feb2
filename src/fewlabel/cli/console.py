"""What commands print: results on stdout, the rest on stderr, progress on a terminal."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Self, TextIO

import typer

from fewlabel.errors import FetchNotice
from fewlabel.texts import _percent_text

# A bar that flashes by would only disturb.
_PROGRESS_AFTER_S = 2.0
# In a log, a line now and then shows that the work goes on.
_LINE_EVERY_S = 5.0
# A rate is known after this time; what takes longer is announced.
_RATE_AFTER_S, _ANNOUNCED_S = 1.0, 20.0
_SCORES = {
    "micro_f1": "micro F1",
    "macro_f1": "macro F1",
    "mean_average_precision": "mean average precision",
    "mean_confidence": "mean confidence",
}
_ERRORS = {"log_loss": "log loss", "expected_calibration_error": "calibration error"}
# What only a programmer can act on.
_QUIET = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
_shown: set[str] = set()


def one_line(text: str) -> str:
    """Return a text that is safe to print as one line."""
    # File names come from anywhere: a line break would split the message, and an escape
    # sequence would reach the terminal.
    return _disarmed(" ".join(part.strip() for part in text.splitlines() if part.strip()))


def _disarmed(text: str) -> str:
    """Write what would command a terminal, or turn its text around, as its code."""
    if text.isprintable():
        return text
    shown = (c if c.isprintable() or c == "\n" else c.encode("unicode_escape") for c in text)
    return "".join(c if isinstance(c, str) else c.decode() for c in shown)


def _wrapped(text: str, stream: TextIO | None) -> str:
    """Break a line between words where a terminal would break it anywhere."""
    # A command, which is indented, must be copied in one piece.
    if text.startswith(" ") or stream is None or not stream.isatty():
        return text
    width = shutil.get_terminal_size().columns
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)


def say(text: str = "") -> None:
    """Print a line of the result on stdout."""
    typer.echo(_wrapped(_disarmed(text), sys.stdout))


def note(text: str) -> None:
    """Print a line beside the result, on stderr, above a progress bar if there is one."""
    text = _wrapped(_disarmed(text), sys.stderr)
    bars = ProgressBars.current
    if bars is not None:
        bars.print(text)
    else:
        typer.echo(text, err=True)


def show_warnings(texts: Sequence[str]) -> None:
    """Print each warning as one line on stderr, unless this command has printed it before."""
    for text in map(one_line, texts):
        if text not in _shown:
            _shown.add(text)
            note(f"warning: {text}")


def percent(value: float | None, digits: int = 1) -> str:
    """Return a fraction in percent; blank where there is none."""
    return "" if value is None else _percent_text(value, digits)


def interval_cells(found: Mapping[str, Any]) -> tuple[str, str]:
    """Return an accuracy and its interval, such as ``"91.2 %"`` and ``"84.0 % to 95.4 %"``."""
    # What an evaluation measured, or what a fit estimated.
    measured = ("accuracy", "accuracy_low", "accuracy_high")
    keys = measured if "accuracy" in found else ("value", "low", "high")
    value, low, high = (percent(found[key]) for key in keys)
    return value or "unknown", f"{low} to {high}"


def scores_text(found: Mapping[str, Any]) -> str:
    """Return the measures that there are as one line."""
    known = {name: value for name, value in found.items() if value is not None}
    texts = [f"{name} {percent(known[key])}" for key, name in _SCORES.items() if key in known]
    texts += [f"{name} {known[key]:.3f}" for key, name in _ERRORS.items() if key in known]
    return ", ".join(texts)


def show_json(value: Any, *, indent: int | None = 2) -> None:
    """Print a value as JSON on stdout; NaN and infinity become null."""
    # NaN is no JSON: other readers than Python's refuse it.
    typer.echo(json.dumps(plain(value), indent=indent, allow_nan=False))


def show(found: Any, print_: Callable[[Any], None], *, as_json: bool) -> None:
    """Print a result on stdout, as JSON or for people."""
    (show_json if as_json else print_)(found)


def plain(value: Any) -> Any:
    """Return a value in types that JSON knows; NaN becomes None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, PurePath):
        return str(value)
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def show_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()
) -> None:
    """Print a table on stdout; numbers, in the columns ``right``, are set to the right."""
    # Rich takes a while to import, and `--help` does without.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=any(columns), pad_edge=False, padding=(0, 2, 0, 0))
    for number, column in enumerate(columns):
        justify = "right" if number in right else "left"
        table.add_column(Text(column), justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        # As Text, so that a class called [red] is printed as it is.
        table.add_row(*(Text(one_line(cell)) for cell in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        # A file has no width: wrapping at 80 columns would only break the cells.
        console = Console(highlight=False, width=200)
    with console.capture() as capture:
        console.print(table)
    typer.echo("\n".join(line.rstrip() for line in capture.get().splitlines()))


@contextlib.contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Show each Python warning once, as one line ``warning: …`` on stderr."""
    _shown.clear()

    def show(message: Warning | str, *_: object, **__: object) -> None:
        text = one_line(str(message))
        if not isinstance(message, FetchNotice):
            show_warnings([text])
        elif text not in _shown:
            _shown.add(text)
            note(text)

    with warnings.catch_warnings():
        # Whoever asks for other filters with -W or PYTHONWARNINGS keeps them.
        if not sys.warnoptions:
            warnings.simplefilter("default")
            for category in _QUIET:
                warnings.simplefilter("ignore", category)
        warnings.showwarning = show
        yield


class _Stage:
    """How far a stage is, and how long it will take."""

    def __init__(self, name: str) -> None:
        self.name = one_line(name)
        self.start, self.first = time.perf_counter(), -1
        self.done = self.total = 0
        self.is_announced = False

    def set(self, done: int, total: int) -> None:
        if self.first < 0 or done < self.done:
            # What stood there at first took no time here.
            self.start, self.first = time.perf_counter(), done
        self.done, self.total = done, total

    @property
    def seconds(self) -> float:
        """Seconds since it began."""
        return time.perf_counter() - self.start

    @property
    def is_done(self) -> bool:
        return 0 < self.total <= self.done

    @property
    def seconds_left(self) -> float | None:
        """Seconds to go at the rate so far; None where that is unknown."""
        passed, moved = self.seconds, self.done - self.first
        if moved <= 0 or passed < _RATE_AFTER_S or self.is_done:
            return None
        return (self.total - self.done) * passed / moved

    @property
    def left(self) -> str:
        """How long it will take, as words; empty where that is unknown."""
        seconds = self.seconds_left
        return "" if seconds is None or not self.total else f"about {duration_text(seconds)} left"

    def __str__(self) -> str:
        if self.total <= 1:
            return f"{self.name}: {duration_text(self.seconds)} so far"
        return f"{self.name}: {self.done:,} of {self.total:,}" + (
            f", {self.left}" * bool(self.left)
        )


def open_page(address: str) -> None:
    """Open a page in the user's browser, if there is one."""
    import webbrowser

    with contextlib.suppress(webbrowser.Error, OSError):
        webbrowser.open(address)


def duration_text(seconds: float) -> str:
    """Return a time as words, such as ``12 s``, ``3 min`` or ``2.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"


class ProgressBars:
    """One bar a stage on stderr, once the work has taken two seconds.

    Where stderr is no terminal, a line every few seconds says the same; nothing is shown where
    the result is printed as JSON.
    """

    current: ProgressBars | None = None

    def __init__(
        self,
        *,
        enabled: bool = True,
        delay: float = _PROGRESS_AFTER_S,
        every: float = _LINE_EVERY_S,
    ) -> None:
        self.enabled = enabled and sys.stderr is not None
        self.on_terminal = self.enabled and sys.stderr.isatty()
        self.delay = delay if self.on_terminal else every
        self._stages: dict[str, _Stage] = {}
        self._tasks: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        if self.on_terminal:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
            from rich.progress import MofNCompleteColumn as Count

            self._progress = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                Count(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[left]}", markup=False),
                console=Console(stderr=True),
                transient=True,
            )
            ProgressBars.current = self
        if self.enabled:
            # Shown where no stage has begun: loading torch takes seconds on a busy machine.
            self("working", 0, 1)
            # A thread that sleeps must not hold the process after Ctrl-C.
            threading.Thread(target=self._show, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._ended.set()
            if self.on_terminal:
                ProgressBars.current = None
                self._progress.stop()

    def __call__(self, name: str, done: int, total: int) -> None:
        """Show how far a stage is; ``total`` is 0 where that is unknown."""
        if not self.enabled:
            return
        stage = self._stages.setdefault(name, _Stage(name))
        stage.set(done, total)
        # The stage that moved last is the one that is worked on.
        self._stages[name] = self._stages.pop(name)
        seconds = stage.seconds_left or 0
        if not stage.is_announced and stage.total > 1 and seconds > _ANNOUNCED_S:
            stage.is_announced = True
            note(f"{stage.name}: {total:,} take about {duration_text(seconds)} on this machine.")
        if self.on_terminal:
            # How far a single step is, nobody knows.
            size = total if total > 1 or done else None
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(stage.name, total=size, left="")
            self._progress.update(self._tasks[name], completed=done, total=size, left=stage.left)

    def stage(self, name: str) -> Any:
        """Return the ``progress(done, total)`` of one stage."""
        return lambda done, total: self(name, done, total)

    def print(self, text: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(text, soft_wrap=True, markup=False, highlight=False)

    def _show(self) -> None:
        """Begin to show the bars, or print a line now and then."""
        while not self._ended.wait(self.delay):
            with self._lock:
                if self._ended.is_set():
                    return
                if self.on_terminal:
                    self._progress.start()
                    return
                least = min(1.0, self.delay)
                stages = [s for s in self._stages.values() if not s.is_done and s.seconds >= least]
                if stages:
                    note(str(stages[-1]))
