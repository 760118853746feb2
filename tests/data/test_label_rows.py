import csv
import json

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
)
from fewlabel.data.label_names import _label_name
from fewlabel.errors import LabelError

NAMES = ("a.png", "b.png", "c.png")


@pytest.fixture
def photos(save_photo, tmp_path):
    """Make images in some folders; return the folder above."""

    def made(*folders):
        for folder in folders or ("",):
            for name in NAMES:
                save_photo(f"photos/{folder}/{name}")
        return tmp_path / "photos"

    return made


def lines(path, *rows, **names):
    keys = names or {"file_name": "file_name", "label": "label"}
    entries = [json.dumps(dict(zip(keys, row, strict=True))) for row in rows]
    path.write_text("\n".join(entries))
    return path


def test_metadata_of_an_image_folder(photos):
    root = photos()
    (root / "metadata.csv").write_text("file_name,label\na.png,cat\nb.png,dog\n")
    images = load_images(root)
    with pytest.warns(UserWarning, match="metadata.csv") as caught:
        labels = labels_from_truth(images)
    assert labels.names() == ["cat", "dog", ""]
    assert [str(w.message).split(str(root))[1] for w in caught] == [
        "/metadata.csv.",
        "/metadata.csv, line 1: took the column `file_name` as the path.",
    ]
    with pytest.warns(UserWarning, match="took the column `file_name`"):
        assert read_labels(root / "metadata.csv", images).names() == labels.names()


@pytest.mark.filterwarnings("ignore:.*took the column")
def test_metadata_in_the_folders_of_splits(photos):
    root = photos("train", "test")
    lines(root / "train/metadata.jsonl", ("a.png", "cat"), ("b.png", ["cat", "dog"]))
    lines(root / "test/metadata.jsonl", ("a.png", "dog"))
    images = load_images(root)
    with pytest.warns(UserWarning, match=r"The labels are those of .*metadata.jsonl\.$"):
        labels = labels_from_truth(images)
    found = {name: text for name, text in zip(images.names, labels.names(), strict=True) if text}
    assert found == {"train/a.png": "cat", "train/b.png": "cat|dog", "test/a.png": "dog"}
    table = root / "train/metadata.jsonl"
    assert read_labels(table, images).n_labeled == 2
    with pytest.warns(UserWarning, match="The labels are those of"):
        assert labels_from_truth(images.subset([3, 4])).names() == ["cat", "cat|dog"]


@pytest.mark.filterwarnings("ignore:.*took the column")
def test_metadata_beside_class_folders(photos):
    root = photos("cat", "dog")
    lines(root / "metadata.jsonl", ("cat/a.png", "tabby"), ("dog/a.png", "poodle"))
    with pytest.warns(UserWarning, match="metadata.jsonl, not the names of the folders"):
        assert labels_from_truth(load_images(root)).classes == ("poodle", "tabby")
    # Of one split with class folders in it.
    above = root.rename(root.with_name("train")).parent
    with pytest.warns(UserWarning, match="metadata.jsonl, not the names of the folders"):
        assert labels_from_truth(load_images(above)).classes == ("poodle", "tabby")
    root = root.with_name("train").rename(root)
    lines(root / "metadata.jsonl", ("cat/a.png", "a cat"), file_name=0, text=0)
    assert labels_from_truth(load_images(root)).classes == ("cat", "dog")
    (root / "metadata.jsonl").write_text('{"class": 0, "category": 1}')
    assert labels_from_truth(load_images(root)).classes == ("cat", "dog")


@pytest.mark.filterwarnings("ignore:.*(took the column|labels are those)")
def test_wrong_metadata_are_named(photos):
    root = photos()
    lines(root / "metadata.jsonl", ("a.png", "cat"), ("none.png", "dog"))
    with pytest.raises(LabelError, match=r"jsonl, line 2: none.png is not among the 3 images"):
        labels_from_truth(load_images(root))
    (root / "metadata.jsonl").write_text('{"class": 0, "category": 1}')
    with pytest.raises(LabelError, match="`class` and `category` may each be the label"):
        labels_from_truth(load_images(root))


def test_a_table_without_a_header(photos, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("a.png;cat\nb.png;dog\n")
    with pytest.raises(LabelError, match="names an image, so the header is missing: write `path,l"):
        read_labels(table, load_images(photos()))


def test_two_annotators(photos, tmp_path):
    rows = [{"image": "a.png", "choice": name, "annotation_id": 1} for name in ("cat", "dog")]
    (tmp_path / "min.json").write_text(json.dumps(rows))
    with (
        pytest.warns(UserWarning, match="took the column `image`"),
        pytest.raises(
            LabelError, match=r"record 2: a\.png is labeled 'dog', but 'cat' on record 1"
        ),
    ):
        read_labels(tmp_path / "min.json", load_images(photos()))


NAME = st.text(
    st.sampled_from("aé\u0301 ,;'\"\\%") | st.characters(codec="utf-8"), min_size=1, max_size=6
)
# They begin so that none is a number or a word for unlabeled.
LABEL = st.text(st.sampled_from("aé ,;'\"") | st.characters(codec="utf-8"), max_size=5).map(
    "é{}".format
)
LABEL = LABEL.filter(lambda text: not {"|", "\0"} & {*text} and _label_name(text) == text)


# Labels that are alike may be warned of.
@pytest.mark.filterwarnings("ignore")
@given(
    st.dictionaries(
        NAME.filter(lambda name: not {"/", "\0"} & {*name} and name[0] != "'").map("{}.png".format),
        st.lists(LABEL, max_size=3, unique=True),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(["csv", "json cells", "json"]),
    st.sampled_from(",;\t"),
)
@settings(max_examples=50, deadline=None)
def test_several_labels_come_back(tmp_path_factory, given_labels, form, separator):
    folder = tmp_path_factory.mktemp("tables")
    pixels = np.zeros((len(given_labels), 1, 1))
    store = image_set_from_array(pixels)._store
    images = ImageSet(store, names=list(given_labels), source="x", by_index=False)
    table = folder / "labels.csv"
    rows = [
        (
            name,
            json.dumps(labels, ensure_ascii=False)
            if form == "json cells"
            else "|".join(labels) or "|",
        )
        for name, labels in given_labels.items()
    ]
    if form == "json":
        entries = [{"path": name, "label": labels} for name, labels in given_labels.items()]
        table.write_text(json.dumps(entries))
    else:
        with table.open("w", encoding="utf-8-sig", newline="") as out:
            csv.writer(out, delimiter=separator).writerows([("path", "label"), *rows])
    if not any(given_labels.values()):
        return
    found = read_labels(table, images, min_classes=0).names()
    expected = [sorted(labels) for labels in given_labels.values()]
    assert [sorted({*text.split("|")} - {""}) for text in found] == expected
