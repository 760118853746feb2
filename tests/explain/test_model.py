from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fewlabel.data import image_set_from_array, load_images
from fewlabel.errors import UsageError
from fewlabel.explain.model import (
    _class_position,
    _explain_one,
    _image_position,
    _model_size,
    _predict_arrays,
)
from fewlabel.features.backbone import Backbone
from fewlabel.pipeline import Features, FitSettings, extract_features, fit_images

KINDS = ("graph pixels", "supervised patches", "propagated backbone")


@pytest.fixture(scope="module", params=KINDS)
def run(request, digits):
    """A model of each kind: a graph, a logistic regression, and a network."""
    method, features = request.param.split()
    if features == "backbone":
        backbone = Backbone("test_resnet", pretrained=False, size=32)
        prepared = Features(backbone, backbone.fit_transform(digits.images), "random weights")
    else:
        prepared = extract_features(digits.images, features=features)
    settings = FitSettings(method=method)
    return fit_images(digits.images, digits.labels, settings, prepared=prepared).model


def test_any_run_is_explained(run, digits):
    images = digits.images
    found = _explain_one(run, images, 90, n_samples=60, repeats=2)
    explanation = found.explanation
    proba = run.predict(images.subset([90])).proba[0]
    np.testing.assert_allclose(explanation.proba, proba, atol=1e-6)
    assert explanation.target == proba.argmax()
    assert found.name == "90"
    size = 32 if isinstance(run.extractor, Backbone) else 8
    assert explanation.image.shape[:2] == _model_size(run, images) == (size, size)
    assert len(explanation.weights) >= 16
    assert np.abs(explanation.weights).max() > 0
    expected = run.predict(images.subset(range(5))).proba
    pixels = images.read(np.arange(5))
    np.testing.assert_allclose(_predict_arrays(run)(pixels), expected, atol=1e-6)


def test_a_photo_is_shown_finer_than_the_model_sees_it(run, tmp_path):
    size = run.extractor.network_.size if isinstance(run.extractor, Backbone) else (8, 8)
    noise = np.random.default_rng(0).integers(0, 256, (30, 50, 3)).astype(np.uint8)
    Image.fromarray(noise).resize((500, 300)).save(tmp_path / "wide.png")
    photo = load_images(tmp_path / "wide.png")
    explanation = _explain_one(run, photo, n_samples=20, repeats=1).explanation
    assert explanation.image.shape == (*size, 3)
    assert explanation.display.shape == (256, 256, 3)
    # As the file is predicted, not as the pixels that are changed are.
    np.testing.assert_allclose(explanation.proba, run.predict(photo).proba[0], atol=1e-6)
    small = image_set_from_array(noise[None, :8, :8])
    assert _explain_one(run, small, n_samples=20, repeats=1).explanation.display is None


def test_the_size_where_the_features_name_none_and_names_without_a_near_one(digits):
    anything = SimpleNamespace(extractor=object())
    assert _model_size(anything, digits.images) == (8, 8)
    photos = image_set_from_array(np.zeros((1, 300, 400, 3), np.uint8))
    assert _model_size(anything, photos) == (128, 128)
    with pytest.raises(UsageError, match=r"no class 'xyz': the classes are Bag, Coat."):
        _class_position("xyz", ["Bag", "Coat"])
    assert _image_position(digits.images.subset([3])) == 0
