"""Several labels an image: in tables, in arrays, and in what sources carry."""

import numpy as np
import pandas as pd
import pytest

from fewlabel.data import (
    MultiLabel,
    SingleLabel,
    image_set_from_array,
    labels_from_truth,
    load_images,
    read_labels,
)
from fewlabel.data.label_texts import _label_cells, _label_table, _label_texts
from fewlabel.errors import DataError, LabelError, UsageError

PETS = {"classes": ("cat", "dog")}


@pytest.fixture
def images():
    return image_set_from_array(np.zeros((5, 4, 4), np.uint8))


def read(tmp_path, images, *rows, **settings):
    table = tmp_path / "labels.csv"
    table.write_text("index,label,purpose\n" + "".join(f"{row}\n" for row in rows), "utf-8")
    return read_labels(table, images, **settings)


@pytest.mark.parametrize(
    ("rows", "y"),
    [
        (
            ("0,cat|dog,", "1,dog,", "2,|,", "3,cat|?dog,", "4,,"),
            [[1, 1], [0, 1], [0, 0], [1, -1], [-1, -1]],
        ),
        # A trailing bar says that there could be more.
        (("0,cat|,", "1,dog,"), [[1, 0], [0, 1]]),
        # Nothing but what is named is known.
        (("0,cat|?,", "1,dog|fox,"), [[1, -1, -1], [0, 1, 1]]),
        # Neither order nor blanks matter, and a class and the same with a bar are one.
        (("0, dog | cat ,", "0,cat|dog|cat,", "1,cat|,"), [[1, 1], [1, 0]]),
        (("0,cat,", "0,cat|,", "1,dog|cat,", "2,dog|,", "2,dog,"), [[1, 0], [1, 1], [0, 1]]),
    ],
)
def test_a_bar_makes_a_table_of_several_labels(tmp_path, images, rows, y):
    labels = read(tmp_path, images, *rows)
    assert labels.task == MultiLabel()
    assert labels.classes == ("cat", "dog", "fox")[: len(y[0])]
    assert labels.y[: len(y)].tolist() == y
    assert (labels.y[len(y) :] == -1).all()
    assert labels.n_labeled == len(labels.labeled) == sum(max(row) >= 0 for row in y)


def test_a_model_says_whether_there_may_be_several(tmp_path, images):
    assert read(tmp_path, images, "0,cat,", "1,dog,").task == SingleLabel()
    several = read(tmp_path, images, "0,cat,", classes=("cat", "dog"), task=MultiLabel())
    assert several.y[0].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        (("0,cat|dog,", "0,fox|cat,"), {}, r"line 3: 0 is labeled 'cat\|fox', but 'cat\|dog' on"),
        (("0,cat|?cat|dog,",), {}, "line 2: 'cat' is marked as present and as not known"),
        (("0,cat|cow,",), PETS, r"line 2: the label 'cow' is not among .*'cat', 'dog'"),
        (
            ("0,cat|dog,",),
            PETS | {"task": SingleLabel()},
            r"line 2: 0 has several labels .* one label an image",
        ),
        (("0,|,", "1,|,"), {}, "names no label that is present"),
        (("0,,",), {"task": MultiLabel()}, "labels no image"),
    ],
)
def test_tables_that_contradict_themselves_or_the_model_are_refused(
    tmp_path, images, rows, settings, message
):
    with pytest.raises(LabelError, match=message):
        read(tmp_path, images, *rows, **settings)


def test_the_audit_is_not_trained_on(tmp_path, images):
    labels = read(tmp_path, images, "0,cat|dog,train", "1,cat|,audit", "2,,audit")
    assert labels.audit.tolist() == [1]
    assert labels.training_y[1].tolist() == [-1, -1]
    assert not labels.is_random
    assert read(tmp_path, images, "0,cat|dog,random", "1,cat|,audit").is_random


@pytest.mark.parametrize("seed", range(3))
def test_texts_say_all_that_a_table_says(seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(-1, 2, (60, 4)).astype(np.int8)
    classes = ("a b", "ä", "x", "y?")
    texts = _label_texts(y, classes)
    back, _ = _label_table(texts, ["here"] * len(texts), classes)
    np.testing.assert_array_equal(back, y)


def test_a_model_of_one_label_refuses_sources_with_several():
    images = image_set_from_array(np.zeros((2, 4, 4)), y=["cat|dog", "cat"])
    with pytest.raises(LabelError, match="0 has several labels"):
        labels_from_truth(images, **PETS, task=SingleLabel())
    assert labels_from_truth(images, **PETS, task=MultiLabel()).y.tolist() == [[1, 1], [1, 0]]


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


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("caf\u00e9", "cafe\u0301"),
        ("cat", " cat\u00a0"),
        ("cat", "\ufeffcat\u200b"),
        ("hot dog", "hot\u00a0dog"),
        ("cat", "\u202acat\u202c"),
        ("cat", "c\u034fat\a"),
        ("\u2764", "\u2764\ufe0f"),
        ("\u212bngstr\u00f6m", "\u00c5ngstro\u0308m"),
        ("\u0645\u06cc\u200c\u0634\u0648\u062f", "\u0645\u06cc\u200c\u0634\u0648\u062f\u200c"),
    ],
)
def test_what_reads_the_same_is_one_class(save_photo, tmp_path, one, other):
    assert len(set(_label_cells([one, other], "labels.csv"))) == 1
    assert len(set(_label_cells([f"{one}|dog", f"{other}|dog"], "labels.csv"))) == 1
    for k, name in enumerate((one, other, "dog")):
        save_photo(f"tree/{name}/{k}.png")
    assert len(labels_from_truth(load_images(tmp_path / "tree")).classes) == 2
    # A model knows the name as it was when it was trained.
    images = image_set_from_array(np.zeros((1, 2, 2)), [other])
    assert labels_from_truth(images, ["dog", one]).y.tolist() == [1]
    assert labels_from_truth(images, ["dog", other]).y.tolist() == [1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Cat", "cat"),
        ("hot dog", "hot_dog"),
        ("hot-dog", "hotdog"),
        ("hot  dog", "hot dog"),
        ("class 1", "class_1"),
        ("1", "01"),
        ("1", "1e0"),
        ("t-shirt", "t\u2011shirt"),
        ("a_b", "a\u2011b"),
        ("cat", "\u0441\u0430t"),
        ("baker\u2019s", "baker's"),
    ],
)
def test_what_looks_alike_is_warned_of_with_both_counts(one, other):
    message = rf"look alike .*: '{one}' \(2\) and \"?'?{other}'?\"? \(1\)"
    with pytest.warns(UserWarning, match=message):
        assert _label_cells([one, other, one, "dog"], "labels.csv") == [one, other, one, "dog"]
    with pytest.warns(UserWarning, match=rf"'{one}' \(1\) and"):
        _label_cells([f"{one}|{other}"], "labels.csv")


@pytest.mark.parametrize("names", [("1-1", "11"), ("+1", "2"), ("c", "c++"), ("1.5", "15")])
def test_other_names_are_not(names):
    assert _label_cells(names, "labels.csv") == list(names)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["0.0", "1", "0", "0.0"], ["0", "1", "0", "0"]),
        (["1.0", "1.", "2", ""], ["1.", "1.", "2", ""]),
        (["1,0", "1", "0|1,0"], ["1", "1", "0|1"]),
    ],
)
def test_a_number_written_in_two_ways_is_one_class(texts, expected):
    with pytest.warns(UserWarning, match="numbers written in two ways are one class: '[01]"):
        assert _label_cells(texts, "labels.csv") == expected


def test_numbers_beside_names_stay_as_they_are():
    with pytest.warns(UserWarning, match=r"look alike .*: '1' \(1\) and '1.0' \(1\)"):
        assert _label_cells(["1", "1.0", "cat"], "labels.csv") == ["1", "1.0", "cat"]


@pytest.mark.parametrize(
    ("label", "classes", "meant"),
    [("0", ["0.0", "1.0"], "0.0"), ("1.0", ["0", "1"], "1"), ("CAT", ["cat", "dog"], "cat")],
)
def test_an_unknown_label_is_told_from_what_looks_like_it(tmp_path, label, classes, meant):
    table = tmp_path / "labels.csv"
    table.write_text(f"index,label\n0,{label}\n", "utf-8")
    images = image_set_from_array(np.zeros((1, 2, 2)))
    with pytest.raises(LabelError, match=f"line 2: the label '{label}' .* did you mean '{meant}'"):
        read_labels(table, images, classes=classes, min_classes=1)


@pytest.mark.parametrize(
    ("text", "expected"), [("cat|nan", "cat|"), ("nan|NaN", ""), ("|", "|"), ("cat|?None", "cat|")]
)
def test_words_between_bars_are_left_out(text, expected):
    cells = ["cat|?", text]
    if text == "|":
        assert _label_cells(cells, "labels.csv") == cells
        return
    with pytest.warns(UserWarning, match="taken as unlabeled"):
        assert _label_cells(cells, "labels.csv") == ["cat|?", expected]
