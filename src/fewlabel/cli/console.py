"""What commands print: results on stdout, the rest on stderr, progress on a terminal."""

from __future__ import annotations

import contextlib
import json
import math
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Self

import typer

from fewlabel.errors import FetchNotice
from fewlabel.percent import _percent_text

# A bar that flashes by would only disturb.
_PROGRESS_AFTER_S = 2.0
_SCORES = {
    "micro_f1": "micro F1",
    "macro_f1": "macro F1",
    "mean_average_precision": "mean average precision",
    "mean_confidence": "mean confidence",
}
_ERRORS = {"log_loss": "log loss", "expected_calibration_error": "calibration error"}
# What only a programmer can act on.
_QUIET = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)


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


def say(text: str = "") -> None:
    """Print a line of the result on stdout."""
    typer.echo(_disarmed(text))


def note(text: str) -> None:
    """Print a line beside the result, on stderr, above a progress bar if there is one."""
    text = _disarmed(text)
    bars = ProgressBars.current
    if bars is not None:
        bars.print(text)
    else:
        typer.echo(text, err=True)


def show_warnings(texts: Sequence[str]) -> None:
    """Print each warning as one line on stderr."""
    for text in texts:
        note(f"warning: {one_line(text)}")


def percent(value: float | None, digits: int = 1) -> str:
    """Return a fraction in percent; blank where there is none."""
    return "" if value is None else _percent_text(value, digits, "")


def interval_cells(found: Mapping[str, Any]) -> tuple[str, str]:
    """Return an accuracy and its interval, such as ``"91.2%"`` and ``"84.0% to 95.4%"``."""
    # What an evaluation measured, or what a fit estimated.
    measured = ("accuracy", "accuracy_low", "accuracy_high")
    keys = measured if "accuracy" in found else ("value", "low", "high")
    value, low, high = (percent(found[key]) for key in keys)
    return value or "unknown", f"{low} to {high}"


def scores_text(found: Mapping[str, Any]) -> str:
    """Return the measures that there are as one line, which begins with a capital."""
    known = {name: value for name, value in found.items() if value is not None}
    texts = [f"{name} {percent(known[key])}" for key, name in _SCORES.items() if key in known]
    texts += [f"{name} {known[key]:.3f}" for key, name in _ERRORS.items() if key in known]
    text = ", ".join(texts)
    return text[:1].upper() + text[1:]


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
    shown: set[str] = set()

    def show(message: Warning | str, *_: object, **__: object) -> None:
        text = one_line(str(message))
        if text not in shown:
            shown.add(text)
            note(text if isinstance(message, FetchNotice) else f"warning: {text}")

    with warnings.catch_warnings():
        # Whoever asks for other filters with -W or PYTHONWARNINGS keeps them.
        if not sys.warnoptions:
            warnings.simplefilter("default")
            for category in _QUIET:
                warnings.simplefilter("ignore", category)
        warnings.showwarning = show
        yield


class ProgressBars:
    """One bar a stage on stderr, once the work has taken two seconds.

    Nothing is shown where stderr is not a terminal or the result is printed as JSON.
    """

    current: ProgressBars | None = None

    def __init__(self, *, enabled: bool = True, delay: float = _PROGRESS_AFTER_S) -> None:
        self.enabled = enabled and sys.stderr is not None and sys.stderr.isatty()
        self.delay = delay
        self._tasks: dict[str, Any] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        if self.enabled:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
            from rich.progress import MofNCompleteColumn as Count

            self._progress = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                Count(),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._ended = False
            self._timer = threading.Timer(self.delay, self._show)
            # A timer that has not fired must not hold the process after Ctrl-C.
            self._timer.daemon = True
            self._timer.start()
            ProgressBars.current = self
        return self

    def __exit__(self, *error: object) -> None:
        if self.enabled:
            ProgressBars.current = None
            self._timer.cancel()
            with self._lock:
                self._ended = True
                self._progress.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show how far a stage is; ``total`` is 0 where that is unknown."""
        if not self.enabled:
            return
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(one_line(stage), total=total or None)
        self._progress.update(self._tasks[stage], completed=done, total=total or None)

    def stage(self, name: str) -> Any:
        """Return the ``progress(done, total)`` of one stage."""
        return lambda done, total: self(name, done, total)

    def print(self, text: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(text, soft_wrap=True, markup=False, highlight=False)

    def _show(self) -> None:
        with self._lock:
            if not self._ended:
                self._progress.start()
