"""What is asked for and cannot be, told before any work."""

import pytest

from tests.cli.conftest import cli

LONG = "n" * 300


def _refused(*arguments):
    result = cli(*arguments)
    lines = result.stderr.splitlines()
    assert (result.exit_code, result.stdout, len(lines)) == (2, "", 1), result.output
    return lines[0]


@pytest.mark.parametrize("device", ["cuda", "mps"])
@pytest.mark.parametrize(
    "command",
    [
        ("fit", "nowhere", "--labels", "no.csv", "--out", "run"),
        ("select", "nowhere", "--budget", "3", "--out", "picks.csv"),
        ("bench", "nowhere", "--labels", "20"),
    ],
)
def test_a_device_that_is_not_there(command, device, monkeypatch):
    module = {"cuda": "torch.cuda", "mps": "torch.backends.mps"}[device]
    monkeypatch.setattr(f"{module}.is_available", lambda: False)
    assert f"The device '{device}' is not present here" in _refused(*command, "--device", device)


@pytest.mark.parametrize(
    ("command", "better"),
    [
        (("select", "photos", "--budget", "3", "--out", "p.ods"), "name it p.csv"),
        (("predict", "run", "photos", "--out", "p.parquet"), "name it p.csv"),
        (("predict", "run", "photos", "--out", "p.tsv"), "name it p.csv"),
        (("evaluate", "run", "photos", "--labels", "t.csv", "--out", "e.pdf"), "name it e.html"),
        (("explain", "run", "photos", "--out", "why.jpg"), "name it why.png"),
        (("bench", "digits", "--labels", "20", "--out", "runs.csv"), "name it runs.jsonl"),
        (("fit", "photos", "--labels", "t.csv", "--out", "run.zip"), "name it run instead"),
        (("demo", "--out", "demo.html"), "name it demo instead"),
        (("data", "make", "combo", "--out", "combo.npz"), "name it combo instead"),
        (("reproduce", "combo", "--show-preprocessing", "--out", "a.svg"), "name it a.png"),
    ],
)
def test_a_suffix_that_promises_another_format(command, better):
    assert "its suffix promises a" in (line := _refused(*command))
    assert better in line


@pytest.mark.parametrize(
    "command",
    [
        ("select", "photos", "--budget", "3", "--out", LONG),
        ("predict", "run", "photos", "--out", LONG),
        ("predict", LONG, "photos", "--out", "p.csv"),
        ("evaluate", "run", LONG, "--labels", LONG),
        ("explain", "run", "photos", "--out", f"{LONG}/x.png"),
        ("fit", "photos", "--labels", LONG, "--out", "run"),
        ("fit", "photos", "--labels", "t.csv", "--out", LONG),
        ("bench", "digits", "--labels", "20", "--out", LONG),
        ("demo", "--out", LONG),
        ("data", "make", "combo", "--out", LONG),
        ("reproduce", "clusters-a", "--out", LONG),
    ],
)
def test_a_name_that_is_too_long(command):
    assert LONG in _refused(*command)


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ("0", "The budget must be at least 1, or 0 with an audit of at least 1 (--audit)"),
        ("-3", "expected a whole number of at least 0, got -3"),
        ("9999999", "A budget of 9,999,999 does not fit 1,797 images"),
        ("1" * 30, "expected a whole number"),
        ("1e3", "expected a whole number"),
    ],
)
def test_budgets(budget, message, tmp_path):
    line = _refused("select", "digits", f"--budget={budget}", "--out", tmp_path / "p.csv")
    assert message in line
