"""The commands of the road on small folders: what is written, what is said, what is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fewlabel.cli import app
from fewlabel.cli.fit import advice
from tests.cli.conftest import draw

Run = Callable[..., Result]
QUICK = ("--features", "pixels")


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Photos, eight labels and a fitted run, made once."""
    root = tmp_path_factory.mktemp("world")
    truth = draw(root / "photos", 40)
    rows = [f"{i:03}.png,{truth[i]}" for i in range(8)]
    (root / "labels.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    everything = [f"{i:03}.png,{label}" for i, label in enumerate(truth)]
    (root / "truth.csv").write_text("\n".join(["path,label", *everything]) + "\n")
    arguments = ["fit", root / "photos", "--labels", root / "labels.csv", "--out", root / "run"]
    result = CliRunner().invoke(app, [*map(str, arguments), *QUICK], prog_name="fewlabel")
    assert result.exit_code == 0, result.output
    (root / "fit.txt").write_text(result.stdout)
    return root


def test_select_writes_a_table_to_fill_in(run_cli: Run, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "picks.csv"
    result = run_cli("select", photos, "--budget", 4, "--audit", 3, "--out", out, *QUICK)
    assert result.exit_code == 0, result.output
    rows = _table(out)
    assert [row["purpose"] for row in rows] == ["train"] * 4 + ["audit"] * 3
    assert {row["label"] for row in rows} == {""}
    assert "Chose 4 of 40 images (representatives)" in result.stdout
    assert "Added 3 random images for the audit" in result.stdout
    assert f"fewlabel fit {photos} --labels {out} --out run" in result.stdout


def test_select_as_json_leaves_out_what_is_labelled(
    run_cli: Run, photos: Path, label_table: Path, tmp_path: Path
) -> None:
    arguments = ("--budget", 5, "--method", "random", "--labels", label_table, "--json")
    result = run_cli("select", photos, "--out", tmp_path / "p.csv", *arguments)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["n_images"] == 40
    chosen = [c["path"] for c in found["chosen"]]
    labelled = [row["path"] for row in _table(label_table)]
    assert not set(chosen) & set(labelled)
    # The new table holds what is labelled and what is to be: all that a fit needs.
    table = _table(tmp_path / "p.csv")
    assert [row["path"] for row in table] == sorted(labelled) + chosen
    assert [row["label"] != "" for row in table] == [True] * len(labelled) + [False] * len(chosen)


def test_select_replaces_a_table_with_force(run_cli: Run, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "picks.csv"
    out.write_text("old")
    arguments = ("--budget", 2, "--method", "random", "--out", out, "--force")
    assert run_cli("select", photos, *arguments).exit_code == 0
    assert len(_table(out)) == 2


def test_fit_writes_the_run_and_says_how_good_it_is(world: Path) -> None:
    names = {p.name for p in (world / "run").iterdir()}
    assert names == {
        "predictions.csv",
        "ledger.parquet",
        "metrics.json",
        "report.html",
        "skipped.csv",
        "model",
    }
    said = (world / "fit.txt").read_text()
    for text in ("estimate", "labels alone", "95 % interval", "Method: ", "Features: Pixels"):
        assert text in said
    assert "can be told from 20 testable labels on; there are 8." in said
    assert f"Report: {world}/run/report.html" in said
    command = json.loads((world / "run" / "metrics.json").read_text())["command"]
    assert command.startswith(f"fewlabel fit {world}/photos --labels ")
    right = [
        r["label"] == ("light" if int(r["path"][:3]) % 2 else "dark")
        for r in _table(world / "run" / "predictions.csv")
    ]
    assert sum(right) == 40


@pytest.mark.parametrize(
    ("worth_it", "end"), [(True, "a gain of 2.1 points"), (False, "points is hardly worth it")]
)
def test_fit_says_what_twice_the_labels_would_bring(worth_it: bool, end: str) -> None:
    curve = {
        "next_n": 2000,
        "expected": 0.861,
        "low": 0.849,
        "high": 0.872,
        "now": {"expected": 0.84},
        "gain": {"expected": 0.021},
        "worth_it": worth_it,
    }
    said = advice({"learning_curve": curve, "no_learning_curve": ""})
    assert said.startswith("2x labels (2,000): about 86.1% (84.9% to 87.2%), now 84.0%: ")
    assert said.endswith(end)


def test_fit_takes_labels_from_folders_and_prints_json(run_cli: Run, tmp_path: Path) -> None:
    for name in ("dark", "light"):
        draw(tmp_path / "sorted" / name, 4 if name == "dark" else 5, classes=("dark", "light"))
    out = tmp_path / "run"
    arguments = ("--labels", "folders", "--out", out, "--json", "--probabilities", *QUICK)
    result = run_cli("fit", tmp_path / "sorted", *arguments)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["classes"] == ["dark", "light"]
    assert found["n_labeled"] == 9
    assert found["report"] == str(out / "report.html")
    assert {"p(dark)", "p(light)"} < set(_table(out / "predictions.csv")[0])


def test_predict_labels_new_images(run_cli: Run, world: Path, tmp_path: Path) -> None:
    draw(tmp_path / "new", 6)
    (tmp_path / "new" / "broken.png").write_text("no image")
    out = tmp_path / "predictions.csv"
    result = run_cli("predict", world / "run", tmp_path / "new", "--out", out, "--probabilities")
    assert result.exit_code == 0, result.output
    rows = _table(out)
    assert [row["label"] for row in rows] == ["dark", "light"] * 3
    assert float(rows[0]["p(dark)"]) + float(rows[0]["p(light)"]) == pytest.approx(1, abs=1e-3)
    assert "Labelled 6 images" in result.stdout
    assert "warning: 1 file(s) were set aside: broken.png: the content is not" in result.stderr
    again = run_cli("predict", world / "run", tmp_path / "new", "--out", out)
    assert again.exit_code == 2
    assert "exists already and may hold labels or predictions" in again.stderr
    forced = run_cli("predict", world / "run", tmp_path / "new", "--out", out, "--force", "--json")
    assert json.loads(forced.stdout)["classes"]["dark"]["n_images"] == 3


def test_evaluate_prints_figures_and_writes_the_report(
    run_cli: Run, world: Path, tmp_path: Path
) -> None:
    out = tmp_path / "evaluation.html"
    arguments = ("evaluate", world / "run", world / "photos", "--labels", world / "truth.csv")
    result = run_cli(*arguments, "--out", out)
    assert result.exit_code == 0, result.output
    for text in ("40 images", "accuracy", "expected by fit", "Balanced accuracy", "precision"):
        assert text in result.stdout
    assert "<html" in out.read_text()
    assert run_cli(*arguments, "--out", out).exit_code == 2
    found = json.loads(run_cli(*arguments, "--json").stdout)
    assert found["n"] == 40
    assert found["accuracy"] == 1.0


def test_evaluate_refuses_a_class_that_the_model_does_not_know(
    run_cli: Run, world: Path, tmp_path: Path
) -> None:
    (tmp_path / "truth.csv").write_text("path,label\n000.png,darkk\n")
    labels = ("--labels", tmp_path / "truth.csv")
    result = run_cli("evaluate", world / "run", world / "photos", *labels)
    assert result.exit_code == 2
    assert "line 2: the label 'darkk' is not among the classes" in result.stderr
    assert "did you mean 'dark'?" in result.stderr


def test_a_damaged_model_is_one_line(run_cli: Run, world: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(world / "run", tmp_path / "run")
    manifest = tmp_path / "run" / "model" / "manifest.json"
    manifest.write_text(manifest.read_text()[:-20])
    result = run_cli("predict", tmp_path / "run", world / "photos", "--out", tmp_path / "p.csv")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "p.csv").exists()
