import io
import json
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from fewlabel.cli import console


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_one_line_joins_lines_and_disarms_escape_sequences():
    assert console.one_line("a\n  b\r\nc é") == "a b c é"
    assert console.one_line("\x1b[31mred") == "\\x1b[31mred"


@pytest.mark.parametrize("show", [console.say, console.note, lambda t: console.show_warnings([t])])
@pytest.mark.parametrize(
    "code", ["\x1b", "\x07", "\x9b", "\u202e", "\u2066", "\u200b", "\r", "\udc80"]
)
def test_no_control_character_reaches_a_terminal(capsys, show, code):
    show(f"cat{code}dog é")
    seen = "".join(capsys.readouterr())
    assert code not in seen
    assert "cat" in seen
    assert "dog é\n" in seen


def test_json_has_no_nan_and_no_numpy(capsys):
    value = {"a": float("nan"), "b": np.float32(0.5), "c": np.array([1, 2]), 3: None}
    console.show_json(value | {"d": (Path("x"), np.inf)}, indent=None)
    expected = {"a": None, "b": 0.5, "c": [1, 2], "3": None, "d": ["x", None]}
    assert json.loads(capsys.readouterr().out) == expected


def test_a_table_prints_markup_as_it_is_and_is_not_cut_in_a_file(capsys):
    console.show_table(("class", "n"), [("[red]x[/red]", "5"), ("b\nc", "10")], right=(1,))
    assert capsys.readouterr().out == "class          n\n[red]x[/red]   5\nb c           10\n"
    console.show_table(("", ""), [("a" * 70, "b" * 70)])
    assert capsys.readouterr().out == f"{'a' * 70}  {'b' * 70}\n"


def test_a_warning_is_one_line_and_comes_once(capsys):
    with console.warnings_as_lines():
        for _ in range(2):
            warnings.warn("look\nhere", UserWarning, stacklevel=1)
        warnings.warn("old name", DeprecationWarning, stacklevel=1)
        # As the fit says at once, and in its result, that the time trains no network.
        console.show_warnings(["look here"])
    seen = capsys.readouterr()
    assert seen.err == "warning: look here\n"
    assert seen.out == ""


def test_progress_shows_only_what_takes_long(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with console.ProgressBars() as progress:
        progress("reading", 1, 10)
    assert terminal.getvalue() == ""
    with console.ProgressBars(delay=0.01) as progress:
        progress.stage("read[ing")(3, 10)
        time.sleep(0.3)
        console.note("beside the bar")
    assert "read[ing" in terminal.getvalue()
    assert "3/10" in terminal.getvalue()
    assert "beside the bar" in terminal.getvalue()


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_no_progress_for_json(monkeypatch, stream):
    monkeypatch.setattr("sys.stderr", stream)
    with console.ProgressBars(enabled=False, delay=0, every=0.01) as progress:
        progress("reading", 1, 10)
        time.sleep(0.05)
    assert stream.getvalue() == ""


def test_without_a_terminal_a_line_now_and_then_says_how_far_it_is(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with console.ProgressBars(every=0.02) as progress:
        progress("report", 0, 1)
        progress("read\ning", 3, 10)
        time.sleep(0.1)
        progress("read\ning", 10, 10)
        time.sleep(0.1)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "read ing: 3 of 10"
    # A stage that has ended gives way to the one that it is a part of.
    assert lines[-1] == "report: 0 s so far"
    assert len(lines) < 12


def test_a_line_comes_where_no_stage_has_begun_or_the_last_has_ended(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with console.ProgressBars(every=0.02) as progress:
        time.sleep(0.1)
        progress("reading", 10, 10)
        time.sleep(0.1)
    assert set(stream.getvalue().splitlines()) == {"working: 0 s so far"}


def test_a_terminal_breaks_lines_between_words_and_never_a_command(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("COLUMNS", "20")
    console.say("a sentence of several words")
    console.say("  fewlabel fit photos --labels picks.csv")
    expected = "a sentence of\nseveral words\n  fewlabel fit photos --labels picks.csv\n"
    assert terminal.getvalue() == expected


def test_the_time_left_is_announced_and_shown(monkeypatch):
    stream, now = io.StringIO(), [0.0]
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr(console.time, "perf_counter", lambda: now[0])
    with console.ProgressBars(every=60) as progress:
        for done in (500, 520, 540):
            progress("backbone", done, 1500)
            now[0] += 4
        assert str(progress._stages["backbone"]) == "backbone: 540 of 1,500, about 5 min left"
    assert stream.getvalue() == "backbone: 1,500 take about 3 min on this machine.\n"
    assert [console.duration_text(s) for s in (8.4, 89, 600, 9_000)] == [
        "8 s", "89 s", "10 min", "2.5 h"
    ]  # fmt: skip
