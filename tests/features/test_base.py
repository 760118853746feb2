"""What every extractor promises, checked for each kind."""

import json
import operator

import numpy as np
import pytest

from fewlabel.errors import ModelFormatError, UsageError
from fewlabel.features.backbone import Backbone
from fewlabel.features.base import _extractor_from_state
from fewlabel.features.patch_features import PatchFeatures
from fewlabel.features.pixels import Pixels
from tests.features.conftest import SMALL

N = 150
# How each kind is made, and the stages of fitting and transforming with it.
KINDS = {
    "pixels": (lambda: Pixels(size=9), "pixels"),
    "pixels, reduced": (lambda: Pixels(n_components=7, power=0.4), "learn components, pixels"),
    "patches": (lambda: PatchFeatures(max_fit_samples=100), "learn patches, features"),
    "backbone": (lambda: Backbone(SMALL, pretrained=False, size=32), "backbone"),
    "backbone, other mean": (
        lambda: Backbone(SMALL, pretrained=False, size=32, mean=(0.5,) * 3),
        "backbone",
    ),
}


@pytest.fixture(scope="module", params=KINDS, name="kind")
def fixture_kind(request):
    return KINDS[request.param]


@pytest.fixture(scope="module", name="fitted")
def fixture_fitted(kind, images):
    steps = []
    extractor = kind[0]().fit(images, progress=lambda *step: steps.append(step))
    rows = extractor.transform(images, progress=lambda *step: steps.append(step))
    return extractor, rows, steps


def test_there_is_a_row_an_image_and_progress_reaches_the_end(kind, fitted):
    _, rows, steps = fitted
    assert rows.dtype == np.float32
    assert (rows.ndim, len(rows)) == (2, N)
    assert np.isfinite(rows).all()
    stages = list(dict.fromkeys(stage for stage, _, _ in steps))
    assert ", ".join(stages) == kind[1]
    for stage in stages:
        done = [step[1:] for step in steps if step[0] == stage]
        assert done == sorted(done)
        assert operator.eq(*done[-1])
    assert steps[-1][1:] == (N, N)


def test_the_same_seed_gives_the_same_rows(kind, fitted, images):
    np.testing.assert_array_equal(kind[0]().fit_transform(images), fitted[1])


def test_a_state_survives_json_and_gives_identical_rows(fitted, images):
    extractor, rows, _ = fitted
    arrays, meta = extractor.to_state()
    again = _extractor_from_state(arrays, json.loads(json.dumps(meta)))
    assert type(again) is type(extractor)
    np.testing.assert_array_equal(again.transform(images), rows)
    twice, same = again.to_state()
    assert same == meta
    assert twice.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(twice[name], array)


def test_whatever_a_state_lacks_is_named(fitted):
    arrays, meta = fitted[0].to_state()
    # A network is rebuilt for each: one of its two hundred tensors will do.
    stem = [name for name in arrays if name.endswith("conv_stem.weight")]
    for name in [*stem, *(name for name in arrays if not name.startswith("weights."))]:
        without = {key: array for key, array in arrays.items() if key != name}
        lacks = rf"(lacks the array (features.)?|missing: ){name.removeprefix('weights.')}"
        with pytest.raises(ModelFormatError, match=lacks):
            _extractor_from_state(without, meta)
    for name in meta.keys() - {"extractor", "weights"}:
        without = {key: value for key, value in meta.items() if key != name}
        with pytest.raises(ModelFormatError, match=f"lacks features.{name}"):
            _extractor_from_state(arrays, without)


def test_a_state_of_another_kind_is_refused(fitted):
    arrays, meta = fitted[0].to_state()
    for name in ("sounds", None):
        other = meta | {"extractor": name}
        with pytest.raises(ModelFormatError, match=f"one of {meta['extractor']}, and is {name}"):
            type(fitted[0]).from_state(arrays, other)
        with pytest.raises(ModelFormatError, match="not known to this version of fewlabel: upgrad"):
            _extractor_from_state(arrays, other)


def test_nothing_is_transformed_or_saved_before_fit(kind, images):
    extractor = kind[0]()
    message = f"This {type(extractor).__name__} extractor is not fitted: call fit"
    for use in (lambda: extractor.transform(images), extractor.to_state):
        with pytest.raises(UsageError, match=message):
            use()


@pytest.mark.parametrize("size", [0, -3, (4,), (4, 0), 2.5, "big", True])
def test_a_wrong_size_is_named(kind, images, size):
    extractor = kind[0]()
    extractor.size = size
    message = rf"'size' parameter of {type(extractor).__name__} must be a positive int or \("
    with pytest.raises(UsageError, match=message):
        extractor.fit(images)


def test_a_wrong_number_of_components_is_named(images):
    with pytest.raises(UsageError, match="'n_components' parameter of Pixels must be an int of at"):
        Pixels(n_components=0).fit(images)
