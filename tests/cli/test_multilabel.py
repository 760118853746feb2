"""Tables with several labels an image, through every command, on a folder of one's own."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fewlabel_experiments.combo.files import write_combo
from fewlabel_experiments.combo.generator import make_combo
from fewlabel_experiments.combo.settings import ComboSettings
from tests.experiments.combo.conftest import glyphs as glyphs


def pictures(folder: Path, n: int, seed: int) -> dict[str, str]:
    """Write images with a bar, a frame, both or neither; give their labels."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    found = {}
    for number in range(n):
        pixels = rng.normal(40, 10, (16, 16))
        bar, frame = (rng.random(2) < 0.5).tolist()
        if bar:
            pixels[:, 7:9] += 130
        if frame:
            pixels[[0, -1]] += 150
        name = f"bild {number:03}.png"
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / name)
        found[name] = "|".join(["bar"] * bar + ["rahmen"] * frame)
        if not bar or not frame:
            found[name] += "|"
    return found


def table(path: Path, labels: dict[str, str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label"), *labels.items()])
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several labels")
    labels = pictures(folder / "meine bilder", 90, 0)
    (folder / "meine bilder" / "leer.png").write_bytes(b"")
    known = dict(list(labels.items())[:40])
    known["bild 000.png"] = "bar|?rahmen" if "bar" in known["bild 000.png"] else "|?rahmen"
    table(folder / "labels.csv", known | {"leer.png": "bar|"})
    table(folder / "truth.csv", dict(list(labels.items())[40:]))
    return folder


@pytest.fixture
def run(place, run_cli):
    out = place / "run"
    if not out.exists():
        done = run_cli(
            "fit", place / "meine bilder", "--labels", place / "labels.csv", "--out", out,
            "--features", "pixels", "--no-cache", "--explain", 0,
        )  # fmt: skip
        assert done.exit_code == 0, done.output
        assert "exact match" in done.output
        assert "macro F1" in done.output
        assert "leer.png" in done.output
    return out


def test_fit_writes_a_whole_run(run):
    names = {path.name for path in run.iterdir()}
    assert {"predictions.csv", "ledger.parquet", "report.html", "model"} <= names
    rows = rows_of(run / "predictions.csv")
    assert len(rows) == 90
    assert {row["label"] for row in rows} <= {"bar", "rahmen", "bar|rahmen", "|"}


def test_predict_and_evaluate_new_images(run, place, run_cli, tmp_path):
    new = pictures(tmp_path / "new", 40, 7)
    done = run_cli("predict", run, tmp_path / "new", "--out", tmp_path / "p.csv", "--json")
    found = json.loads(done.stdout)
    rows = rows_of(tmp_path / "p.csv")
    said = {row["path"]: row["label"] for row in rows}
    assert found["classes"]["bar"]["n_images"] == sum("bar" in text for text in said.values())
    right = np.mean([said[name].strip("|") == new[name].strip("|") for name in new])
    assert right > 0.8
    table(tmp_path / "truth.csv", new)
    done = run_cli(
        "evaluate", run, tmp_path / "new", "--labels", tmp_path / "truth.csv",
        "--out", tmp_path / "e.html", "--json",
    )  # fmt: skip
    measured = json.loads(done.stdout)
    assert measured["exact_match"] == pytest.approx(right)
    assert {row["name"] for row in measured["per_label"]} == {"bar", "rahmen"}
    assert "Exact match" in (tmp_path / "e.html").read_text("utf-8")


def test_evaluate_prints_a_row_a_label(run, place, run_cli):
    done = run_cli("evaluate", run, place / "meine bilder", "--labels", place / "truth.csv")
    assert done.exit_code == 0, done.output
    assert "exact match" in done.output
    assert "rahmen" in done.output
    assert "average precision" in done.output


def test_a_truth_table_without_bars_is_understood(run, place, run_cli, tmp_path):
    truth = table(tmp_path / "t.csv", {"bild 050.png": "bar", "bild 051.png": "rahmen"})
    done = run_cli("evaluate", run, place / "meine bilder", "--labels", truth, "--json")
    assert json.loads(done.stdout)["n"] == 2


def test_select_leaves_labelled_images_out(run, place, run_cli, tmp_path):
    done = run_cli(
        "select", place / "meine bilder", "--budget", 3, "--labels", place / "labels.csv",
        "--out", tmp_path / "more.csv", "--features", "pixels", "--no-cache",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    rows = rows_of(tmp_path / "more.csv")
    assert len(rows) == 43
    assert rows[0]["label"] in ("bar|?rahmen", "|?rahmen")
    assert all(int(row["path"][5:8]) >= 40 for row in rows[-3:])


def test_explain_shows_the_label_at_issue(run, place, run_cli, tmp_path):
    pytest.importorskip("captum")
    done = run_cli(
        "explain", run, place / "meine bilder", "--name", "bild 050.png", "--class", "rahmen",
        "--out", tmp_path / "why.png", "--samples", 100, "--json",
    )  # fmt: skip
    assert json.loads(done.stdout)["explained"][0]["class"] == "rahmen"
    done = run_cli(
        "explain", run, place / "meine bilder", "--grid", 4, "--labels", place / "truth.csv",
        "--out", tmp_path / "sheet.png", "--samples", 60, "--repeats", 1, "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["explained"]
    assert len(found) == 4
    assert all(row["truth"] for row in found)
    assert (tmp_path / "sheet.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ({"bild 000.png": "bar|", "bild 001.png": "bar|"}, (), "no label is known to be absent"),
        ({"bild 000.png": "|"}, (), "names no label that is present"),
        (
            {"bild 000.png": "bar|rahmen", "bild 001.png": "|"},
            ("--method", "experts"),
            "'experts' is for one label an image",
        ),
        ({"nichts.png": "bar|rahmen"}, (), "nichts.png is not among the 90 images"),
        ({"bild 000.png": "bar|?bar|x"}, (), "line 2: 'bar' is said to be present and not"),
    ],
)
def test_mistakes_are_told_in_one_line(place, run_cli, tmp_path, rows, options, message):
    labels = table(tmp_path / "l.csv", rows)
    done = run_cli(
        "fit", place / "meine bilder", "--labels", labels, "--out", tmp_path / "run",
        "--features", "pixels", "--no-cache", *options,
    )  # fmt: skip
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())
    assert not (tmp_path / "run").exists()


def test_a_model_of_one_label_refuses_a_table_of_several(place, run_cli, tmp_path):
    labels = {f"bild {i:03}.png": ("a", "b")[i % 2] for i in range(20)}
    done = run_cli(
        "fit", place / "meine bilder", "--labels", table(tmp_path / "one.csv", labels),
        "--out", tmp_path / "run", "--features", "pixels", "--no-cache", "--explain", 0,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    several = table(tmp_path / "several.csv", {"bild 050.png": "a|b"})
    done = run_cli("evaluate", tmp_path / "run", place / "meine bilder", "--labels", several)
    assert done.exit_code == 2
    assert "has several labels" in " ".join(done.output.split())


def test_the_folder_of_data_make_goes_through_fit_and_evaluate(glyphs, run_cli, tmp_path):
    settings = ComboSettings()
    combo = make_combo(120, 60, 40, seed=0, settings=settings, glyphs=glyphs)
    folder = write_combo(combo, tmp_path / "combo", seed=0, settings=settings)
    done = run_cli(
        "fit", folder / "images.npz", "--labels", folder / "labels.csv", "--out",
        tmp_path / "run", "--features", "pixels", "--no-cache", "--explain", 0,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    done = run_cli(
        "evaluate", tmp_path / "run", folder / "test.npz", "--labels",
        folder / "test-labels.csv", "--json",
    )  # fmt: skip
    measured = json.loads(done.stdout)
    assert measured["n"] == 40
    assert len(measured["per_label"]) == 36
