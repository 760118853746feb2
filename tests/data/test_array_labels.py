"""Labels that come with arrays of images: one an image, or tables of several."""

import numpy as np
import pandas as pd
import pytest

from fewlabel.data import MultiLabel, image_set_from_array, labels_from_truth, load_images
from fewlabel.errors import DataError, UsageError

NOTHING = np.zeros((2, 2, 2), np.uint8)


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        ([3, -1], ["3", ""]),
        ([3.0, np.nan], ["3", ""]),
        ([" cat ", ""], ["cat", ""]),
        ([b"cat", b"dog"], ["cat", "dog"]),
        (np.array(["cat", None], dtype=object), ["cat", ""]),
        (np.array([2, 3.0], dtype=object), ["2", "3"]),
        (np.array([True, None], dtype=object), ["True", ""]),
        (np.ma.array([3, 4], mask=[False, True]), ["3", ""]),
        (["cat", 3], ["cat", "3"]),
    ],
)
@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_labels_become_text(y, expected, shape):
    y = y if isinstance(y, np.ndarray) else np.array(y, dtype=object if 3 in y else None)
    assert image_set_from_array(NOTHING, y.reshape(shape)).truth.tolist() == expected


@pytest.mark.parametrize("y", [[0, 1], [0, -1], [0, 0]])
def test_one_column_is_one_label_an_image_unless_it_has_a_name(y):
    column = np.array(y)[:, None]
    images = image_set_from_array(NOTHING, column)
    assert images.truth.tolist() == ["" if v < 0 else str(v) for v in y]
    assert images.truth_classes is None
    named = image_set_from_array(NOTHING, column, classes=["odd"])
    assert labels_from_truth(named).y.tolist() == column.tolist()


def test_one_and_minus_one_are_warned_of():
    with pytest.warns(UserWarning, match="the array takes -1 for unlabeled, which leaves one"):
        assert image_set_from_array(NOTHING, [1, -1]).truth.tolist() == ["1", ""]


def test_one_hot_classes_are_warned_of():
    with pytest.warns(UserWarning, match="if it is one-hot, give y.argmax"):
        image_set_from_array(NOTHING, [[1, 0], [0, 1]])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1], r"must have shape \(2,\). Got \(1,\)"),
        ([0.5, 1], "must hold classes. Got fractions such as 0.5"),
        ([np.inf, 1], "must hold classes. Got fractions such as inf"),
        ([[[1]], [[2]]], "must have shape"),
        ([["a"], ["b", "c"]], "one a row, .* Got rows of different lengths"),
        (pd.Series([["a"], ["b", "c"]]), r"one label an image, .* Got \['a'\] instead"),
    ],
)
def test_what_is_no_label_is_named(y, message):
    with pytest.raises(UsageError, match=message):
        image_set_from_array(NOTHING, y)


def test_a_table_in_a_file_of_arrays(tmp_path):
    X = np.zeros((3, 4, 4), np.uint8)
    np.savez(tmp_path / "a.npz", X=X, y=[[1, 0], [-1, -1], [0, 1]], classes=["cat", "dog"])
    labels = labels_from_truth(load_images(tmp_path / "a.npz"))
    assert labels.task == MultiLabel()
    assert labels.y.tolist() == [[1, 0], [-1, -1], [0, 1]]
    assert labels.classes == ("cat", "dog")


def test_columns_keep_their_place_and_get_numbers_for_names():
    X = np.zeros((2, 4, 4))
    labels = labels_from_truth(image_set_from_array(X, y=np.array([[1.0, np.nan], [1, 1]])))
    assert labels.y.tolist() == [[1, -1], [1, 1]]
    assert labels.classes == ("0", "1")
    # A label that no image has keeps its column.
    y = np.array([[1, 0, 0], [0, 0, 1]])
    images = image_set_from_array(X, y=y, classes=[b"odd", "never", "big"])
    labels = labels_from_truth(images.subset([1, 0]))
    assert labels.classes == ("odd", "never", "big")
    assert labels.y.tolist() == [[0, 0, 1], [1, 0, 0]]


@pytest.mark.parametrize(
    ("y", "classes", "message"),
    [
        *[
            (y, classes, r"\(\d, K\) with 1, 0 and -1")
            for y, classes in (
                ([[1, 2]], None),
                ([[1, 0], [0, 1]], None),
                ([[1, 0]], ["one"]),
                ([["a", "b"]], None),
            )
        ],
        ([[1, 0]], ["a|b", "c"], r"label called 'a\|b'"),
        ([[1, 0]], ["?b", "c"], r"label called '\?b'"),
        ([[1, 0]], ["", "c"], "label called ''"),
        ([[1, 0]], ["c ", "d"], "label called 'c '"),
        ([[1, 0]], ["c", "c"], "two labels called 'c'"),
    ],
)
def test_other_tables_and_names_that_texts_cannot_hold_are_refused(y, classes, message):
    with pytest.raises(DataError, match=message):
        image_set_from_array(np.zeros((1, 4, 4)), y=np.array(y), classes=classes)


def test_objects_make_a_table_too():
    y = np.array([[True, None], [np.nan, 0]], dtype=object)
    assert labels_from_truth(image_set_from_array(NOTHING, y)).y.tolist() == [[1, -1], [-1, 0]]


def test_what_a_file_of_objects_is_told_to_do_keeps_them_unlabeled(tmp_path):
    y, file = np.array(["a", None, np.nan, pd.NA], dtype=object), tmp_path / "a.npz"
    np.savez(file, X=np.zeros((4, 2, 2), np.uint8), y=y)
    with pytest.raises(DataError, match="holds Python objects") as error:
        load_images(file)
    advice = str(error.value).split("such as ")[1].rstrip(".")
    y = eval(advice, {"numpy": np, "pandas": pd, "y": y})
    np.savez(file, X=np.zeros((4, 2, 2), np.uint8), y=y)
    assert load_images(file).truth.tolist() == ["a", "", "", ""]
