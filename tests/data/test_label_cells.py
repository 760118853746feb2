"""Names that look alike: one class where nobody sees a difference, else a warning."""

import numpy as np
import pytest

from fewlabel.data import image_set_from_array, labels_from_truth, load_images, read_labels
from fewlabel.data.label_texts import _label_cells
from fewlabel.errors import LabelError


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
