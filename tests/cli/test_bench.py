import json
import runpy
from pathlib import Path

import pytest

from fewlabel.cli import bench
from tests.cli.conftest import refused


def _record(n_labeled, seed):
    return {
        "dataset": "digits",
        "n_labeled": n_labeled,
        "selection": "representatives",
        "method": "auto",
        "seed": seed,
        "accuracy": 0.8 + 0.02 * seed,
        "supervised_accuracy": 0.7,
        "mean_confidence": 0.85,
        "expected_calibration_error": 0.03,
        "seconds": {"total": 2.0},
        "peak_rss_mb": 500.0 + seed,
    }


def test_a_run_in_its_own_process(run_cli, tmp_path):
    quick = ("--images", 200, "--features", "pixels")
    out = tmp_path / "results" / "digits.jsonl"
    arguments = ("--labels", 20, "--seeds", 3, "--selection", "random", "--json", "--out", out)
    result = run_cli("bench", "digits", *arguments, *quick)
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert {
        "dataset": "digits", "n_labeled": 20, "selection": "random", "method": "auto", "seed": 3,
        "n_images": 200,
    }.items() <= record.items()  # fmt: skip
    stages = {"features", "select", "fit", "networks", "predict", "total"}
    assert set(record["seconds"]) == stages
    assert 0.3 < record["supervised_accuracy"] <= 1
    assert json.loads(out.read_text()) == record
    # A mistake in the other process is one line here.
    result = run_cli("bench", "cifar", "--labels", 20, "--seeds", 0)
    refused(result, "There is no benchmark 'cifar'")


@pytest.fixture
def asked(monkeypatch):
    """Records at once, and a list of what was asked for."""
    asked = []

    def records(dataset, runs, progress):
        for settings in runs:
            asked.append((settings["n_labeled"], settings["seed"]))
            yield _record(*asked[-1])

    monkeypatch.setattr(bench, "_records", records)
    return asked


def test_the_table_gives_mean_and_spread_over_the_seeds(run_cli, asked):
    result = run_cli("bench", "digits", "--labels", "50,20", "--seeds", "0,1,2")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert "3 seeds (mean ± sd)" in lines[0]
    figures = "82.0 ± 2.0 70.0 ± 0.0 85.0 ± 0.0 3.0 ± 0.0"
    assert lines[2].split() == ["50", *figures.split(), "2.0", "502"]
    assert max(map(len, lines[1:])) < 80
    assert lines[3].split()[0] == "20"
    assert asked == [(n_labeled, seed) for n_labeled in (50, 20) for seed in range(3)]


@pytest.mark.parametrize(
    ("left_out", "cells"), [((), "85.0 | 3.0"), (("expected_calibration_error",), "85.0 | –")]
)
def test_the_script_takes_records_of_earlier_versions(left_out, cells, tmp_path, capsys):
    record = _record(20, 0)
    record["seconds"] = dict.fromkeys(("features", "select", "fit", "predict"), 1.0)
    record = {name: value for name, value in record.items() if name not in left_out}
    (tmp_path / "x.jsonl").write_text(json.dumps(record))
    script = Path(__file__).parents[2] / "benchmarks" / "table.py"
    runpy.run_path(str(script))["main"]([str(tmp_path / "x.jsonl")])
    heading, rule, row = capsys.readouterr().out.splitlines()
    assert heading.count("|") == rule.count("|") == row.count("|")
    assert f"| 80.0 | 70.0 | {cells} |" in row


@pytest.mark.usefixtures("asked")
def test_json_prints_one_object_a_line_and_out_appends(run_cli, tmp_path):
    out = tmp_path / "x.jsonl"
    out.write_text('{"earlier": 1}\n')
    result = run_cli("bench", "digits", "--labels", 20, "--seeds", "0,1", "--json", "--out", out)
    assert [json.loads(line)["seed"] for line in result.stdout.splitlines()] == [0, 1]
    assert [json.loads(line).get("seed") for line in out.read_text().splitlines()] == [None, 0, 1]


def test_what_cannot_be_appended_to_is_refused_before_a_run(run_cli, asked, monkeypatch, tmp_path):
    def refuse(path, mode):
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "x.jsonl").touch()
    monkeypatch.setattr(bench.Path, "open", refuse)
    result = run_cli("bench", "digits", "--labels", 20, "--out", tmp_path / "x.jsonl")
    assert (result.exit_code, asked) == (2, [])
    assert "x.jsonl cannot be used: there is no permission" in result.stderr


def test_an_interrupt_says_what_is_kept(run_cli, monkeypatch, tmp_path):
    def records(dataset, runs, progress):
        yield _record(20, 0)
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "_records", records)
    out = tmp_path / "x.jsonl"
    result = run_cli("bench", "digits", "--labels", 20, "--out", out)
    assert result.exit_code == 130
    assert result.stderr == f"interrupted: 1 of 3 runs ended and are in {out}.\n"
    assert len(out.read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--labels", "0"), "Invalid value for --labels: expected a whole number of at least 1"),
        (("--labels", "20;50"), "Invalid value for --labels: expected a whole number"),
        (("--labels", "20", "--seeds", "a"), "Invalid value for --seeds: expected"),
        (("--labels", "20", "--images", "1"), "Invalid value for '--images': expected"),
        (("--labels", "20", "--method", "magic"), "Invalid value for '--method': 'magic'"),
        ((), "Missing option '--labels'"),
    ],
)
def test_bad_options_are_one_line(run_cli, arguments, message):
    refused(run_cli("bench", "digits", *arguments), message)
