"""Features in one call: which ones, and why."""

import numpy as np
import pytest

from fewlabel.errors import UsageError
from fewlabel.features.backbone import Backbone
from fewlabel.features.extract import extract_features
from fewlabel.features.patch_features import PatchFeatures
from fewlabel.features.pixels import Pixels
from tests.features.conftest import SMALL


@pytest.mark.parametrize(
    ("features", "kind"),
    [("pixels", Pixels), ("patches", PatchFeatures), ("auto", PatchFeatures)],
)
def test_the_choice_and_the_seed(digits, features, kind):
    found = extract_features(digits.images, features=features, seed=7)
    assert type(found.extractor) is kind
    assert found.extractor.random_state == 7
    assert ("no pretrained weights were given" in found.reason) == (features == "auto")
    np.testing.assert_array_equal(found.rows, found.extractor.transform(digits.images))


@pytest.mark.parametrize("features", ["auto", SMALL])
def test_weights_choose_a_network(digits, weights, features):
    found = extract_features(digits.images.subset([0]), features=features, weights=weights)
    assert (type(found.extractor), found.extractor.network_.recipe.model) == (Backbone, SMALL)


@pytest.mark.parametrize(
    ("features", "weights", "message"),
    [
        ("pixels", "model.safetensors", "the features 'pixels' have none: leave out"),
        ("patches", "model.safetensors", "the features 'patches' have none: leave out"),
        ("auto", "missing.safetensors", r"missing\.safetensors"),
        ("pixelz", None, "pixelz"),
    ],
)
def test_what_is_not_there_is_named(digits, features, weights, message):
    with pytest.raises(UsageError, match=message):
        extract_features(digits.images, features=features, weights=weights)
