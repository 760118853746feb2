import numpy as np
import pytest

from fewlabel.data.targets import encode_labels, one_hot
from fewlabel.errors import UsageError


@pytest.mark.parametrize(
    ("y", "classes", "codes"),
    [
        ([7, -1, 3, 7], [3, 7], [1, -1, 0, 1]),
        ([7.0, -1.0, 3.0, 7.0], [3, 7], [1, -1, 0, 1]),
        (["cat", "-1", "ant", "cat"], ["ant", "cat"], [1, -1, 0, 1]),
        (np.array(["cat", -1, "ant", "cat"], dtype=object), ["ant", "cat"], [1, -1, 0, 1]),
        (np.array([2, -1, 1, 2], dtype=np.int8), [1, 2], [1, -1, 0, 1]),
        ([0, 0, 1], [0, 1], [0, 0, 1]),
        ([-1, -1, -5], [-5], [-1, -1, 0]),
    ],
)
def test_labels_of_every_kind_are_numbered(y, classes, codes):
    found, positions = encode_labels(y, "Example")
    assert found.tolist() == classes
    assert positions.tolist() == codes
    assert positions.dtype == np.int64


@pytest.mark.parametrize("y", [[-1, -1], ["-1", "-1"]])
def test_no_label_at_all(y):
    with pytest.raises(UsageError, match=r"Example needs at least one labelled row"):
        encode_labels(y, "Example")


def test_fractions_are_not_classes():
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        encode_labels([0.5, 1.25, -1], "Example")


def test_one_label_of_many_classes_each_is_not_a_regression():
    y = np.append(np.arange(43), [-1] * 5)
    assert len(encode_labels(y, "Example")[0]) == 43


def test_one_hot_rows():
    rows = one_hot(np.array([2, -1, 0]), 3)
    assert rows.dtype == np.float32
    assert rows.tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]
