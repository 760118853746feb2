import pytest

from fewlabel.errors import ModelFormatError
from fewlabel.features.patch_features import PatchFeatures


@pytest.fixture(scope="module")
def fitted(digits):
    return PatchFeatures(max_fit_samples=200).fit(digits.images)


def test_small_images_keep_their_size(fitted, digits):
    assert fitted.size_ == (8, 8)
    assert fitted.channels_ == 1
    assert fitted.transform(digits.images).shape == (400, fitted.width)


@pytest.mark.parametrize(
    ("forge", "message"),
    [
        (
            lambda a, m: a.update(weight=a["weight"][:-1]),
            "features.weight must be floats",
        ),
        (lambda a, m: a.update(bias=a["bias"][:-1]), "array features.bias must be floats"),
        (lambda a, m: a.update(bias=a["bias"][:, None]), "array features.bias must be"),
        (lambda a, m: m["filters"].update(grid=5), "array reduce.mean must be floats of shape"),
        (lambda a, m: m["filters"].update(grid=20), "filters do not fit images of"),
        (lambda a, m: m.update(reduce=None), "features.reduce must be an object, and is None"),
    ],
)
def test_a_state_that_does_not_fit_together(fitted, forge, message):
    arrays, meta = fitted.to_state()
    forge(arrays, meta)
    with pytest.raises(ModelFormatError, match=message):
        PatchFeatures.from_state(arrays, meta)
