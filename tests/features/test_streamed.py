"""Rows that are streamed: the same up to half precision, and finished parts stay."""

import numpy as np
import pytest

from fewlabel.features import cache, extract, streamed
from fewlabel.features.cache import _cached_transform
from fewlabel.features.extract import extract_features
from fewlabel.features.patch_features import PatchFeatures


@pytest.fixture(autouse=True)
def all_sets_are_large(monkeypatch, tmp_path):
    for module in (cache, extract):
        monkeypatch.setattr(module, "STREAMED_FROM", 1)
    monkeypatch.setattr(streamed, "_PART", 64)
    monkeypatch.setenv("FEWLABEL_CACHE", str(tmp_path))


def made():
    return PatchFeatures(max_fit_samples=100)


def test_streamed_rows_are_the_rows_in_half_precision(images, tmp_path):
    expected = made().fit_transform(images)
    extractor, rows = _cached_transform(made(), images, folder=tmp_path)
    assert rows.dtype == np.float16
    assert isinstance(rows, np.memmap)
    np.testing.assert_allclose(rows, expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(
        extractor.transform(images.subset(range(64))).astype(np.float16), rows[:64]
    )


@pytest.mark.parametrize("left", [0, 1, 64, 100, 149])
def test_a_killed_run_goes_on_after_its_last_whole_part(images, tmp_path, monkeypatch, left):
    _, expected = _cached_transform(made(), images, folder=tmp_path)
    expected = np.array(expected)
    (file,) = tmp_path.glob("*.rows")
    file.write_bytes(file.read_bytes()[: left * expected[0].nbytes + 5])
    asked = []
    transform = PatchFeatures._transform
    monkeypatch.setattr(
        PatchFeatures,
        "_transform",
        lambda self, part, progress: asked.append(len(part)) or transform(self, part, progress),
    )
    seen = []
    _, rows = _cached_transform(
        made(), images, folder=tmp_path, progress=lambda *about: seen.append(about)
    )
    np.testing.assert_array_equal(rows, expected)
    assert sum(asked) == len(images) - left // 64 * 64
    assert seen[-1] == ("features", len(images), len(images))


def test_without_a_cache_nothing_is_left(images, tmp_path):
    found = extract_features(images, features="patches")
    assert found.rows.dtype == np.float16
    assert np.isfinite(found.rows).all()
    assert not list((tmp_path / "features").iterdir())
    apart = extract_features(images, features="patches", cache=True)
    np.testing.assert_array_equal(found.rows, apart.rows)
