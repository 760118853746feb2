"""Several labels an image: in tables, in arrays, and in what sources carry."""

import numpy as np
import pytest

from fewlabel.data import (
    MultiLabel,
    SingleLabel,
    image_set_from_array,
    labels_from_truth,
    read_labels,
)
from fewlabel.data.label_texts import _label_table, _label_texts
from fewlabel.errors import LabelError

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
