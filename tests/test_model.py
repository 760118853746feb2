import numpy as np
import pytest

from fewlabel.errors import ModelFormatError
from fewlabel.model import Model


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
