import json
import shutil

import numpy as np
import pytest

from fewlabel.data import load_images
from fewlabel.runs.model import load_run
from fewlabel.runs.tables import _confidence_of
from tests.cli.conftest import QUICK, draw, refused, rows_of


def test_a_table_to_fill_in(run_cli, photos, tmp_path):
    out = tmp_path / "picks.csv"
    result = run_cli("select", photos, "--budget", 4, "--audit", 3, "--out", out, *QUICK)
    assert result.exit_code == 0, result.output
    rows = rows_of(out)
    purpose = [row["purpose"] for row in rows]
    assert sorted(purpose) == ["audit"] * 3 + ["random"] + ["train"] * 3
    assert purpose[4:] == ["audit"] * 3
    assert {row["label"] for row in rows} == {""}
    assert "Chose 4 of 40 images (representatives)" in result.stdout
    assert "Added 3 random images for the audit" in result.stdout
    assert f"fewlabel fit {photos} --labels {out} --out run" in result.stdout
    arguments = ("--budget", 2, "--method", "random", "--out", out, "--force")
    assert run_cli("select", photos, *arguments).exit_code == 0
    assert len(rows_of(out)) == 2


def test_what_is_labeled_is_not_chosen_again(run_cli, world, tmp_path):
    arguments = ("--budget", 5, "--labels", world.labels, "--json", *QUICK)
    result = run_cli("select", world.photos, "--out", tmp_path / "p.csv", *arguments)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["n_images"] == 90
    assert "leer.png" in result.stderr
    chosen = [c["path"] for c in found["chosen"]]
    before = {row["path"]: row["label"] for row in rows_of(world.labels)}
    assert not set(chosen) & set(before)
    # The new table holds what is labeled and what is to be: all that a fit needs.
    rows = rows_of(tmp_path / "p.csv")
    assert [row["path"] for row in rows] == sorted(set(before) - {"leer.png"}) + chosen
    assert all(row["label"].strip("|") == before[row["path"]].strip("|") for row in rows[:40])


def test_a_second_round_takes_labels_doubts_and_options_of_a_run(
    run_cli, world, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    arguments = ("--budget", 10, "--run", world.run, "--out", "more.csv", "--no-cache")
    result = run_cli("select", world.photos, *arguments)
    assert result.exit_code == 0, result.output
    assert "--features pixels (flags win)" in " ".join(result.stderr.split())
    assert "Chose 10 of 90 images (herding)" in result.stdout
    before = {row["path"] for row in rows_of(world.labels)} - {"leer.png"}
    rows = rows_of(tmp_path / "more.csv")
    asked = [row for row in rows if not row["label"]]
    assert {row["path"] for row in rows if row["label"]} == before
    assert [row["purpose"] for row in asked].count("random") == 2
    assert not {row["path"] for row in asked} & before
    (command,) = [line for line in result.stdout.splitlines() if line.startswith("  fewlabel fit ")]
    # The hint works as it stands: a run of the first name is there already.
    assert command.endswith("--labels more.csv --out run-2")


def test_what_a_run_has_not_predicted_is_predicted_by_its_model(world, tmp_path):
    model = load_run(world.run)
    with pytest.warns(UserWarning, match="passed over"):
        images = load_images(world.photos, scale=model.scale)
    saved = _confidence_of(world.run, model, images)
    assert (saved[:40] == 1).all()
    shutil.copytree(world.run, tmp_path / "run")
    (tmp_path / "run" / "predictions.csv").write_text("path,label,confidence\n1.png,x,high\n")
    predicted = _confidence_of(tmp_path / "run", model, images)
    np.testing.assert_allclose(predicted, model.predict(images).confidence)
    # Other images of the same names are no images of the run.
    draw(tmp_path / "others", 12, classes=("a", "b", "c"))
    others = load_images(tmp_path / "others", scale=model.scale)
    found = _confidence_of(world.run, model, others)
    np.testing.assert_allclose(found, model.predict(others).confidence)


def test_a_run_that_is_none_or_whose_labels_are_gone_is_named(run_cli, world, tmp_path):
    arguments = ("--budget", 10, "--run", tmp_path / "none", "--out", tmp_path / "more.csv")
    refused(run_cli("select", world.photos, *arguments), "none is not a run folder")
    shutil.copytree(world.run, tmp_path / "run")
    record = tmp_path / "run" / "run.json"
    text = json.loads(record.read_text()) | {"labels": "gone.csv"}
    record.write_text(json.dumps(text))
    arguments = ("--budget", 10, "--run", tmp_path / "run", "--out", tmp_path / "more.csv")
    refused(run_cli("select", world.photos, *arguments), "gone.csv does not exist", "--labels")


def test_a_name_that_begins_like_a_home_is_a_name(tmp_path, monkeypatch, run_cli):
    monkeypatch.chdir(tmp_path)
    result = run_cli("select", "~nobody-of-this-name/photos", "--budget", 2, "--out", "picks.csv")
    assert result.exit_code == 2
    assert "~nobody-of-this-name/photos" in result.output
