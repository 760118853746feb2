"""Training on soft labels."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from fewlabel.semisupervised.soft_fit import class_probabilities, fit_soft, split_targets


def test_hard_targets_stay_one_row_each():
    targets = np.eye(4)[[2, 0, 3]]
    rows, columns, shares = split_targets(targets)
    assert rows.tolist() == [0, 1, 2]
    assert columns.tolist() == [2, 0, 3]
    assert shares.tolist() == [1, 1, 1]


def test_at_most_three_likely_classes_are_kept_and_their_shares_sum_to_1():
    targets = np.array([[0.3, 0.25, 0.2, 0.15, 0.1], [0.9, 0.04, 0.03, 0.02, 0.01]])
    rows, columns, shares = split_targets(targets)
    assert columns[rows == 0].tolist() == [0, 1, 2]
    assert shares[rows == 0].tolist() == pytest.approx([0.4, 1 / 3, 0.8 / 3])
    assert columns[rows == 1].tolist() == [0]


def test_a_row_without_a_likely_class_keeps_its_likeliest():
    targets = np.full((1, 50), 0.02)
    rows, _, shares = split_targets(targets)
    assert rows.tolist() == [0]
    assert shares.tolist() == [1]


def test_soft_targets_give_softer_predictions_than_hard_ones():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    hard = np.eye(2)[(X[:, 0] > 0).astype(int)]
    soft = 0.6 * hard + 0.2
    classes = np.array([0, 1])
    confidence = [
        fit_soft(LogisticRegression(C=100), X, targets, np.ones(200), classes)
        .predict_proba(X)
        .max(1)
        .mean()
        for targets in (soft, hard)
    ]
    assert confidence[0] < 0.85 < confidence[1]


def test_an_estimator_with_soft_labels_of_its_own_is_given_them():
    class Soft:
        def fit_soft(self, X, targets, *, sample_weight, classes):
            self.given = X, targets, sample_weight, classes
            return self

    X, targets, weights, classes = np.ones((2, 1)), np.eye(2), np.array([1.0, 0.5]), np.arange(2)
    model = fit_soft(Soft(), X, targets, weights, classes)
    assert all(a is b for a, b in zip(model.given, (X, targets, weights, classes), strict=True))


def test_a_class_that_was_not_shown_has_probability_0():
    model = LogisticRegression().fit([[0.0], [1.0]], ["a", "c"])
    proba = class_probabilities(model, np.array([[0.2]]), np.array(["a", "b", "c"]))
    assert proba[0, 1] == 0
    assert proba.sum() == pytest.approx(1)
