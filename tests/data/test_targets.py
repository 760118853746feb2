import numpy as np
import pytest

from fewlabel.data.targets import _encode_labels, _recode


@pytest.mark.parametrize(
    ("y", "classes", "codes"),
    [
        ([7, -1, 3, 7], [3, 7], [1, -1, 0, 1]),
        ([7.0, -1.0, 3.0, 7.0], [3, 7], [1, -1, 0, 1]),
        (["cat", "-1", "ant", "cat"], ["ant", "cat"], [1, -1, 0, 1]),
        (np.array(["cat", -1, "ant", "cat"], dtype=object), ["ant", "cat"], [1, -1, 0, 1]),
        (np.array([2, -1, 1, 2], dtype=np.int8), [1, 2], [1, -1, 0, 1]),
        ([0, 0, 1], [0, 1], [0, 0, 1]),
        ([-1, -3, -5], [-5, -3], [-1, 1, 0]),
        # One label of many classes each is not a regression.
        ([*range(43), -1, -1], [*range(43)], [*range(43), -1, -1]),
    ],
)
def test_labels_of_every_kind_are_numbered(y, classes, codes):
    found, positions = _encode_labels(y, "Example")
    assert found.tolist() == classes
    assert positions.tolist() == codes
    assert positions.dtype == np.int64


@pytest.mark.parametrize(
    ("y", "classes", "message"),
    [
        ([1, -1, 1], [1], "Example takes -1 for unlabeled, which leaves one class, 1"),
        (["-1", "1"], ["1"], "Example takes -1 for unlabeled"),
        (
            ["a", "nan", "b", "None"],
            ["a", "b"],
            r"2 labels are 'None' \(1\), 'nan' \(1\), taken as",
        ),
        (["a", "NA", "b", "NA"], ["NA", "a", "b"], r"2 labels are 'NA' \(2\), kept as a class"),
        (["a", "A", "b", "A"], ["A", "a", "b"], r"look alike .*: 'A' \(2\) and 'a' \(1\)"),
    ],
)
def test_doubtful_labels_are_warned_of(y, classes, message):
    with pytest.warns(UserWarning, match=message):
        found, codes = _encode_labels(np.array(y), "Example")
    assert found.tolist() == classes
    assert codes.tolist() == [classes.index(v) if v in classes else -1 for v in y]


def test_other_labels_are_numbered_by_the_same_classes():
    y = np.array(["b", None, "", "nan", "-1", "c"], dtype=object)
    assert _recode(y, np.array(["a", "b"])).tolist() == [1, -1, -1, -1, -1, 2]
    assert _recode(np.array(["nan", "a"]), np.array(["a", "nan"])).tolist() == [1, 0]
    assert _recode(np.array([1, np.nan, 5.0]), np.array([1, 2])).tolist() == [0, -1, 2]
    with pytest.warns(UserWarning, match="None of the labels, such as '1', is one of the classes"):
        assert _recode(np.array(["1", "2"]), np.array([1, 2])).tolist() == [2, 2]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([-1, -1], "Example needs at least one labeled row"),
        (["-1", "-1"], "Example needs at least one labeled row"),
        ([None, float("nan"), " "], "Example needs at least one labeled row"),
        (["cat", 1, None], "all numbers or all texts, .* Got int, str instead"),
        (
            np.array([["cat"], ["dog", "cat"]], dtype=object),
            "all numbers or all texts, .* Got list instead",
        ),
        ([1.0, np.inf], "y contains infinity"),
        ([0.5, 1.25, -1], "Unknown label type: continuous"),
    ],
)
def test_what_holds_no_classes_is_refused(y, message):
    with pytest.raises(ValueError, match=message):
        _encode_labels(y, "Example")
