import pytest

from fewlabel.errors import DataError, FewLabelError, UsageError
from fewlabel.features.backbone import Backbone
from fewlabel.features.choose import _choose_extractor
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


def test_networks_that_are_not_there(tmp_path, digits):
    with pytest.raises(DataError, match=r"missing\.safetensors"):
        _choose_extractor("auto", weights=tmp_path / "missing.safetensors")[0].fit(digits.images)
    with pytest.raises(FewLabelError, match="pixelz"):
        _choose_extractor("pixelz")[0].fit(digits.images)
