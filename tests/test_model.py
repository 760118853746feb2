import math
from dataclasses import replace

import numpy as np
import pytest

from fewlabel.data import PixelScale, SingleLabel
from fewlabel.errors import ModelFormatError
from fewlabel.model import Model, Prediction


def test_new_images_are_predicted_and_counted(example, fitted):
    found = fitted.model.predict(example.new)
    assert fitted.task.correct(example.new_truth.y, found.proba).mean() > 0.7
    assert found.texts == fitted.task.texts(found.label, fitted.classes)
    named = fitted.task.decided(found.proba)
    counts = found.by_class()
    assert [counts[name]["n_images"] for name in fitted.classes] == named.sum(axis=0).tolist()
    np.testing.assert_array_equal(found.confidence, fitted.task.confidence(found.proba))


def test_its_state_predicts_as_it_does(example, fitted):
    again = Model.from_state(*fitted.model.to_state())
    for saved, kept in zip(again.evidence, fitted.model.evidence, strict=True):
        np.testing.assert_array_equal(saved, kept)
    expected = fitted.model.predict(example.new).proba
    np.testing.assert_allclose(again.predict(example.new).proba, expected, atol=1e-6)
    assert again.classes == fitted.classes


def test_a_class_that_only_the_audit_has_gets_no_probability(digits):
    nine = np.flatnonzero(digits.truth.y == 9)
    rows = [*np.flatnonzero(digits.truth.y[:90] < 9), nine[-1]]
    purpose = np.full(len(digits.images), "", dtype=object)
    purpose[nine[-1]] = "audit"
    model = digits.fit(digits.known(rows, purpose), method="graph").model
    proba = model.predict(digits.new).proba
    assert proba.shape == (300, 10)
    assert not proba[:, 9].any()


def test_a_state_whose_classes_do_not_fit_is_refused(fitted):
    arrays, meta = fitted.model.to_state()
    with pytest.raises(ModelFormatError, match=r"meta\.columns must be a list"):
        Model.from_state(arrays, meta | {"classes": ["one"]})


def test_it_knows_the_scale_of_its_images(fitted):
    arrays, meta = fitted.model.to_state()
    assert Model.from_state(arrays, meta).scale == fitted.model.scale == PixelScale()
    kelvin = PixelScale(floating=(280.0, 310.0), ground=0)
    assert Model.from_state(arrays, meta | {"pixels": kelvin._to_dict()}).scale == kelvin
    for wrong in ({"integer": [0]}, {"large": [1, 1]}, {"float": [0, math.nan]}, {"ground": 256}):
        with pytest.raises(ModelFormatError, match=r"saved meta\.pixels\..* must be"):
            Model.from_state(arrays, meta | {"pixels": wrong})


@pytest.mark.parametrize(("level", "ends"), [(255, None), (4095, (0, 4095))])
def test_the_white_level_of_older_models_is_a_scale(fitted, level, ends):
    arrays, meta = fitted.model.to_state()
    del meta["pixels"]
    scale = Model.from_state(arrays, meta | {"white_level": level}).scale
    assert scale == PixelScale(integer=ends, large=ends)


def test_what_is_unlike_anything_labeled_is_not_accepted():
    proba, unlike = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4]]), np.array([True, False, False])
    prediction = Prediction(SingleLabel(), proba, ("a", "b"), {}, 0.8, unlike)
    assert prediction.texts == ["", "a", ""]
    # Where nothing is promised, all are labeled.
    assert replace(prediction, threshold=0.0).texts == ["a", "a", "a"]
