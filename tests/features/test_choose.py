import json

import numpy as np
import pytest

from fewlabel.data import load_images
from fewlabel.errors import DataError, FewLabelError, ModelFormatError, UsageError
from fewlabel.features.backbone import Backbone
from fewlabel.features.choose import _choose_extractor, extractor_from_state
from fewlabel.features.patch_features import PatchFeatures
from fewlabel.features.pixels import Pixels


@pytest.mark.parametrize(
    ("features", "kind", "reason"),
    [
        ("pixels", Pixels, "Pixels, as asked for."),
        ("patches", PatchFeatures, "A patch dictionary learned from the images, as asked for."),
        ("auto", PatchFeatures, "since no pretrained weights were given. For photos, --features"),
        ("mobilenetv2_100", Backbone, "The pretrained network mobilenetv2_100, as asked for."),
    ],
)
def test_the_choice_and_its_reason(features, kind, reason):
    extractor, why = _choose_extractor(features, seed=3)
    assert isinstance(extractor, kind)
    assert reason in why


@pytest.mark.parametrize("features", ["pixels", "patches"])
def test_seed_and_weights(features):
    assert _choose_extractor(features, seed=7)[0].random_state == 7
    with pytest.raises(UsageError, match=f"the features '{features}' have none: leave out"):
        _choose_extractor(features, weights="model.safetensors")


def test_networks_that_are_not_there(tmp_path):
    images = load_images("digits").subset(range(5))
    with pytest.raises(DataError, match=r"missing\.safetensors"):
        _choose_extractor("auto", weights=tmp_path / "missing.safetensors")[0].fit(images)
    with pytest.raises(FewLabelError, match="pixelz"):
        _choose_extractor("pixelz")[0].fit(images)


@pytest.mark.parametrize("features", ["pixels", "patches"])
def test_a_saved_extractor_is_rebuilt(features):
    images = load_images("digits").subset(range(150))
    extractor = _choose_extractor(features)[0].fit(images)
    arrays, meta = extractor.to_state()
    again = extractor_from_state(arrays, json.loads(json.dumps(meta)))
    assert type(again) is type(extractor)
    np.testing.assert_array_equal(again.transform(images), extractor.transform(images))


@pytest.mark.parametrize("meta", [{}, {"extractor": "sounds"}])
def test_a_state_of_no_known_extractor(meta):
    with pytest.raises(ModelFormatError, match="not known to this version of fewlabel: upgrade"):
        extractor_from_state({}, meta)
