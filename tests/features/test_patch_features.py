import pytest

from fewlabel.errors import ModelFormatError
from fewlabel.features.patch_features import PatchFeatures


@pytest.fixture(scope="module")
def fitted(digits):
    return PatchFeatures(max_fit_samples=200).fit(digits.images)


def test_small_images_keep_their_size(fitted, digits):
    assert fitted.size_ == (8, 8)
    assert fitted.channels_ == 1
    assert fitted.transform(digits.images).shape == (400, 128)


@pytest.mark.parametrize(
    ("forge", "message"),
    [
        (lambda a, m: a.update(weight=a["weight"][:-1]), "filters have shape .*, expected .4, 1"),
        (lambda a, m: a.update(bias=a["bias"][:-1]), "filters have shape .*, expected .4, 1"),
        (lambda a, m: a.update(bias=a["bias"][:, None]), "filters have shape .*, expected .4, 1"),
        (lambda a, m: m["filters"].update(grid=5), "saved components do not fit the filters"),
        (lambda a, m: m.update(reduce=None), "saved components do not fit the filters"),
    ],
)
def test_a_state_that_does_not_fit_together(fitted, forge, message):
    arrays, meta = fitted.to_state()
    forge(arrays, meta)
    with pytest.raises(ModelFormatError, match=message):
        PatchFeatures.from_state(arrays, meta)
