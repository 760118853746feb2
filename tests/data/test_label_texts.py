"""Several labels an image: in tables, in arrays, and in what sources carry."""

import numpy as np
import pytest

from fewlabel.data import (
    Labels,
    MultiLabel,
    SingleLabel,
    image_set_from_array,
    labels_from_truth,
    load_images,
    read_labels,
)
from fewlabel.data.label_texts import label_table, label_texts
from fewlabel.errors import DataError, LabelError


@pytest.fixture
def images():
    return image_set_from_array(np.zeros((5, 4, 4), np.uint8))


def read(tmp_path, images, *rows, **settings):
    table = tmp_path / "labels.csv"
    table.write_text("index,label,purpose\n" + "".join(f"{row}\n" for row in rows), "utf-8")
    return read_labels(table, images, **settings)


def test_a_bar_makes_a_table_of_several_labels(tmp_path, images):
    rows = ("0,cat|dog,", "1,dog,", "2,|,", "3,cat|?dog,", "4,,")
    labels = read(tmp_path, images, *rows)
    assert labels.task == MultiLabel()
    assert labels.classes == ("cat", "dog")
    assert labels.y.tolist() == [[1, 1], [0, 1], [0, 0], [1, -1], [-1, -1]]
    assert labels.labeled.tolist() == [0, 1, 2, 3]
    assert labels.n_labeled == 4


def test_a_trailing_bar_says_that_there_could_be_more(tmp_path, images):
    labels = read(tmp_path, images, "0,cat|,", "1,dog,")
    assert labels.task == MultiLabel()
    assert labels.y[:2].tolist() == [[1, 0], [0, 1]]
    assert isinstance(read(tmp_path, images, "0,cat,", "1,dog,"), Labels)


def test_nothing_but_what_is_named_is_known(tmp_path, images):
    labels = read(tmp_path, images, "0,cat|?,", "1,dog|fox,")
    assert labels.y[0].tolist() == [1, -1, -1]


def test_order_and_blanks_do_not_matter_but_contradictions_do(tmp_path, images):
    labels = read(tmp_path, images, "0, dog | cat ,", "0,cat|dog|cat,", "1,cat|,")
    assert labels.y[0].tolist() == [1, 1]
    with pytest.raises(LabelError, match=r"line 3: 0 is labelled 'cat\|fox', but 'cat\|dog' on"):
        read(tmp_path, images, "0,cat|dog,", "0,fox|cat,")
    with pytest.raises(LabelError, match="line 2: 'cat' is said to be present and not to be known"):
        read(tmp_path, images, "0,cat|?cat|dog,")


def test_labels_that_the_model_does_not_know_are_named(tmp_path, images):
    with pytest.raises(LabelError, match=r"line 2: the label 'cow' is not among .*'cat', 'dog'"):
        read(tmp_path, images, "0,cat|cow,", classes=("cat", "dog"))


def test_a_model_says_whether_there_may_be_several(tmp_path, images):
    several = read(tmp_path, images, "0,cat,", classes=("cat", "dog"), task=MultiLabel())
    assert several.y[0].tolist() == [1, 0]
    with pytest.raises(LabelError, match=r"line 2: 0 has several labels .* one label an image"):
        read(tmp_path, images, "0,cat|dog,", classes=("cat", "dog"), task=SingleLabel())


def test_a_table_without_any_label_present_teaches_nothing(tmp_path, images):
    with pytest.raises(LabelError, match="names no label that is present"):
        read(tmp_path, images, "0,|,", "1,|,")
    with pytest.raises(LabelError, match="labels no image"):
        read(tmp_path, images, "0,,", task=MultiLabel())


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
    texts = label_texts(y, classes)
    back, _ = label_table(texts, ["here"] * len(texts), classes)
    np.testing.assert_array_equal(back, y)


def test_a_table_in_a_file_of_arrays(tmp_path):
    X = np.zeros((3, 4, 4), np.uint8)
    np.savez(tmp_path / "a.npz", X=X, y=[[1, 0], [-1, -1], [0, 1]], classes=["cat", "dog"])
    labels = labels_from_truth(load_images(tmp_path / "a.npz"))
    assert labels.task == MultiLabel()
    assert labels.y.tolist() == [[1, 0], [-1, -1], [0, 1]]
    assert labels.classes == ("cat", "dog")


def test_columns_without_names_get_their_numbers():
    images = image_set_from_array(np.zeros((2, 4, 4)), y=np.array([[1.0, np.nan], [1, 1]]))
    assert labels_from_truth(images).y.tolist() == [[1, -1], [1, 1]]
    assert labels_from_truth(images).classes == ("0", "1")


@pytest.mark.parametrize(
    ("y", "classes"),
    [([[1, 2]], None), ([[1, 0], [0, 1]], None), ([[1, 0]], ["one"]), ([["a", "b"]], None)],
)
def test_other_tables_are_refused(y, classes):
    with pytest.raises(DataError, match=r"\(1, K\) with 1, 0 and -1"):
        image_set_from_array(np.zeros((1, 4, 4)), y=np.array(y), classes=classes)


def test_a_model_of_one_label_refuses_sources_with_several():
    images = image_set_from_array(np.zeros((2, 4, 4)), y=["cat|dog", "cat"])
    with pytest.raises(LabelError, match="0 has several labels"):
        labels_from_truth(images, ("cat", "dog"), task=SingleLabel())
    assert labels_from_truth(images, ("cat", "dog"), task=MultiLabel()).y.tolist() == [
        [1, 1],
        [1, 0],
    ]


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["a|b", "c"], r"label called 'a\|b'"),
        (["?b", "c"], r"label called '\?b'"),
        (["", "c"], "label called ''"),
        (["c ", "d"], "label called 'c '"),
        (["c", "c"], "two labels called 'c'"),
    ],
)
def test_names_that_a_table_could_not_hold_are_refused(classes, message):
    with pytest.raises(DataError, match=message):
        image_set_from_array(np.zeros((2, 4, 4)), y=np.eye(2, dtype=int), classes=classes)


def test_a_label_that_no_image_has_keeps_its_column_and_its_place():
    y = np.array([[1, 0, 0], [0, 0, 1]])
    images = image_set_from_array(np.zeros((2, 4, 4)), y=y, classes=[b"odd", "never", "big"])
    labels = labels_from_truth(images.subset([1, 0]))
    assert labels.classes == ("odd", "never", "big")
    assert labels.y.tolist() == [[0, 0, 1], [1, 0, 0]]


def test_a_class_and_the_same_with_a_bar_are_one(tmp_path, images):
    labels = read(tmp_path, images, "0,cat,", "0,cat|,", "1,dog|cat,", "2,dog|,", "2,dog,")
    assert labels.y[:3].tolist() == [[1, 0], [1, 1], [0, 1]]
