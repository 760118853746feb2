"""From `select` to a second round by nothing but the commands that are printed."""

import csv
import json
import shlex
from pathlib import Path

import pytest

from tests.cli.conftest import cli, draw, refused, rows_of


@pytest.fixture
def home(tmp_path, monkeypatch):
    draw(tmp_path / "my photos", 40)
    draw(tmp_path / "new-images", 6)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEWLABEL_CACHE", str(tmp_path / "cache"))
    return tmp_path


def fill(table: Path) -> None:
    rows = rows_of(table)
    for row in rows:
        row["label"] = "light" if int(Path(row["path"]).stem) % 2 else "dark"
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def hints(output: str) -> list[list[str]]:
    lines = [line.strip() for line in output.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("fewlabel ")]


def test_the_printed_commands_work_as_they_stand(home):
    select = "select", "my photos", "--budget", 12, "--out", "picks.csv"
    result = cli(*select, "--features", "pixels", "--seed", 5)
    for run in ("run", "run-2"):
        fill(home / (result.stdout.split("`label` of ")[1].split(" (")[0]))
        (command,) = hints(result.stdout)
        result = cli(*command)
        assert result.exit_code == 0, result.output
        assert "From fewlabel.toml: --features pixels --seed 5 (flags win)" in result.stderr
        summary = json.loads((home / run / "run.json").read_text())
        assert (summary["settings"]["features"], summary["settings"]["seed"]) == ("pixels", 5)
        # What the report prints makes the same run without the file.
        assert summary["command"].endswith(f"--out {run} --features pixels --seed 5")
        assert "\nNext: " in result.stdout
        commands = {name: each for each in hints(result.stdout) for name in each[:1]}
        assert cli(*commands["predict"]).exit_code == 0
        result = cli(*commands["select"])
        assert result.exit_code == 0, result.output
    table = cli("runs", ".")
    assert [line.split()[0] for line in table.stdout.splitlines()[1:3]] == ["run", "run-2"]


def test_nothing_but_a_place_for_the_run_is_needed(home):
    assert cli("select", "my photos", "--budget", 12, "--out", "picks.csv").exit_code == 0
    fill(home / "picks.csv")
    result = cli("fit", "--out", "run", "--features", "pixels", "--explain", 0)
    assert "From fewlabel.toml: 'my photos' --labels picks.csv (flags win)" in result.stderr
    assert result.exit_code == 0, result.output
    (home / "fewlabel.toml").unlink()
    refused(cli("fit", "--out", "run2"), "IMAGES is missing", "fewlabel select IMAGES --budget 50")
    refused(cli("fit", "my photos", "--out", "run2"), "--labels is missing", "fewlabel.toml")


def test_options_of_other_images_are_not_used(home):
    cli("select", "my photos", "--budget", 12, "--out", "picks.csv", "--seed", 5)
    result = cli("select", "new-images", "--budget", 2, "--out", "p.csv", "--features", "pixels")
    assert "fewlabel.toml is about other images, my photos: it is not used." in result.stderr
    assert "--seed 5" not in result.output


def test_where_everything_is_labeled_the_audit_is_drawn_from_the_labels(home):
    for name in ("dark", "light"):
        draw(home / "tree" / name, 10, classes=(name, "x"))
    arguments = ("--budget", 0, "--audit", 6, "--labels", "folders", "--out", "labels.csv")
    result = cli("select", "tree", *arguments)
    assert result.exit_code == 0, result.output
    rows = rows_of(home / "labels.csv")
    assert len(rows) == len({row["path"] for row in rows}) == 20
    assert all(row["label"] == row["path"].split("/")[0] for row in rows)
    assert [row["purpose"] for row in rows] == [""] * 14 + ["audit"] * 6
    assert "Next: run" in result.stdout
