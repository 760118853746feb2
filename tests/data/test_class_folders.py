import tempfile
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fewlabel.data import labels_from_truth, load_images
from fewlabel.data.class_folders import _folder_classes, _is_split
from fewlabel.errors import LabelError

SPLITS = ("train", "TRAIN", "train2017", "training_set", "testSet", "validation-images", "dev")
SPLITS += ("_unlabeled", "no_label", "not labeled", "NoLabel", "labelled", "non-labeled")
SPLITS += ("images_val", "hold-out", "1_train", "eval", "Unlabelled", "unlabeled data", "fold_3")


@pytest.mark.parametrize("name", SPLITS)
def test_names_of_splits(name):
    assert _is_split(name)


@pytest.mark.parametrize("name", ["trainer", "invalid", "contest", "x_train", "train station"])
def test_names_of_classes(name):
    assert not _is_split(name)


@pytest.mark.parametrize(
    ("names", "labels", "note"),
    [
        ("cat/1 cat/deep/2 dog/3", "cat cat dog", ""),
        ("train/cat/1 train/dog/2", "cat dog", ""),
        ("Train/cat/1 VAL/dog/2 test_set/dog/3", "cat dog dog", ""),
        ("train/images/cat/1 train/images/dog/2 val/images/cat/3", "cat dog cat", ""),
        ("fold1/train/cat/1 fold1/test/dog/2 fold2/train/cat/3", "cat dog cat", ""),
        # Whatever is around the name, if it is the same around another one.
        ("seg_train/seg_train/sea/1 seg_test/seg_test/ice/2", "sea ice", ""),
        ("a/b/cat/1 a/b/dog/2", "cat dog", "All images lie in the folder a/b, so it is not"),
        (
            "zip/train/cat/1 zip/test/dog/2",
            "cat dog",
            "in the folder zip, so it is not",
        ),
        # The same classes, beside a split and in it.
        ("cat/1 dog/2 test/cat/3 test/dog/4", "cat dog cat dog", ""),
        ("train/cat/1 train/dog/2 more/cat/3", "cat dog cat", ""),
        ("train/cat/1 test/dog/2 samples/3", "cat dog -", "the 1 image(s) in samples count as"),
        ("train/cat/1 train/dog/2 test/3 test/4", "cat dog - -", "the 2 image(s) in test count"),
        ("cat/1 dog/2 test/3", "cat dog -", "The folder test is named like a split of the data"),
        ("cat/1 dog/2 unlabeled/batch/3", "cat dog -", ""),
        ("train/cat/1 train/dog/2 train/unlabeled/3", "cat dog -", ""),
        ("labeled/cat/1 labeled/dog/2 unlabeled/3", "cat dog -", ""),
        ("train/a/images/1 train/b/images/2 val/images/3", "a b -", "the 1 image(s) in val count"),
        ("train/a/1 train/b/2 test/test/3", "a b -", "the 1 image(s) in test count"),
        (
            "train/a/1 test/a/2 test/b/3 ground_truth/b/4",
            "a a b -",
            "the 1 image(s) in ground_truth",
        ),
        ("mask/1 no/2 test/mask/3 test/no/4", "mask no mask no", ""),
        ("train/bus/1 train/train/2 test/bus/3", "bus train bus", ""),
        (
            "site1/cat/1 site1/dog/2 site2/cat/3 site2/dog/4",
            "site1 site1 site2 site2",
            "cat, dog lie",
        ),
        ("cat/day/1 dog/day/2", "cat dog", ""),
        ("valid/1 invalid/2", "valid invalid", ""),
        ("train_a/1 train_b/2 val_a/3", "train_a train_b val_a", "train_a, val_a are taken for"),
        ("cat/1 cat/2", "cat cat", ""),
        ("cat/deep/1", "cat", ""),
    ],
)
def test_classes_of_trees(names, labels, note):
    found = _folder_classes(names.split())
    assert found.labels == [label.strip("-") for label in labels.split()]
    assert len(found.notes) == bool(note)
    assert note in "".join(found.notes)


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ("1 2", ""),
        ("train/1 train/2", "the folder train holds no class folders"),
        ("cat/1 dog/2 cover", "cover lies in no class folder"),
        ("zip/cat/1 zip/dog/2 zip/cover", "zip/cover lies in no class folder"),
        ("train/cat/1 train/dog/2 train/cover", "train/cover lies in no class folder"),
        ("cat/1 dog/2 a b c d", "4 of 6 images, such as a, b, c and 1 more lie in no class folder"),
        (
            "train/train/1 test/test/2",
            "folders named like splits of the data (test, train) hold no",
        ),
        (
            "train/images/1 test/images/2",
            "folders named like splits of the data (test, train) hold",
        ),
        ("train/1 test/2", "folders named like splits of the data (test, train) hold no class"),
    ],
)
def test_why_there_are_no_classes(names, why):
    found = _folder_classes(names.split())
    assert found.labels is None
    assert why in "".join(found.notes)
    assert len(found.notes) == bool(why)


def test_empty_folders_are_named():
    folders = ["cat", "bird", "cat/deep", "empty/deep", "empty"]
    assert _folder_classes(["cat/1", "dog/2"], folders).notes == (
        "Folders without an image that can be read are no classes: bird, empty.",
    )
    split = _folder_classes(["one/cat/1", "one/dog/2"], ["one/cat", "one/cow"], split="one")
    assert split.labels == ["cat", "dog"]
    assert split.notes[0].endswith("cow.")


CLASS = st.sampled_from(["cat", "dog", "Caf\u00e9", "\u65e5\u672c", "a b", "x1", "trains"])
SPLIT = st.sampled_from(["train", "Test", "val2017", "training_set", "valid images", "hold_out"])


@settings(max_examples=40, deadline=None)
@given(
    classes=st.lists(CLASS, min_size=2, max_size=3, unique=True),
    splits=st.lists(SPLIT, max_size=3, unique=True),
    wrappers=st.lists(st.sampled_from(["archive", "my photos", "\u00fcber"]), max_size=2),
    deeper=st.sampled_from(["", "session 1/", "train/"]),
    beside=st.sampled_from(["", "stray", "empty", "unlabeled", "hidden"]),
)
def test_trees_read_back(classes, splits, wrappers, deeper, beside):
    files = {}
    for split in splits or [""]:
        for name in classes:
            files["/".join(filter(None, (*wrappers, split, name, f"{deeper}{name}.png")))] = name
    top = "".join(f"{wrapper}/" for wrapper in wrappers)
    if beside == "unlabeled":
        files[f"{top}unlabeled/new.png"] = ""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        hidden = ["__MACOSX", "@eaDir", ".ipynb_checkpoints"] if beside == "hidden" else []
        junk = [f"{name}/x/y.png" for name in hidden] + [f"{top}c.png"] * (beside == "stray")
        for file in (*files, *junk):
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (2, 2)).save(root / file)
        if beside == "empty":
            (root / top / (splits or [""])[0] / "empty class").mkdir(parents=True)
        images = load_images(root)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if beside == "stray":
                with pytest.raises(LabelError, match=r"since .*c\.png lies in no class folder"):
                    labels_from_truth(images)
                return
            labels = labels_from_truth(images)
        assert dict(zip(images.names, labels.names(), strict=True)) == files
        texts = " ".join(str(warning.message) for warning in caught)
        assert ("so it is not taken" in texts) == bool(wrappers)
        assert ("no classes: empty class" in texts) == (beside == "empty")
