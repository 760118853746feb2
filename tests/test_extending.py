"""The two files of the page "Add a method" are a strategy and a method like all others."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from fewlabel.cli import bench
from fewlabel.cluster import strategies
from fewlabel.evaluate import registry
from fewlabel.runs.folder import save_run
from fewlabel.runs.model import load_run
from tests.cli.conftest import cli, draw

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "add-a-method.md"
STRATEGY, METHOD = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)


@pytest.fixture(autouse=True)
def extended():
    """Put into the registries what the page adds, for this test alone."""
    strategies.strategy_names()
    for code in (STRATEGY, METHOD):
        # A module's name, so that its dataclass finds its own module.
        exec(compile(code, PAGE, "exec"), {"__name__": __name__})
    yield
    del strategies.REGISTRY["farthest"], registry.REGISTRY["class-means"]


@pytest.mark.parametrize("command", ["fit", "bench", "select"])
def test_help_and_completion_have_them(command):
    text = " ".join(cli(command, "--help").stdout.split())
    assert ("class-means The class whose mean is nearest" in text) == (command != "select")
    assert ("farthest Take images that are as far as" in text) == (command != "fit")


def test_the_strategy_selects(tmp_path):
    photos = tmp_path / "photos"
    draw(photos, 40)
    out = tmp_path / "picks.csv"
    arguments = ("--budget", 6, "--method", "farthest", "--features", "pixels", "--no-cache")
    result = cli("select", photos, "--out", out, *arguments)
    assert "Chose 6 of 40 images (farthest)" in result.stdout
    assert out.read_text().count(",train,") == 6


def test_the_method_is_fitted_reported_and_loaded(digits, tmp_path):
    result = digits.fit(method="class-means")
    assert result.method == "class-means"
    table = {row.name: row for row in result.choice.table}
    assert table["class-means"].chosen
    assert "supervised" in table
    reached = digits.truth.task.correct(digits.truth.y[80:], result.proba[80:]).mean()
    assert reached > 0.75
    run = save_run(result, digits.images, tmp_path / "run")
    assert "class-means" in (run / "report.html").read_text("utf-8")
    again = load_run(run).predict(digits.new).proba
    np.testing.assert_allclose(again, result.model.predict(digits.new).proba, atol=1e-6)


def test_the_benchmark_compares_them(monkeypatch):
    def here(dataset, runs, progress):
        # Another process would not know what this test has registered.
        return (bench._one_run(dataset, settings) for settings in runs)

    monkeypatch.setattr(bench, "_records", here)
    arguments = ("--seeds", 0, "--images", 300, "--features", "pixels", "--json")
    names = ("--method", "class-means", "--selection", "farthest")
    result = cli("bench", "digits", "--labels", 50, *names, *arguments)
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert (record["chosen"], record["selection"]) == ("class-means", "farthest")
    # Of the method itself: the main candidates reach another accuracy.
    assert record["accuracy"] > 0.6
    assert record["accuracy"] != record["main_accuracy"]
