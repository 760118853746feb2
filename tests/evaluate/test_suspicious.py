import numpy as np
import pytest

from fewlabel.data import MultiLabel, SingleLabel
from fewlabel.evaluate.outliers import _label_probability


@pytest.mark.parametrize(
    ("task", "y", "expected"),
    [
        (SingleLabel(), [0, 0, 1], [0.6, 0.01, 0.2]),
        # Absent where it is probable is as doubtful as present where it is not.
        (MultiLabel(), [[1, 0], [0, 1], [-1, -1]], [0.6, 0.99, 1.0]),
    ],
)
def test_the_least_probable_label_of_an_image_counts(task, y, expected):
    proba = np.array([[0.6, 0.4], [0.01, 0.99], [0.8, 0.2]])
    np.testing.assert_allclose(_label_probability(task, np.array(y), proba), expected)
