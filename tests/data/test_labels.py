import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewlabel.data import (
    ImageSet,
    image_set_from_array,
    labels_from_truth,
    load_images,
    read_labels,
    write_labels,
)
from fewlabel.errors import LabelError


@pytest.fixture
def photos(save_photo, tmp_path):
    for name in ("a.png", "b.png", "sub/c.png", "sub/café.png"):
        save_photo(f"photos/{name}")
    (tmp_path / "photos" / "bad.png").touch()
    return load_images(tmp_path / "photos")


@pytest.fixture
def arrays():
    return image_set_from_array(np.zeros((5, 2, 2)), source="X.npz")


def table(tmp_path, text):
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_labels_line_up_with_the_images(photos, tmp_path):
    text = "path,label\nsub/c.png,dog\na.png, cat \nb.png,\n"
    labels = read_labels(table(tmp_path, text), photos)
    assert labels.classes == ("cat", "dog")
    assert labels.names() == ["cat", "", "dog", ""]
    assert labels.y.dtype == np.int64
    assert labels.labeled.tolist() == [0, 2]


@pytest.mark.parametrize("name", ["sub\\c.png", "./sub/c.png", " sub/c.png ", "sub//c.png"])
def test_paths_may_be_spelled_differently(photos, tmp_path, name):
    # The same label twice is fine, and accents may be decomposed.
    text = f"path,label\n{name},dog\nsub/cafe\u0301.png,cat\nsub/c.png,dog\nsub/c.png,\n"
    assert read_labels(table(tmp_path, text), photos).names() == ["", "", "dog", "cat"]


def test_names_with_a_backslash_are_matched_as_they_are(save_photo, tmp_path):
    save_photo("p/a\\b.png")
    save_photo("p/a/b.png")
    images = load_images(tmp_path / "p")
    assert images.names == ("a/b.png", "a\\b.png")
    labels = read_labels(table(tmp_path, "path,label\na\\b.png,cat\na/b.png,dog\n"), images)
    assert labels.names() == ["dog", "cat"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\na.png,cat\nnone.png,dog\n", "line 3: none.png is not among the 4 images"),
        ("path,label\na.png,cat\nc.png,dog\n", r"line 3: c.png .* did you mean sub/c.png\?"),
        ("path,label\na.pgn,cat\n", r"line 2: a.pgn .* did you mean a.png\?"),
        ("path,label\nzzz,cat\n", r"paths are relative to it, such as a.png"),
        ("path,label\n,cat\n", "line 2: the path is blank"),
        (
            "path,label\na.png,cat\nb.png,dog\n./a.png,dog\n",
            "line 4: ./a.png is labeled 'dog', but 'cat' on line 2: keep one of them",
        ),
        (
            "path,label\nb.png,cat\na.png,cat\n",
            "line 2: all 2 labels are 'cat', but at least 2 classes are needed",
        ),
        ("path,label\na.png,\n", "labels no image: fill in the column `label`"),
        ("index,label\n0,cat\n", "line 1: the header has no column `path`"),
    ],
)
def test_wrong_tables_are_named(photos, tmp_path, text, message):
    with pytest.raises(LabelError, match=rf"labels\.csv.*{message}"):
        read_labels(table(tmp_path, text), photos)
    with pytest.raises(LabelError, match="is a folder: give a label table"):
        read_labels(tmp_path, photos)


def test_labels_of_unreadable_files_are_dropped_aloud(photos, tmp_path):
    path = table(tmp_path, "path,label\nbad.png,cat\na.png,cat\nb.png,dog\n")
    with pytest.warns(UserWarning, match=r"1 label\(s\) are not used.*bad.png \(line 2\)"):
        labels = read_labels(path, photos)
    assert labels.n_labeled == 2
    read_labels(table(tmp_path, "path,label\nbad.png,\na.png,cat\nb.png,dog\n"), photos)


def test_one_class_is_enough_to_evaluate(photos, tmp_path):
    path = table(tmp_path, "path,label\na.png,dog\n")
    assert read_labels(path, photos, min_classes=1).classes == ("dog",)
    known = read_labels(path, photos, min_classes=1, classes=("cat", "dog"))
    assert known.y[0] == 1
    with pytest.raises(LabelError, match=r"line 2: the label 'dog' is not among .*'dig'"):
        read_labels(path, photos, min_classes=1, classes=("dig", "cat"))
    blank = table(tmp_path, "path,label\na.png,\n")
    assert read_labels(blank, photos, min_classes=0).n_labeled == 0


def test_indices_of_a_subset_are_those_of_the_whole(arrays, tmp_path):
    path = table(tmp_path, "index,label\n4,dog\n 0 ,cat\n2.0,dog\n")
    assert read_labels(path, arrays).y.tolist() == [0, -1, 1, -1, 1]
    assert read_labels(path, arrays.subset([4, 0, 2])).y.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("index,label\n0,cat\n5,dog\n", "line 3: the index 5 is out of range; X.npz has .* 0 to 4"),
        ("index,label\n-1,cat\n", "line 2: the index -1 is out of range"),
        *[
            (f"index,label\n{index},cat\n", f"line 2: the index '{index}' is not a whole number")
            for index in ("1.5", "x", "inf", "nan")
        ],
        ("path,label\n1,cat\n", "line 1: the header has no column `index`"),
        ("index,label\n1,cat\n1.0,dog\n", "line 3: 1.0 is labeled 'dog', but 'cat' on line 2"),
    ],
)
def test_wrong_indices_are_named(arrays, tmp_path, text, message):
    with pytest.raises(LabelError, match=message):
        read_labels(table(tmp_path, text), arrays)


NAME = st.text(st.characters(codec="utf-8", exclude_characters="\0/\\"), min_size=1, max_size=8)
LABEL = st.sampled_from(["", "cat", 'a "b", c', "two\nlines", "x;y"])


@given(st.dictionaries(NAME.map(lambda n: f"{n}.png"), LABEL, min_size=1, max_size=6))
@settings(max_examples=50, deadline=None)
def test_round_trip(tmp_path_factory, given_labels):
    store = image_set_from_array(np.zeros((len(given_labels), 1, 1)))._store
    images = ImageSet(store, names=list(given_labels), source="x", by_index=False)
    path = tmp_path_factory.mktemp("tables") / "labels.csv"
    write_labels(path, images.names, list(given_labels.values()), by_index=False)
    assert read_labels(path, images, min_classes=0).names() == list(given_labels.values())


def test_truth_becomes_labels():
    images = image_set_from_array(np.zeros((3, 2, 2)), ["b", "", "a"])
    labels = labels_from_truth(images)
    assert labels.classes == ("a", "b")
    assert labels.y.tolist() == [1, -1, 0]
    assert labels_from_truth(images, ["b", "z", "a"]).y.tolist() == [0, -1, 2]
    with pytest.raises(LabelError, match="0: the label 'b' is not among the classes 'a'"):
        labels_from_truth(images, ["a"])
    for y in (None, ["", ""]):
        bare = image_set_from_array(np.zeros((2, 2, 2)), y, source="X.npz")
        with pytest.raises(LabelError, match=r"X.npz carries no labels: give a label table"):
            labels_from_truth(bare)
