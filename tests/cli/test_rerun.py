import json
import shutil

import pytest

from fewlabel.data import load_images
from fewlabel.runs.rerun import rerun
from tests.cli.conftest import QUICK, refused


@pytest.fixture
def home(tmp_path, photos, label_table, run_cli, monkeypatch):
    """A folder in which a run was fitted, with relative names."""
    monkeypatch.chdir(tmp_path)
    result = run_cli("fit", "photos", "--labels", "labels.csv", "--out", "run", *QUICK)
    assert result.exit_code == 0, result.output
    return tmp_path


def test_a_run_agrees_with_itself_from_anywhere(home, run_cli, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    result = run_cli("rerun", home / "run", "--out", "again")
    assert result.exit_code == 0, result.output
    assert "The predictions agree, to the last bit: labels equal in 40 of 40" in result.stdout
    # And so does the new one, whose images lie elsewhere.
    monkeypatch.chdir("again")
    found = json.loads(run_cli("rerun", ".", "--json").stdout)
    assert (found["n_same"], found["changed"], found["identical"]) == (40, [], True)
    assert found["out"].endswith("again-again")
    assert found["old"] == found["new"]


def test_a_home_that_has_moved_is_found(home, run_cli):
    home.rename(home.with_name("moved"))
    result = run_cli("rerun", home.with_name("moved") / "run")
    assert result.exit_code == 0, result.output
    assert home.with_name("moved").joinpath("run-again", "run.json").is_file()


def test_what_has_changed_is_said(home, run_cli, monkeypatch):
    (home / "photos" / "039.png").unlink()
    shutil.copy(home / "photos" / "000.png", home / "photos" / "038.png")
    labels = {f"{i:03}.png": "light" if i % 2 else "dark" for i in range(1, 9)}
    rows = [f"{name},{label}" for name, label in (labels | {"001.png": "dark"}).items()]
    (home / "labels.csv").write_text("\n".join(["path,label", *rows]))
    record = json.loads((home / "run" / "run.json").read_text())
    record["circumstances"]["versions"]["numpy"] = "1.0"
    record["circumstances"]["threads"]["torch"] = 99
    (home / "run" / "run.json").write_text(json.dumps(record))
    found = rerun("run", "again")
    assert (found["n"], found["identical"]) == (39, False)
    assert found["changed"][:5] == [
        "images: 1 is gone (039.png)",
        "images: 1 is changed (038.png)",
        "labels: 1 is gone (000.png)",
        "labels: 1 is new (008.png)",
        "labels: 1 is changed (001.png: light then, dark now)",
    ]
    assert any(text.startswith("numpy: 1.0 then") for text in found["changed"])
    assert any(text.startswith("threads of torch: 99 then") for text in found["changed"])


def test_predictions_that_differ_though_nothing_has_changed_are_exit_code_1(home, run_cli):
    table = home / "run" / "predictions.csv"
    table.write_text(table.read_text().replace("020.png,dark", "020.png,light"))
    result = run_cli("rerun", "run")
    assert result.exit_code == 1
    assert "do not agree, to the last bit: labels equal in 39 of 40" in result.stdout


def test_what_cannot_be_repeated_is_one_line(home, run_cli):
    record = home / "run" / "run.json"
    good = json.loads(record.read_text())
    for wrong in (
        {"settings": None},
        {"settings": good["settings"] | {"seed": "5"}},
        {"settings": good["settings"] | {"seed": -1}},
        {"data": {"images": []}},
        {"labels": 1},
    ):
        record.write_text(json.dumps(good | wrong))
        refused(run_cli("rerun", "run"), "run.json is damaged", "fit again")
    for gone in ({"labels": "gone.csv"}, {"labels": ""}, {"labels": "x" * 300}):
        record.write_text(json.dumps(good | gone))
        refused(run_cli("rerun", "run"), "--labels")
    record.unlink()
    refused(run_cli("rerun", "run"), "holds no run.json (an earlier fewlabel wrote it)")
    refused(run_cli("rerun", "photos"), "holds no run.json (is it a run?)")


def test_a_run_on_a_benchmark_agrees_in_all(tmp_path, run_cli, monkeypatch):
    monkeypatch.chdir(tmp_path)
    truth = load_images("digits:test").truth[:60]
    rows = [f"{i},digit {label}" for i, label in enumerate(truth)]
    (tmp_path / "labels.csv").write_text("\n".join(["index,label", *rows]))
    fit = ("fit", "digits:test", "--labels", "labels.csv", "--out", "run", "--probabilities")
    assert run_cli(*fit, *QUICK).exit_code == 0
    found = rerun("run", "again")
    assert (found["n_same"], found["n"], found["largest_difference"]) == (500, 500, 0)
    assert found["agrees"]
    assert not found["changed"]
