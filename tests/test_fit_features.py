"""Features that are kept or dropped by labels that were not trained on, saved and explained."""

from types import SimpleNamespace

import numpy as np
import pytest

from fewlabel.data import load_images
from fewlabel.explain.model import _explain_one
from fewlabel.features.backbone import Backbone
from fewlabel.features.backbones import JoinedBackbones
from fewlabel.features.joined_patches import JoinedPatches
from fewlabel.features.patch_features import PatchFeatures
from fewlabel.pipeline import Features, FitSettings, fit_images
from fewlabel.runs.folder import save_run
from fewlabel.runs.model import load_run
from fewlabel.semisupervised.network_inputs import NetworkSettings

NAMES = ("mobilenetv3_small_050", "resnet10t")


@pytest.fixture
def joined(digits):
    parts = [Backbone(name, pretrained=False, size=32) for name in NAMES]
    return JoinedBackbones(parts).fit(digits.images)


def fit(digits, joined, rows):
    return fit_images(
        digits.images,
        digits.labels,
        FitSettings(method="supervised"),
        prepared=Features(joined, rows, "Joined."),
    )


def test_what_one_network_does_better_alone_is_dropped(digits, joined):
    rng = np.random.default_rng(0)
    n = len(digits.images)
    good = np.repeat(np.eye(10)[digits.truth.y], 25, axis=1) + rng.normal(0, 0.3, (n, 250))
    noise = rng.normal(0, 20, (n, 250))
    rows = np.hstack([good, noise]).astype(np.float32)
    joined.reducers_ = [SimpleNamespace(n_components_=250) for _ in NAMES]
    result = fit(digits, joined, rows)
    assert result.model.extractor.parts == joined.parts[:1]
    assert f"{NAMES[0]} alone is kept, by labels that were not trained on" in result.features.reason
    assert result.features.rows.shape == (n, 250)


def test_joined_networks_are_kept_saved_and_explained(digits, joined, tmp_path):
    result = fit(digits, joined, joined.transform(digits.images))
    assert result.model.extractor is joined
    assert "All are kept, by labels that were not trained on: joined " in result.features.reason
    run = save_run(result, digits.images, tmp_path / "run", command="fewlabel fit")
    model, new = load_run(run), digits.new.subset(range(8))
    expected = result.model.predict(new).proba
    np.testing.assert_allclose(model.predict(new).proba, expected, atol=1e-5)
    found = _explain_one(model, new, 0, n_samples=60)
    assert found.explanation.segments.shape == (32, 32)
    assert NetworkSettings.for_features(model.extractor, "cpu").backbone == NAMES[0]


@pytest.fixture(scope="module")
def large(digits):
    """Digits of 24 pixels: there is something finer than the usual patches."""
    return [
        load_images(of.read(slice(None)).repeat(3, axis=1).repeat(3, axis=2))
        for of in (digits.images, digits.new)
    ]


@pytest.fixture(scope="module")
def patches(large):
    return PatchFeatures().fit(large[0])


def fit_in(seconds, digits, large, patches, rows):
    return fit_images(
        large[0],
        digits.labels,
        FitSettings(method="supervised", time_budget=seconds),
        prepared=Features(patches, rows, "Patches."),
    )


def planted(digits, width, n_good, noise=20.0):
    """Rows of which only the first columns tell digits apart."""
    rng = np.random.default_rng(0)
    n = len(digits.images)
    rows = rng.normal(0, noise, (n, width))
    rows[:, :n_good] = np.eye(10)[digits.truth.y][:, np.arange(n_good) % 10]
    rows[:, :n_good] += rng.normal(0, 0.1, (n, n_good))
    return rows.astype(np.float32)


def test_half_of_the_directions_are_kept_where_the_others_are_noise(digits, large, patches):
    result = fit_in(100.0, digits, large, patches, planted(digits, patches.width, 64, 0.3))
    assert "64 of its directions are kept, by labels that were not" in result.features.reason
    assert result.features.rows.shape[1] == result.model.extractor.width == 64


def test_a_finer_dictionary_is_kept_where_the_usual_one_sees_nothing(
    digits, large, patches, tmp_path
):
    result = fit_in(100.0, digits, large, patches, planted(digits, patches.width, 0))
    assert "A finer dictionary is joined: labels that are spread" in result.features.reason
    extractor = result.model.extractor
    assert isinstance(extractor, JoinedPatches)
    assert result.features.rows.shape[1] == extractor.width > patches.width
    run = save_run(result, large[0], tmp_path / "run", command="fewlabel fit")
    expected = result.model.predict(large[1]).proba
    np.testing.assert_allclose(load_run(run).predict(large[1]).proba, expected, atol=1e-5)


def test_no_dictionary_is_finer_where_images_are_tiny(digits):
    patches = PatchFeatures().fit(digits.images)
    rows = planted(digits, patches.width, 0)
    result = fit_in(100.0, digits, [digits.images], patches, rows)
    assert "of its directions are kept, by labels that were not" in result.features.reason


@pytest.mark.parametrize("seconds", [None, 0.01])
def test_without_time_the_usual_directions_stay(digits, large, patches, seconds):
    rows = planted(digits, patches.width, 64)
    result = fit_in(seconds, digits, large, patches, rows)
    assert result.features.reason == "Patches."
    assert result.model.extractor is patches
