"""Logistic regression on soft targets, of classes and of labels that may be unknown."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from sklearn.linear_model import LogisticRegression

from fewlabel.data import MultiLabel, SingleLabel
from fewlabel.data.logistic import _fit_labels, _fit_logistic


@pytest.fixture(name="rows")
def fixture_rows():
    return np.random.default_rng(0).standard_normal((60, 5))


@pytest.mark.parametrize("task", [SingleLabel(), MultiLabel()], ids=lambda task: task.name)
def test_the_gradient_is_that_of_the_loss(task, rows):
    rng = np.random.default_rng(1)
    logits, targets = rows[:4] * 3, rng.random((4, 5))
    weights, known = rng.random((4, 1)), rng.random((4, 5))

    def loss(flat):
        return task.logistic_loss(flat.reshape(logits.shape), targets, weights, known)[0]

    _, gradient = task.logistic_loss(logits, targets, weights, known)
    np.testing.assert_allclose(gradient.ravel(), approx_fprime(logits.ravel(), loss), atol=1e-5)


def test_classes_are_fitted_as_scikit_learn_does(rows):
    y = rows[:, :3].argmax(axis=1)
    coef, intercept = _fit_logistic(
        SingleLabel(), rows, np.eye(3)[y], 1.0, None, penalty=1.0, gtol=1e-7, ftol=1e-14
    )
    theirs = LogisticRegression(tol=1e-8, max_iter=1_000).fit(rows, y)
    found = SingleLabel().activate(rows @ coef.T + intercept)
    np.testing.assert_allclose(found, theirs.predict_proba(rows), atol=1e-4)


def test_an_entry_that_is_unknown_changes_nothing(rows):
    targets = (rows[:, :2] > 0).astype(float)
    known = np.ones_like(targets)
    known[40:, 1] = 0
    found = _fit_labels(rows, targets, known, 1.0)
    other = _fit_labels(rows, np.where(known > 0, targets, 1 - targets), known, 1.0)
    alone = _fit_labels(rows[:40], targets[:40, 1:], known[:40, 1:], 1.0)
    for one, two, part in zip(found, other, alone, strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_allclose(one[1:], part, atol=0.02)


def test_a_label_that_is_always_absent_or_unknown_stays_finite_and_rare(rows):
    known = np.stack([np.ones(60), np.zeros(60)], axis=1)
    weights, intercept = _fit_labels(rows, np.zeros((60, 2)), known, 10.0)
    proba = MultiLabel().activate(rows @ weights.T + intercept)
    assert np.isfinite(proba).all()
    assert (proba[:, 0] < 0.02).all()
    np.testing.assert_allclose(proba[:, 1], 0.25)
