import json

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import QUICK, draw, refused, rows_of


def test_new_images_are_labeled(run_cli, world, tmp_path):
    truth = world.draw(tmp_path / "new", 40)
    (tmp_path / "new" / "broken.png").write_text("no image")
    out = tmp_path / "predictions.csv"
    arguments = ("predict", world.run, tmp_path / "new", "--out", out)
    result = run_cli(*arguments, "--probabilities")
    assert result.exit_code == 0, result.output
    rows = rows_of(out)
    labels = [row["label"].strip("|") for row in rows]
    assert np.mean([a == b.strip("|") for a, b in zip(labels, truth, strict=True)]) > 0.8
    assert {f"p({name})" for name in world.names} < set(rows[0])
    assert "Labeled 40 images" in result.stdout
    assert "warning: 1 file(s) were set aside: broken.png: the content is not" in result.stderr
    refused(run_cli(*arguments), "exists already and may hold labels or predictions")
    found = json.loads(run_cli(*arguments, "--force", "--json").stdout)
    # With what comes before the first image, such as loading the libraries and the model.
    assert found["seconds_in_all"] > sum(found["seconds"].values())
    counts = found["classes"]
    for name in world.names:
        assert counts[name]["n_images"] == sum(name in label for label in labels)
        assert counts[name]["mean_confidence"] == pytest.approx(0.9, abs=0.1)


def test_new_images_have_the_scale_of_the_training_images(run_cli, tmp_path):
    rng = np.random.default_rng(0)
    for i in range(24):
        kelvin = (280 + 20 * (i % 2) + rng.normal(0, 2, (8, 8))).astype(np.float32)
        for folder in ("all", "warm") if i % 2 else ("all",):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(kelvin).save(tmp_path / folder / f"{i:02d}.tif")
    lines = [f"{i:02d}.tif,{('cold', 'warm')[i % 2]}" for i in range(12)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *lines]))
    run, out = tmp_path / "run", tmp_path / "predictions.csv"
    fit = ("fit", tmp_path / "all", "--labels", tmp_path / "labels.csv", "--out", run, *QUICK)
    assert run_cli(*fit).exit_code == 0
    assert run_cli("predict", run, tmp_path / "warm", "--out", out).exit_code == 0
    assert {row["label"] for row in rows_of(out)} == {"warm"}
    pixels = json.loads((run / "model" / "manifest.json").read_text())["meta"]["pixels"]
    assert pixels["integer"] is None
    assert pixels["float"] == pytest.approx([275, 306], abs=5)


def test_what_may_not_be_wrong_is_left_blank(run_cli, world, tmp_path):
    labels = draw(tmp_path / "photos", 70)
    rows = [f"{i:03}.png,{label},random" for i, label in enumerate(labels[:40])]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label,purpose", *rows]))
    run, out = tmp_path / "run", tmp_path / "predictions.csv"
    fit = ("fit", tmp_path / "photos", "--labels", tmp_path / "labels.csv", "--out", run, *QUICK)
    printed = run_cli(*fit).stdout
    assert "at most 2 % wrong cannot be promised: that takes at least 109 more" in printed
    assert "can be accepted if 10 % may be wrong (with 95 % certainty, from 40 random" in printed
    arguments = ("predict", run, tmp_path / "photos", "--out", out, "--max-error")
    refused(run_cli(*arguments, "2%"), "takes at least 109 more", "can is 10 %", "--audit 109")
    refused(run_cli("predict", world.run, *arguments[2:], "0.2"), "of no label is it known")
    result = run_cli(*arguments, "10%", "--json")
    found, rows = json.loads(result.stdout), rows_of(out)
    sure = [
        float(row["confidence"]) >= found["threshold"] - 5e-5 and not row["unlike"] for row in rows
    ]
    assert found["unlike"]["n_images"] == sum(row["unlike"] == "yes" for row in rows)
    assert [bool(row["label"]) for row in rows] == sure
    assert found["n_accepted"] == sum(sure) == sum(c["n_images"] for c in found["classes"].values())
    assert {row["source"] for row in rows} == {"model"}
    mean = np.mean([float(row["confidence"]) for row in rows if row["label"]])
    assert found["mean_confidence"] == pytest.approx(mean, abs=1e-4)
    text = run_cli(*arguments, "10%", "--force").stdout
    assert f"Left {70 - sum(sure)} blank, with less than" in text
