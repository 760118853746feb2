import functools
import json

import pytest

from fewlabel.runs import demo
from tests.cli.conftest import refused


@pytest.fixture(autouse=True)
def quick_features(monkeypatch):
    """Pixels instead of a dictionary of patches, and no map of the images."""
    # The demo sets it for its own process, which is that of the tests here.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    quick = functools.partial(demo.extract_features, features="pixels")
    monkeypatch.setattr(demo, "extract_features", quick)
    monkeypatch.setattr("fewlabel.report.page._map_view", lambda result: None)


def test_the_demo_runs_the_whole_pipeline(run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run_cli("demo")
    assert result.exit_code == 0, result.output
    for text in ("40 of 1,297 images", "Report: fewlabel-demo/run/report.html"):
        assert text in result.stdout
    folder = tmp_path / "fewlabel-demo"
    assert {p.name for p in folder.iterdir()} == {"picks.csv", "labels.csv", "metrics.json", "run"}
    found = json.loads((folder / "metrics.json").read_text())
    assert found["n_labeled"] == 40
    assert found["test"]["n"] == 500
    assert found["test"]["accuracy"] > 0.8
    assert found["supervised_accuracy"] > 0.7
    page = (folder / "run" / "report.html").read_text("utf-8")
    assert "--labels fewlabel-demo/labels.csv --out" in page
    # Its own folder is replaced by the next demo, another one is not.
    (folder / "picks.csv").write_text("old")
    monkeypatch.setattr(demo, "extract_features", _stop)
    assert run_cli("demo").exit_code == 130
    assert (folder / "picks.csv").read_text() == "old"
    refused(run_cli("demo", "--out", folder / "run"), "exists already")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fewlabel-demo"]


def _stop(*args, **options):
    raise KeyboardInterrupt


def test_the_demo_does_not_replace_what_it_did_not_write(run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fewlabel-demo").mkdir()
    (tmp_path / "fewlabel-demo" / "photo.jpg").write_text("mine")
    refused(run_cli("demo"), "was not written by fewlabel")
    assert (tmp_path / "fewlabel-demo" / "photo.jpg").read_text() == "mine"
