"""Several networks joined: rows, states, cache, and what is asked for by names."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from fewlabel.data import image_set_from_array
from fewlabel.errors import FetchNotice, ModelFormatError, UsageError
from fewlabel.features import backbone, cache, extract
from fewlabel.features.backbone import Backbone
from fewlabel.features.backbones import JoinedBackbones
from fewlabel.features.base import _extractor_from_state
from fewlabel.features.extract import extract_features
from fewlabel.features.reduce import DampedPCA
from tests.features.conftest import SMALL, noise

OTHER = "resnet10t"


def made(name=SMALL, **settings):
    return Backbone(name, pretrained=False, size=32, **settings)


@pytest.fixture(scope="module")
def photos():
    return image_set_from_array(noise(6, 40))


@pytest.fixture(scope="module")
def joined(photos):
    return JoinedBackbones([made(), made(OTHER)]).fit(photos)


@pytest.mark.parametrize("n_components", [3, 256])
def test_each_network_is_whitened_and_has_the_same_share(photos, n_components):
    joined = JoinedBackbones([made(), made(OTHER)], n_components=n_components)
    rows = joined.fit_transform(photos)
    # Six photos span five directions.
    k = min(5, n_components)
    assert rows.shape == (6, joined.width) == (6, 2 * k)
    for number, (part, piece) in enumerate(zip(joined.parts, joined._split(rows), strict=True)):
        np.testing.assert_allclose(np.linalg.norm(piece, axis=1), np.sqrt(1280), rtol=1e-4)
        alone = joined._alone(number).transform(photos)
        np.testing.assert_allclose(piece, alone, rtol=1e-4, atol=1e-4)
        reducer = DampedPCA(k, power=0.5, standardize=False, ridge=10.0, random_state=0)
        reduced = reducer.fit_transform(part.transform(photos))
        cosine = np.einsum("ij,ij->i", reduced, piece) / np.linalg.norm(reduced, axis=1)
        np.testing.assert_allclose(cosine, np.sqrt(1280), rtol=1e-3)


def test_a_saved_one_gives_the_same_rows(joined, photos):
    arrays, meta = joined.to_state()
    again = _extractor_from_state(arrays, json.loads(json.dumps(meta)))
    np.testing.assert_array_equal(again.transform(photos), joined.transform(photos))
    for damaged in ({"parts": meta["parts"][:1]}, {"parts": [meta, meta]}, {"reduce": []}):
        with pytest.raises(ModelFormatError):
            _extractor_from_state(arrays, meta | damaged)


def test_what_cannot_be_joined_is_refused(photos):
    with pytest.raises(UsageError, match="must be 1 to 8 networks"):
        JoinedBackbones([])
    with pytest.raises(UsageError, match="is not fitted"):
        JoinedBackbones([made(), made(OTHER)]).transform(photos)


@pytest.fixture
def kinds(monkeypatch):
    """Let names stand for networks with random weights."""

    def kind(name):
        if name == "backbones":
            return JoinedBackbones
        return lambda name, file, *, device, random_state, size=32: Backbone(
            name, file, pretrained=False, size=size
        )

    monkeypatch.setattr(extract, "_kind", kind)


def test_one_network_has_one_entry_in_the_cache(kinds, photos, monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path)
    alone = extract_features(photos, features=SMALL, cache=True)
    steps = []
    both = extract_features(
        photos, features=f"{SMALL}, {OTHER}", cache=True, progress=lambda *step: steps.append(step)
    )
    stages = list(dict.fromkeys(stage for stage, _, _ in steps))
    assert stages == ["features of an earlier run 1 of 2", "backbone 2 of 2"]
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2
    assert f"The pretrained networks {SMALL} and {OTHER} joined, as asked for." in both.reason
    part = both.extractor._split(both.rows)[0]
    np.testing.assert_allclose(part, alone.rows, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(both.extractor.transform(photos), both.rows, rtol=1e-4, atol=1e-4)


def test_weights_go_to_the_network_that_they_are_of(kinds, photos, weights):
    found = extract_features(photos, features=f"{OTHER},{SMALL}", weights=str(weights))
    assert [part.weights for part in found.extractor.parts] == [None, str(weights)]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (f"{SMALL},{SMALL}", "is named twice"),
        (f"{SMALL},patches", "'patches' is no network"),
        (f"{SMALL},", "'' is no network"),
        ("resnet18,resnet34", f"are of {SMALL}, which 'resnet18,resnet34' lacks"),
    ],
)
def test_names_that_cannot_be_joined(photos, weights, names, message):
    with pytest.raises(UsageError, match=message):
        extract_features(photos, features=names, weights=str(weights))


def test_how_long_it_takes_is_said_before_it_starts(kinds, photos, monkeypatch):
    monkeypatch.setattr(Backbone, "_seconds_for", lambda self, images: 70.0)
    with pytest.warns(FetchNotice, match="features of 6 images take about 2 min on this machine"):
        extract_features(photos, features=f"{SMALL},{OTHER}")


def test_a_few_images_tell_how_long_all_take(photos, monkeypatch):
    many = image_set_from_array(noise(60, 40))
    assert made()._seconds_for(many) == 0
    monkeypatch.setattr(backbone, "_MEASURED_FROM", 60)
    assert 0 < made()._seconds_for(many) < 60


@pytest.mark.parametrize(
    ("seconds", "taken"),
    [
        (None, "slow,fast"),
        (300.0, "slow,fast"),
        (180.0, "slow@192,fast@192"),
        (60.0, "fast@160"),
        (1.0, "fast@128"),
    ],
)
def test_auto_joins_what_the_time_allows_at_the_side_that_it_allows(
    monkeypatch, photos, seconds, taken
):
    def network(name, *, device):
        side, whole = {"slow": (260, 50.0), "fast": (224, 30.0)}[name]
        loaded = SimpleNamespace(size=(side, side))
        return SimpleNamespace(network_=loaded, _seconds_for=lambda images: whole)

    monkeypatch.setattr(extract, "_kind", lambda name: network)
    names, reason = extract._networks_in_time(["fast", "slow"], photos, seconds, "cpu")
    assert names == taken
    assert "since these are photos" in reason
    side = taken.partition("@")[2].partition(",")[0]
    assert (f"of {side} pixels a side: that takes about" in reason) == bool(side)
    assert ("slow and fast at their own side would take 80 s" in reason) == bool(side)
    monkeypatch.setattr(extract, "_UNASKED_SECONDS", 5.0)
    assert extract._networks_in_time(["fast", "slow"], photos, None, "cpu")[0] == "fast@128"


def test_the_speed_is_measured_once(photos, monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path)
    seconds = [70.0, 90.0]
    monkeypatch.setattr(Backbone, "_seconds_for", lambda self, images: seconds.pop(0))
    for name, expected in ((SMALL, 70.0), (SMALL, 70.0), (OTHER, 90.0), (OTHER, 90.0)):
        assert cache._measured_once(made(name), photos) == expected
    (tmp_path / "features" / "seconds.json").write_text("{")
    seconds.append(50.0)
    assert cache._measured_once(made(), photos) == 50.0


def test_a_side_is_named_behind_the_network(kinds, photos):
    found = extract_features(photos, features=f"{SMALL}@48, {OTHER}")
    assert [part.network_.size for part in found.extractor.parts] == [(48, 48), (32, 32)]
    for wrong in ("0", "x", "5000"):
        with pytest.raises(UsageError, match=f"as in {SMALL}@160, from 1 to 4096"):
            extract_features(photos, features=f"{SMALL}@{wrong}")
