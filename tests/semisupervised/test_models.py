"""What estimators that rounds train are given of soft targets, and predict for all classes."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from fewlabel.semisupervised.models import _predict_classes, _split_targets


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


def test_a_class_that_was_not_shown_has_probability_0():
    model = LogisticRegression().fit([[0.0], [1.0]], ["a", "c"])
    proba = _predict_classes(model, np.array([[0.2]]), np.array(["a", "b", "c"]))
    assert proba[0, 1] == 0
    assert proba.sum() == pytest.approx(1)
