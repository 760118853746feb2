"""``fewlabel export`` writes a file that predicts what the run does."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import QUICK, Run, _write_table, draw, refused


@pytest.fixture
def run(tmp_path: Path, run_cli: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run, in the folder beside its photos."""
    labels = draw(tmp_path / "photos", 60)
    _write_table(tmp_path / "labels.csv", {f"{i:03}.png": x for i, x in enumerate(labels[:40])})
    monkeypatch.chdir(tmp_path)
    given = ("photos", "--labels", "labels.csv", "--out", "run", "--method", "graph")
    result = run_cli("fit", *given, *QUICK, "--explain", 0)
    assert result.exit_code == 0, result.output
    return tmp_path / "run"


def test_a_run_is_exported_from_another_folder(
    run: Path, run_cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = run.parent / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    result = run_cli("export", run, "--onnx", "model.onnx", "--no-graph", "--int8")
    assert result.exit_code == 0, result.output
    words = " ".join(result.output.split())
    assert "on 64 images" in words
    assert "The method graph needs the graph of all images, and is replaced by supervised" in words
    assert "labels that neither saw. --no-graph asks for that" in words
    assert "In eight bits: model.int8.onnx" in words
    assert {file.name for file in elsewhere.iterdir()} == {"model.onnx", "model.int8.onnx"}
    refused(run_cli("export", run, "--onnx", "model.onnx"), "model.onnx exists already", "--onnx")
    (elsewhere / "model.onnx").rename("other.onnx")
    again = run_cli("export", run, "--onnx", "model.onnx", "--int8")
    refused(again, "model.int8.onnx exists already")
    kept = run_cli("export", run, "--onnx", "kept.onnx")
    words = " ".join(kept.output.split())
    assert "that of its 60 images is in the file" in words
    assert "With --no-graph it is replaced by supervised: accuracy" in words
    found = json.loads(run_cli("export", run, "--onnx", "other.onnx", "--force", "--json").output)
    assert found["about"]["method"] == "graph"
    assert found["difference"] < 1e-3
    assert found["graph"]["kept"]


def test_mistakes_are_one_line(run: Path, run_cli: Run) -> None:
    refused(run_cli("export", run), "add --onnx FILE")
    refused(run_cli("export", run, "--onnx", "model.csv"), "an ONNX file")
    refused(run_cli("export", "photos", "--onnx", "m.onnx"), "holds no model")
    refused(run_cli("export", run, "--onnx", "m.onnx", "--images", "nowhere"), "does not exist")
    refused(run_cli("export", run, "--onnx", "m.onnx", "--labels", "no.csv"), "no.csv")
    (run / "run.json").unlink()
    refused(run_cli("export", run, "--onnx", "m.onnx"), "give some with --images")
    assert not list(Path().glob("*.onnx"))
