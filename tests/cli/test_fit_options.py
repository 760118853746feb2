"""`fewlabel fit`: what it shows of trained networks, and how many predictions it explains."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from fewlabel import extras, pipeline
from fewlabel.explain import sheets
from fewlabel.semisupervised.history import AcceptedLabels, TrainingHistory

Run = Callable[..., Result]
QUICK = ("--features", "pixels", "--method", "graph")


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> None:
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
def few(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collect how many predictions are explained, and explain none."""
    asked: list[int] = []
    monkeypatch.setattr(
        "fewlabel.report.run.explain_fit", lambda result, images, n, **_: asked.append(n) or []
    )
    monkeypatch.setattr("fewlabel.report.run._map", lambda result: (None, None))
    return asked


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Pretend that a package is not installed."""

    def hide(package: str) -> None:
        found = extras.is_installed
        for module in (extras, sheets):
            monkeypatch.setattr(module, "is_installed", lambda n: n != package and found(n))

    return hide


@pytest.mark.usefixtures("trained", "few")
def test_training_is_in_the_figures_the_report_and_the_event_files(
    run_cli: Run, photos: Path, label_table: Path, tmp_path: Path
) -> None:
    arguments = (
        "fit",
        photos,
        "--labels",
        label_table,
        *QUICK,
        "--tensorboard",
        tmp_path / "curves",
    )
    result = run_cli(*arguments, "--out", tmp_path / "run")
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
    again = run_cli(*arguments, "--out", tmp_path / "else" / "run")
    assert again.exit_code == 2
    assert "curves/run exists already" in again.stderr
    assert not (tmp_path / "else").exists()


@pytest.mark.usefixtures("few")
def test_a_fit_without_networks_has_no_curves(
    run_cli: Run, photos: Path, label_table: Path, tmp_path: Path
) -> None:
    arguments = ("fit", photos, "--labels", label_table, "--out", tmp_path / "run", *QUICK)
    result = run_cli(*arguments, "--tensorboard", tmp_path / "curves")
    assert result.exit_code == 0, result.output
    assert "no network was trained, so there are no curves" in result.stderr
    assert not (tmp_path / "curves").exists()
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["training"] is None
    page = (tmp_path / "run" / "report.html").read_text()
    assert "How the networks were trained" not in page


@pytest.mark.parametrize(
    ("option", "package", "extra"),
    [
        (("--tensorboard", "curves"), "tensorboard", "tensorboard"),
        (("--explain", "2"), "captum", "explain"),
    ],
)
def test_a_missing_package_is_told_before_anything_is_read(
    run_cli: Run, tmp_path: Path, without: Callable, option, package: str, extra: str
) -> None:
    without(package)
    labels = ("--labels", tmp_path / "none.csv")
    result = run_cli("fit", tmp_path / "nothing", *labels, "--out", tmp_path / "run", *option)
    assert result.exit_code == 2
    assert f"{option[0]} needs the package '{package}', which is not installed" in result.stderr
    assert f"pip install 'fewlabel[{extra}]'" in result.stderr


@pytest.mark.parametrize(
    ("option", "installed", "asked_for"),
    [
        ((), True, [6]),
        ((), False, []),
        (("--explain", "0"), True, []),
        (("--explain", "2"), True, [2]),
    ],
)
def test_a_few_predictions_are_explained_unless_told_otherwise(
    run_cli: Run, photos: Path, label_table: Path, tmp_path: Path, few: list[int],
    without: Callable, option, installed: bool, asked_for: list[int],
) -> None:  # fmt: skip
    if not installed:
        without("captum")
    arguments = ("fit", photos, "--labels", label_table, "--out", tmp_path / "run", *QUICK)
    result = run_cli(*arguments, *option)
    assert result.exit_code == 0, result.output
    assert few == asked_for


def test_a_number_of_explanations_is_a_number(run_cli: Run, photos: Path, tmp_path: Path) -> None:
    labels = ("--labels", "folders", "--out", tmp_path / "run")
    result = run_cli("fit", photos, *labels, "--explain", "some")
    assert result.exit_code == 2
    assert "expected a whole number" in result.stderr
