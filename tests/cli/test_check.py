import json
import shutil

import numpy as np
import pytest
from PIL import Image

from fewlabel.runs.drift import _check_images
from fewlabel.runs.model import load_run
from tests.cli.conftest import refused


@pytest.fixture(scope="module")
def new_photos(world, tmp_path_factory):
    """Photos as those of the run, and the same in glaring light."""
    root = tmp_path_factory.mktemp("new photos")
    world.draw(root / "same", 160)
    (root / "bright").mkdir()
    for number, file in enumerate(sorted((root / "same").iterdir())):
        if number < 90:
            # The run has these.
            file.unlink()
            continue
        pixels = np.asarray(Image.open(file))
        Image.fromarray(np.minimum(pixels + 90.0, 255).astype(np.uint8)).save(
            root / "bright" / file.name
        )
    return root


def test_like_images_look_like_it(run_cli, world, new_photos):
    result = run_cli("check", world.run, new_photos / "same", "--fail-on", "drift")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("Looks like the images of the fit.")
    assert "fewlabel predict" in result.stdout


def test_other_images_are_named_with_what_to_do(run_cli, world, new_photos, tmp_path):
    page = tmp_path / "check.html"
    command = ("check", world.run, new_photos / "bright", "--out", page)
    result = run_cli(*command, "--json", "--fail-on", "unlike")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert (found["verdict"], found["holds"]) == ("unlike", None)
    assert found["differences"]
    assert found["commands"][0].startswith("fewlabel select ")
    assert "label 30 of them" in found["in_words"]
    assert found["in_words"] in page.read_text("utf-8").replace("\u202f", " ")
    refused(run_cli(*command), "exists already")


def test_too_few_images_and_older_runs_are_one_line(run_cli, world, new_photos, tmp_path):
    world.draw(tmp_path / "few", 5)
    refused(run_cli("check", world.run, tmp_path / "few"), "holds 0 images that", "fewer than 20")
    for copy in "abc":
        for file in sorted((new_photos / "same").iterdir())[:12]:
            (tmp_path / "burst" / copy).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, tmp_path / "burst" / copy)
    refused(run_cli("check", world.run, tmp_path / "burst"), "no near-copies", "fewer than 20")
    shutil.copytree(world.run / "model", tmp_path / "old")
    manifest = tmp_path / "old" / "manifest.json"
    model = load_run(tmp_path / "old")
    assert model.reference is not None
    model.reference = None
    with pytest.raises(ValueError, match="an earlier fewlabel wrote it"):
        _check_images(model, new_photos / "same")
    assert manifest.is_file()
