"""Features in one call: which ones, and why."""

import numpy as np
import pytest

from fewlabel.data import image_set_from_array
from fewlabel.errors import UsageError
from fewlabel.features import extract
from fewlabel.features.backbone import Backbone
from fewlabel.features.extract import extract_features
from fewlabel.features.patch_features import PatchFeatures
from fewlabel.features.pixels import Pixels
from fewlabel.nets import weight_packages
from fewlabel.nets.weight_packages import PACKAGES
from tests.features.conftest import SMALL


@pytest.mark.parametrize(
    ("features", "kind"),
    [("pixels", Pixels), ("patches", PatchFeatures), ("auto", PatchFeatures)],
)
def test_the_choice_and_the_seed(digits, features, kind):
    found = extract_features(digits.images, features=features, seed=7)
    assert type(found.extractor) is kind
    assert found.extractor.random_state == 7
    assert ("themselves, which are gray" in found.reason) == (features == "auto")
    assert not found.warnings
    np.testing.assert_array_equal(found.rows, found.extractor.transform(digits.images))


def test_photos_take_the_network_that_is_at_hand(monkeypatch):
    lite0, _, lite2 = PACKAGES
    rng = np.random.default_rng(0)
    photos, tiles = (
        image_set_from_array(rng.integers(256, size=(12, side, side, 3), dtype=np.uint8))
        for side in (80, 64)
    )

    def suited(images, *packages):
        monkeypatch.setattr(weight_packages, "installed_packages", lambda: list(packages))
        return extract._suited_to(images)

    assert suited(photos, lite2)[0] == "tf_efficientnet_lite2"
    assert suited(photos, lite0, lite2)[0] == "tf_efficientnet_lite2,tf_efficientnet_lite0"
    name, _, warnings = suited(photos)
    assert name == "patches"
    assert "pip install 'fewlabel[photos]'" in warnings[0]
    assert extract_features(photos).warnings == warnings
    assert suited(tiles, lite2)[0] == "patches"


@pytest.mark.parametrize("features", ["auto", SMALL])
def test_weights_choose_a_network(digits, weights, features):
    found = extract_features(digits.images.subset([0]), features=features, weights=weights)
    (network,) = found.extractor.parts
    assert (type(network), network.network_.recipe.model) == (Backbone, SMALL)


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
