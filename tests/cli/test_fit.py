import json

import numpy as np
import pytest

from fewlabel import extras, pipeline
from fewlabel.explain import sheets
from fewlabel.locks import _lock_output
from fewlabel.runs.project import _run_record
from fewlabel.semisupervised.history import AcceptedLabels, TrainingHistory
from tests.cli.conftest import QUICK, draw, refused, rows_of

GRAPH = ("--features", "pixels", "--method", "graph")


def test_the_run_is_whole_and_its_figures_are_printed(world):
    assert world.printed.exit_code == 0, world.printed.output
    names = {path.name for path in world.run.iterdir()}
    assert names == {
        "predictions.csv", "ledger.parquet", "metrics.json", "report.html", "skipped.csv", "model",
        "suspicious.csv", "run.json", "model_card.md",
    }  # fmt: skip
    expected = (world.metric, "estimate", "supervised baseline", "95 % interval", "Method: ")
    for text in (*expected, "Features: Pixels", f"Report: {world.run}/report.html"):
        assert text in world.printed.stdout
    assert "leer.png" in world.printed.stderr
    figures = _run_record(world.run)
    assert figures["command"].startswith(f"fewlabel fit '{world.photos}' --labels ")
    assert figures["no_learning_curve"] in world.printed.stdout
    page = (world.run / "report.html").read_text("utf-8")
    explained = page.split('<h2 id="why">')[1].split("<h2")[0]
    assert explained.count('<div class="pair">') * 2 == explained.count("<img") == 12
    for text in ("as predicted by models that did not see their labels", "stability "):
        assert text in explained
    truth = {row["path"]: row["label"].strip("|") for row in rows_of(world.truth)}
    rows = rows_of(world.run / "predictions.csv")
    assert len(rows) == 90
    right = [truth[r["path"]] == r["label"].strip("|") for r in rows if r["path"] in truth]
    assert np.mean(right) > 0.9


def test_labels_from_folders_and_json(run_cli, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    for name in ("dark", "light"):
        draw(tmp_path / "sorted" / name, 4 if name == "dark" else 5, classes=("dark", "light"))
    out = tmp_path / "run"
    arguments = ("--labels", "folders", "--out", out, "--json", "--probabilities", *QUICK)
    result = run_cli("fit", tmp_path / "sorted", *arguments, "--open")
    assert result.exit_code == 0, result.output
    assert opened == [(out / "report.html").as_uri()]
    found = json.loads(result.stdout)
    assert found["classes"] == ["dark", "light"]
    assert found["n_labeled"] == 9
    assert found["report"] == str(out / "report.html")
    assert {"p(dark)", "p(light)"} < set(rows_of(out / "predictions.csv")[0])


def test_a_second_fit_into_one_folder_is_refused_at_once(world, run_cli, tmp_path):
    with _lock_output(tmp_path / "run"):
        result = run_cli("fit", world.photos, "--labels", world.truth, "--out", tmp_path / "run")
        refused(result, "run is being written by another fewlabel", "wait until it is done")
        # The one that was refused must not take the lock away.
        assert (tmp_path / ".run.fewlabel-lock").exists()


@pytest.fixture
def trained(monkeypatch):
    """Pretend that the fit trained a network, which takes minutes."""
    fit_images = pipeline.fit_images

    def fit(*args, **options):
        result = fit_images(*args, **options)
        log = TrainingHistory()
        log.add_history("network 1", [{"loss": 0.9}, {"loss": float("nan")}])
        log.add_round("network", 1, n_accepted=2, accuracy=0.75)
        rows, codes = np.array([20, 21]), np.array([1, 0])
        log.accepted.append(AcceptedLabels("network", 1, rows, codes, np.array([0.9, 0.6])))
        result.training = log
        return result

    monkeypatch.setattr(pipeline, "fit_images", fit)


@pytest.fixture
def few(monkeypatch):
    """Collect how many predictions are explained, and explain none."""
    asked: list[int] = []
    monkeypatch.setattr(
        "fewlabel.report.page._explain_fit", lambda result, images, n, **_: asked.append(n) or []
    )
    monkeypatch.setattr("fewlabel.report.page._map_view", lambda result: None)
    return asked


@pytest.fixture
def without(monkeypatch):
    """Pretend that a package is not installed."""

    def hide(package):
        found = extras.is_installed
        for module in (extras, sheets):
            monkeypatch.setattr(module, "is_installed", lambda n: n != package and found(n))

    return hide


@pytest.fixture
def fit(run_cli, photos, label_table, tmp_path):
    """Fit the photos by the graph, into ``run``."""

    def run(*options, out=tmp_path / "run"):
        return run_cli("fit", photos, "--labels", label_table, "--out", out, *GRAPH, *options)

    return run


@pytest.mark.usefixtures("trained", "few")
def test_training_is_in_the_figures_the_report_and_the_event_files(fit, tmp_path):
    curves = ("--tensorboard", tmp_path / "curves")
    result = fit(*curves)
    assert result.exit_code == 0, result.output
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["training"] == {
        "epochs": [
            {"network": "network 1", "epoch": 1, "loss": 0.9},
            {"network": "network 1", "epoch": 2, "loss": None},
        ],
        "rounds": [{"network": "network", "round": 1, "n_accepted": 2, "accuracy": 0.75}],
    }
    page = (tmp_path / "run" / "report.html").read_text()
    assert "How the networks were trained" in page
    # Image 20 is dark: the network was wrong, the model is not.
    assert "in the end: dark" in page
    assert (tmp_path / "curves" / "run" / "network-1").is_dir()
    assert f"For TensorBoard: {tmp_path}/curves/run" in result.stderr
    refused(fit(*curves, out=tmp_path / "else" / "run"), "curves/run exists already")
    assert not (tmp_path / "else").exists()


@pytest.mark.parametrize(
    ("option", "package", "extra"),
    [
        (("--tensorboard", "curves"), "tensorboard", "tensorboard"),
        (("--explain", "2"), "captum", "explain"),
    ],
)
def test_a_missing_package_is_named_before_anything_is_read(
    run_cli, tmp_path, without, option, package, extra
):
    refused(run_cli("fit", tmp_path, "--explain", "some"), "expected a whole number")
    without(package)
    labels = ("--labels", tmp_path / "none.csv")
    result = run_cli("fit", tmp_path / "nothing", *labels, "--out", tmp_path / "run", *option)
    message = f"{option[0]} needs the package '{package}', which is not installed"
    refused(result, message, f"pip install 'fewlabel[{extra}]'")


@pytest.mark.parametrize(
    ("option", "installed", "asked_for"),
    [
        ((), True, [6]),
        ((), False, []),
        (("--explain", "0"), True, []),
        (("--explain", "2"), True, [2]),
    ],
)
def test_a_few_predictions_are_explained_and_without_networks_there_are_no_curves(
    fit, few, without, tmp_path, option, installed, asked_for
):
    if not installed:
        without("captum")
    result = fit(*option, "--tensorboard", tmp_path / "curves")
    assert result.exit_code == 0, result.output
    assert few == asked_for
    assert "no network was trained, so there are no curves" in result.stderr
    assert not (tmp_path / "curves").exists()
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["training"] is None
    assert "How the networks were trained" not in (tmp_path / "run" / "report.html").read_text()
