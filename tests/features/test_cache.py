"""The cache of features: what hits, what misses, what is thrown away."""

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import create_autospec

import numpy as np
import pytest
import safetensors.torch

from fewlabel.data import image_set_from_array, load_images
from fewlabel.errors import DataError
from fewlabel.features import cache
from fewlabel.features.backbone import Backbone
from fewlabel.features.cache import _cache_key, _cached_transform
from fewlabel.features.patch_features import PatchFeatures
from fewlabel.features.pixels import Pixels
from tests.features.conftest import SMALL


@pytest.fixture(autouse=True)
def everything_is_worth_a_place(monkeypatch):
    monkeypatch.setattr(cache, "LEAST_SECONDS", 0.0)


def count(monkeypatch, kind):
    """Record what is computed."""
    spy = create_autospec(kind.fit_transform, side_effect=kind.fit_transform)
    monkeypatch.setattr(kind, "fit_transform", spy)
    return spy.mock_calls


def run(extractor, images, folder):
    return _cached_transform(extractor, images, folder=folder)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (Pixels, {"n_components": 8}),
        (PatchFeatures, {"max_fit_samples": 100}),
        (Backbone, {"pretrained": False, "model": SMALL, "size": 32}),
    ],
)
def test_the_second_run_computes_nothing_and_gives_the_same(
    kind, settings, images, tmp_path, monkeypatch
):
    images = images.subset(range(40)) if kind is Backbone else images
    computed = count(monkeypatch, kind)
    first, rows = run(kind(**settings), images, tmp_path)
    second, again = run(kind(**settings), images, tmp_path)
    assert len(computed) == 1
    np.testing.assert_array_equal(rows, again)
    new = load_images("digits").subset(range(200, 220))
    np.testing.assert_array_equal(first.transform(new), second.transform(new))
    assert second.to_state()[1] == first.to_state()[1]


def test_weights_count_by_content_and_not_by_place(images, weights, tmp_path, monkeypatch):
    computed = count(monkeypatch, Backbone)
    images = images.subset(range(4))
    folder = tmp_path / "cache"
    run(Backbone(weights=weights, size=32), images, folder)
    elsewhere = tmp_path / "moved" / weights.name
    elsewhere.parent.mkdir()
    weights.rename(elsewhere)
    run(Backbone(weights=elsewhere, size=32), images, folder)
    assert len(computed) == 1
    tensors = safetensors.torch.load_file(elsewhere)
    tensors["conv_stem.weight"][0, 0, 0, 0] += 0.1
    safetensors.torch.save_file(tensors, elsewhere)
    run(Backbone(weights=elsewhere, size=32), images, folder)
    assert len(computed) == 2
    # A file beside the weights says how images are normalized.
    sidecar = elsewhere.with_suffix(".json")
    sidecar.write_text(f'{{"architecture": "{SMALL}", "mean": [0.1, 0.2, 0.3]}}')
    run(Backbone(weights=elsewhere, size=32), images, folder)
    assert len(computed) == 3
    # Frozen features need no second copy of the weights.
    assert all(file.stat().st_size < 100_000 for file in folder.iterdir())


def test_everything_that_changes_the_features_changes_the_key(images, monkeypatch):
    pixels = images.read(range(150))
    changed = pixels.copy()
    changed[7, 0, 0, 0] ^= 1
    cases = [
        (Pixels(), images),
        (Pixels(size=4), images),
        (Pixels(random_state=1), images),
        (PatchFeatures(), images),
        (Backbone(SMALL, pretrained=False), images),
        (Backbone(SMALL, pretrained=False, random_state=1), images),
        (Backbone(SMALL, pretrained=False, normalize=False), images),
        (Backbone(SMALL, pretrained=False, size=40), images),
        (Backbone("resnet18", pretrained=False), images),
        (Pixels(), images.subset(range(149))),
        (Pixels(), images.subset(range(149, -1, -1))),
        (Pixels(), image_set_from_array(changed)),
        (Pixels(), image_set_from_array(pixels.reshape(150, 4, 16, 1))),
    ]
    keys = [_cache_key(*case) for case in cases]
    assert len(set(keys)) == len(keys)
    assert _cache_key(Pixels(), image_set_from_array(pixels)) == keys[0]
    monkeypatch.setattr(cache, "_installed_version", lambda name: "99")
    assert _cache_key(Pixels(), images) not in keys


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-100],
        lambda data: b"",
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: data.replace(b"fewlabel-features", b"fewlabel-futures!"),
        lambda data: b"\xff" * len(data),
        # What is said beside the numbers has a share in the result.
        lambda data: data.replace(rb"random_state\": 0", rb"random_state\": 1"),
    ],
)
def test_a_damaged_entry_is_computed_anew(damage, images, tmp_path, monkeypatch):
    computed = count(monkeypatch, Pixels)
    rows = run(Pixels(), images, tmp_path)[1]
    [file] = tmp_path.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    for _ in range(2):
        np.testing.assert_array_equal(run(Pixels(), images, tmp_path)[1], rows)
        assert len(computed) == 2
    # Nor is an entry used that stands under a wrong name.
    other = images.subset(range(149, -1, -1))
    file.rename(tmp_path / f"{_cache_key(Pixels(), other)}.safetensors")
    run(Pixels(), other, tmp_path)
    assert len(computed) == 3


def test_what_was_not_used_for_the_longest_time_goes_first(images, tmp_path, monkeypatch):
    clock = itertools.count(1_000_000_000, 60)

    def use(n):
        run(Pixels(), images.subset(range(n)), tmp_path)
        file = tmp_path / f"{_cache_key(Pixels(), images.subset(range(n)))}.safetensors"
        os.utime(file, (now := next(clock), now))
        return file

    files = {n: use(n) for n in (100, 101, 102)}
    use(100)
    room = sum(file.stat().st_size for file in files.values())
    monkeypatch.setattr(cache, "MAX_BYTES", room + 2_000)
    files[103] = use(103)
    assert {n for n, file in files.items() if file.exists()} == {100, 102, 103}


@pytest.mark.parametrize(
    ("limit", "value"), [("MAX_BYTES", 2 * 150 * 64 * 4 - 2), ("LEAST_SECONDS", 60.0)]
)
def test_what_takes_half_the_cache_or_no_time_is_not_kept(
    limit, value, images, tmp_path, monkeypatch
):
    monkeypatch.setattr(cache, limit, value)
    run(Pixels(), images, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_folder_is_that_of_the_user(images, tmp_path, monkeypatch):
    monkeypatch.setenv("FEWLABEL_CACHE", str(tmp_path))
    seen = []
    for _ in range(2):
        _cached_transform(Pixels(), images, progress=lambda *step: seen.append(step))
    assert len(list((tmp_path / "features").iterdir())) == 1
    assert seen[-1] == ("features of an earlier run", 150, 150)


def test_two_that_write_one_entry_both_leave_a_whole_one(images, tmp_path):
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: run(Pixels(), images, tmp_path)[1], range(8)))
    assert all(np.array_equal(rows, found[0]) for rows in found)
    [file] = tmp_path.iterdir()
    assert cache._read(file, file.stem, Pixels(), images) is not None


def test_a_full_disk_costs_nothing_but_the_time(images, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise safetensors.SafetensorError("No space left on device (os error 28)")

    monkeypatch.setattr(cache.safetensors.numpy, "save_file", full)
    assert run(Pixels(), images, tmp_path)[1].shape == (150, 64)
    assert not list(tmp_path.iterdir())


def test_a_cache_that_cannot_be_written_costs_nothing_but_the_time(images, tmp_path):
    in_the_way = tmp_path / "file"
    in_the_way.write_text("not a folder")
    assert run(Pixels(), images, in_the_way)[1].shape == (150, 64)
    with pytest.raises(DataError, match=r"none.safetensors do not exist"):
        run(Backbone(weights=tmp_path / "none.safetensors"), images, tmp_path)
