import json
import re

import pytest

from fewlabel_experiments import registry
from tests.cli.conftest import refused
from tests.experiments.examples import Coin


@pytest.fixture
def coin(monkeypatch, tmp_path):
    """A study that takes no time, whatever name is asked for."""
    study = Coin(tmp_path / "coin")
    monkeypatch.setattr(registry, "find_study", lambda name: study)
    return study


def test_the_table_sets_published_beside_ours(run_cli, coin, tmp_path):
    out = tmp_path / "run"
    result = run_cli("reproduce", "coin", "--out", out)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "A coin (coin)"
    row = next(line.split() for line in lines if line.startswith("setting one"))
    assert " ".join(row[2:]) == "coin 100 50 49.5 51.0 ± 1.4 yes +1.0 91.0 ± 1.4"
    assert any(re.search(r"better than one .* ≥ 61\.0 +61\.0 +yes", line) for line in lines)
    assert f"wrote {out / 'tables.md'}" in result.stderr
    assert "coin, seed 1: two 62.00 %" in result.stderr


def test_json_is_all_that_stdout_gets(run_cli, coin, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    run_cli("reproduce", "coin", "--seeds", "3")
    assert (tmp_path / "fewlabel-coin" / "tables.md").is_file()
    result = run_cli("reproduce", "coin", "--quick", "--json")
    found = json.loads(result.stdout)
    assert found["study"] == "coin"
    assert [row["row"] for row in found["rows"]] == ["one", "two", "default-100"]
    assert found["rows"][0]["accuracy_mean"] == pytest.approx(50)
    assert found["rows"][0]["seeds"] == [0]
    assert "fewlabel-coin-quick/ours.csv" in found["files"]


def test_ctrl_c_says_what_is_kept(run_cli, coin, tmp_path):
    coin.fail_at = ("two", 0)
    out = tmp_path / "run"
    result = run_cli("reproduce", "coin", "--out", out)
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == (
        f"interrupted: the rows that ended are in {out}; the same command goes on from there."
    )
    coin.fail_at = None
    assert run_cli("reproduce", "coin", "--out", out).exit_code == 0
    assert coin.computed.count(("one", 0)) == 1
    (tmp_path / "photo.jpg").write_text("mine")
    refused(run_cli("reproduce", "coin", "--out", tmp_path), "holds other files")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--seeds", "x"), "Invalid value for --seeds: expected a whole number"),
        (("--seeds", "1,1"), "1 is given twice"),
        (("--data", "cifar"), "There is no benchmark 'cifar'"),
        (("--data", "digits", "--from-models", "no"), "no holds no saved models"),
        (("--from-models", "a", "--save-models", "b"), "give --save-models or --from-models"),
        (("--labeled", "500"), "leave out --labeled, --unlabeled and --test"),
        (("--rows", "cnn"), "--case and --noise, --rows, and --device"),
        (("--test", "0"), "Invalid value for '--test'"),
        (("--show-preprocessing",), "clusters-a does not preprocess its images"),
    ],
)
def test_mistakes_are_one_line(run_cli, arguments, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    parts = ("There is no study 'clusters': choose among clusters-a", "Did you mean clusters-")
    refused(run_cli("reproduce", "clusters"), *parts)
    refused(run_cli("reproduce", "clusters-a", *arguments), message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [("reproduce", "combo"), ("data", "make", "combo")])
def test_where_the_studies_are_not_installed_it_is_said(run_cli, monkeypatch, tmp_path, command):
    monkeypatch.setattr("fewlabel.cli.reproduce.find_spec", lambda name: None)
    message = "The published studies are not installed: install fewlabel from"
    refused(run_cli(*command, "--out", tmp_path / "x"), message)


def test_preprocessing_is_drawn_and_nothing_is_run(run_cli, coin, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(coin, "own", ("n_labeled", "n_unlabeled", "n_test"))
    monkeypatch.setattr(coin, "show_preprocessing", lambda *given: asked.append(given))
    file = tmp_path / "steps.png"
    result = run_cli("reproduce", "coin", "--show-preprocessing", "--test", "7", "--out", file)
    assert result.exit_code == 0, result.output
    ((config, path),) = asked
    assert (config["n_test"], path) == (7, file)
    assert f"wrote {file}" in result.stderr
    assert coin.opened == []
