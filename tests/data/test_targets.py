import numpy as np
import pytest

from fewlabel.data.targets import encode_labels


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
        # One label of many classes each is not a regression.
        ([*range(43), -1, -1], [*range(43)], [*range(43), -1, -1]),
    ],
)
def test_labels_of_every_kind_are_numbered(y, classes, codes):
    found, positions = encode_labels(y, "Example")
    assert found.tolist() == classes
    assert positions.tolist() == codes
    assert positions.dtype == np.int64


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([-1, -1], "Example needs at least one labeled row"),
        (["-1", "-1"], "Example needs at least one labeled row"),
        ([0.5, 1.25, -1], "Unknown label type: continuous"),
    ],
)
def test_what_holds_no_classes_is_refused(y, message):
    with pytest.raises(ValueError, match=message):
        encode_labels(y, "Example")
