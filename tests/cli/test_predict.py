import json

import numpy as np
import pytest

from tests.cli.conftest import refused, rows_of


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
    counts = json.loads(run_cli(*arguments, "--force", "--json").stdout)["classes"]
    for name in world.names:
        assert counts[name]["n_images"] == sum(name in label for label in labels)
        assert counts[name]["mean_confidence"] == pytest.approx(0.9, abs=0.1)
