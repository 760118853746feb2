"""Models that rounds train: soft targets, what is kept, and predictions for all classes."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression

from fewlabel.semisupervised.checkpoints import _Checkpoints
from fewlabel.semisupervised.models import _Models, _predict_classes, _split_targets, _Training

X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
HARD = np.eye(2)[(X[:, 0] > 0).astype(int)]


def training(template, targets=HARD, mask=None, weights=None, name="a"):
    mask = np.ones(targets.shape, bool) if mask is None else mask
    weights = np.ones(len(X)) if weights is None else weights
    return _Training(name, template, np.arange(len(X)), targets, mask, weights)


def models(folder=None, **settings):
    classes = np.arange(2)
    return _Models(X, classes, _Checkpoints(folder, "run"), seed=0, stage="test", **settings)


@pytest.mark.parametrize(
    ("targets", "columns", "weights"),
    [
        (np.eye(4)[[2]], [2], [1]),
        # At most three classes are kept, and their shares sum to 1.
        ([[0.3, 0.25, 0.2, 0.15, 0.1]], [0, 1, 2], [0.4, 1 / 3, 0.8 / 3]),
        ([[0.9, 0.04, 0.03, 0.02, 0.01]], [0], [1]),
        # The most probable class stays, however little it stands out.
        (np.full((1, 50), 0.02), [0], [1]),
    ],
)
def test_soft_targets_become_weighted_rows(targets, columns, weights):
    rows, found, shares = _split_targets(np.array(targets))
    assert set(rows.tolist()) == {0}
    assert found.tolist() == columns
    assert shares.tolist() == pytest.approx(weights)


class Soft(BaseEstimator):
    given = {}

    def fit_soft(self, X, targets, **more):
        Soft.given, self.classes_ = more, more["classes"]

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)


def test_an_estimator_with_soft_labels_of_its_own_is_given_them_and_a_mask_where_there_is_one():
    weights = np.full(len(X), 0.5)
    models().fit(training(Soft(), weights=weights))
    assert set(Soft.given) == {"sample_weight", "classes"}
    assert Soft.given["sample_weight"] is weights
    models().fit(training(Soft(), mask=HARD > 0))
    np.testing.assert_array_equal(Soft.given["mask"], HARD)


def test_a_class_that_was_not_shown_has_probability_0():
    model = LogisticRegression().fit([[0.0], [1.0]], ["a", "c"])
    proba = _predict_classes(model, np.array([[0.2]]), np.array(["a", "b", "c"]))
    assert proba[0, 1] == 0
    assert proba.sum() == pytest.approx(1)
