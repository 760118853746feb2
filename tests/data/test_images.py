import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fewlabel.data import image_set_from_array, labels_of, load_images, read_labels
from fewlabel.errors import DataError, LabelError, UsageError


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("no/such/folder", "no/such/folder does not exist, and the benchmarks are digits"),
        ("fashion_mnist", "did you mean 'fashion-mnist'"),
        ("digits:val", "digits has the splits train, test. Got 'val'"),
        ("nothing:train", "nothing:train does not exist"),
        ("x" * 5000, "does not exist"),
        ("nul\0byte", "does not exist"),
    ],
)
def test_a_source_that_is_not_there(source, message):
    with pytest.raises(DataError, match=message):
        load_images(source)


def test_one_file(save_photo, tmp_path):
    images = load_images(save_photo("deep/a.png"))
    assert images.names == ("a.png",)
    assert images.truth is None
    (tmp_path / "a.txt").touch()
    with pytest.raises(DataError, match=r"a.txt is of no known form: give a folder"):
        load_images(tmp_path / "a.txt")
    np.savez(tmp_path / "a.npz", X=np.zeros((1, 2, 2)))
    with pytest.raises(DataError, match="is one file and has no split 'train'"):
        load_images(tmp_path / "a.npz", split="train")


def test_a_path_comes_before_a_benchmark_and_home_is_expanded(save_photo, tmp_path, monkeypatch):
    save_photo("digits/a.png")
    assert load_images("digits:test").source == "digits:test"
    monkeypatch.chdir(tmp_path)
    assert load_images("digits").names == ("a.png",)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert load_images("~/digits").names == ("a.png",)


@pytest.fixture
def photos(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 4), np.uint8)
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    return tmp_path, pixels, [str(tmp_path / f"{i}.png") for i in range(6)]


class Frame(dict):
    """A data frame of a library that is not pandas."""

    columns = property(list)


FORMS = {
    "list": list,
    "tuple": tuple,
    "Path": lambda paths: [Path(p) for p in paths],
    "array": np.array,
    "objects": lambda paths: np.array([Path(p) for p in paths], object),
    "Series": lambda paths: pd.Series(paths, index=range(10, 10 + len(paths))),
    "DataFrame": lambda paths: pd.DataFrame({"size": 1, "path": paths}),
    "other frame": lambda paths: Frame(path=paths),
    "pixels": lambda paths: np.stack([np.asarray(Image.open(p)) for p in paths]),
    "list of pixels": lambda paths: [np.asarray(Image.open(p)) for p in paths],
    "Pillow": lambda paths: [Image.open(p) for p in paths],
    "ImageSet": load_images,
}


@pytest.mark.parametrize("form", FORMS)
def test_images_of_every_form_stay_in_their_order(form, photos):
    _, pixels, paths = photos
    # Not sorted, and one of them twice.
    order = [4, 0, 5, 0, 2]
    images = load_images(FORMS[form]([paths[i] for i in order]))
    np.testing.assert_array_equal(images.read(slice(None))[..., 0], pixels[order])
    assert images.content_groups().tolist() == [0, 1, 2, 1, 3]
    assert load_images(images) is images
    np.testing.assert_array_equal(
        images[np.array([3, 0]), ...].read([0, 1])[..., 0], pixels[[0, 4]]
    )
    assert images.shape == (5,)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: [str(folder / "0.png"), str(folder / "9.png")], "1 of 2 paths name no fil"),
        (lambda folder: [str(folder / "0.png"), None], "The path in row 1 is None"),
        (lambda folder: [str(folder / "0.png"), ""], "The path in row 1 is ''"),
        (lambda folder: [folder / "0.png", folder / "bad.png"], r"1 of 2 .*bad.png.*: leave their"),
        (lambda folder: [], "Images are taken as a path .* Got list instead"),
        (lambda folder: {"path": [folder / "0.png"]}, "Got dict instead"),
        (lambda folder: 7, "Images are taken as a path .* Got int instead"),
        (lambda folder: [object()], "Got list of 1 object instead"),
        (lambda folder: [np.zeros((2, 3)), np.zeros((3, 3))], "Got list of 2 ndarray instead"),
        (lambda folder: np.zeros((3, 4)), "must have shape"),
        (lambda folder: pd.DataFrame({"x": [1]}), "data frame, its columns: .* no column `path`"),
    ],
)  # fmt: skip
def test_what_is_no_image_is_refused_with_what_is_taken(make, message, photos):
    (photos[0] / "bad.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match=message):
        load_images(make(photos[0]))


SINGLE = ["cat", "", "dog", "", "cat", ""]
MISSING = [None, float("nan"), pd.NA, -1, "-1"]


@pytest.mark.parametrize("missing", MISSING, ids=repr)
@pytest.mark.parametrize("form", [list, np.array, pd.Series, "DataFrame", "label column"])
def test_labels_of_every_form_mean_the_same(form, missing, photos):
    values = [label or missing for label in SINGLE]
    images = load_images(photos[2])
    if form == "DataFrame":
        # Backwards: the names of the images count.
        y = pd.DataFrame({"label": values[::-1], "path": images.names[::-1]})
        by_name = read_labels(y, photos[2])
        assert (by_name.names(), by_name.source) == (SINGLE, "the data frame")
    elif form == "label column":
        y, images = None, load_images(pd.DataFrame({"path": photos[2], "label": values}))
    else:
        y = np.array(values, object) if form is np.array else form(values)
    labels, classes = labels_of(y, images, "Example")
    assert (labels.names(), classes.tolist()) == (SINGLE, ["cat", "dog"])
    assert labels_of(labels, images, "Example")[0] is labels


TABLE = np.array([[1, 1], [1, 0], [0, 0], [-1, -1], [0, 1], [1, 1]])


@pytest.mark.parametrize(
    "y",
    [
        TABLE,
        pd.DataFrame(TABLE, columns=["cat", "dog"]),
        [["cat", "dog"], ["cat"], [], None, ("dog",), {"dog", "cat"}],
        ["cat|dog", "cat|", "|", "", "dog|", "dog|cat"],
        pd.Series(["cat|dog", "cat|", "|", None, "dog|", "dog|cat"]),
    ],
    ids=["table", "frame", "lists", "texts", "Series"],
)
def test_several_labels_of_every_form_mean_the_same(y, photos):
    images = load_images(photos[2])
    labels, classes = labels_of(y, images, "Example")
    np.testing.assert_array_equal(labels.y, TABLE)
    assert classes.tolist() in (["cat", "dog"], [0, 1])
    known, _ = labels_of(y, images, "Example", task=labels.task, classes=classes)
    np.testing.assert_array_equal(known.y, TABLE)


def test_numbers_stay_numbers_and_others_than_a_model_knows_are_wrong(photos):
    images = load_images(photos[1])
    labels, classes = labels_of(pd.Series([3, 10, None, 3, None, 3]), images, "Example")
    assert (classes.tolist(), labels.classes) == ([3, 10], ("3", "10"))
    assert labels.y.tolist() == [0, 1, -1, 0, -1, 0]
    other, _ = labels_of([3, 4, -1, 3, 3, 10], images, "E", task=labels.task, classes=classes)
    assert other.y.tolist() == [0, 2, -1, 0, 0, 1]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "Example requires y to be passed"),
        (["cat", "dog"], "Example needs one label an image. Got 2 labels for 6 images"),
        (["cat|dog", ""], "Example needs one label an image. Got 2 labels for 6 images"),
        ([["a|b"]] + [[]] * 5, "is no label: give texts without a bar"),
        ([1, "cat", -1, -1, -1, -1], "must be all numbers or all texts"),
        ("no.csv", "no.csv does not exist"),
        (3, "Example takes labels as an array or a list .* Got int instead"),
        ({"path": ["0.png"]}, "Example takes labels as .* Got dict instead"),
    ],
)
def test_labels_that_do_not_fit_are_refused(y, message, photos):
    with pytest.raises(UsageError, match=message):
        labels_of(y, load_images(photos[1]), "Example")


def test_a_table_of_labels_is_a_file_or_a_data_frame():
    images = image_set_from_array(np.zeros((2, 3, 3)))
    with pytest.raises(LabelError, match=r"taken as the path of a file or as a data frame .* Got"):
        read_labels(["cat", "dog"], images)
    frame = pd.DataFrame({"index": [1, 0], "label": [["cat", "dog"], ["cat"]]})
    assert read_labels(frame, images).names() == ["cat", "cat|dog"]
    with pytest.raises(LabelError, match=re.escape("the data frame, row 1: the index 7 is out")):
        read_labels(pd.DataFrame({"index": [1, 7], "label": ["cat", "dog"]}), images)
