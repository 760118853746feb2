import json
import shutil

import numpy as np
import pytest
from PIL import Image

from fewlabel.data import (
    Labels,
    image_set_from_array,
    labels_from_truth,
    load_images,
    read_labels,
)
from fewlabel.errors import LabelError, RunFolderError, StorageError, UsageError
from fewlabel.labelling.exchange import export_labels, import_labels
from fewlabel.labelling.store import Answer, open_store
from tests.labelling.conftest import draw, noise

ONE = [Answer(0, ("cat",)), Answer(1, ("dög",)), Answer(3, ("cat",)), Answer(4, None)]
SEVERAL = [Answer(0, ("cat", "dog")), Answer(1, ("dog",)), Answer(2, ()), Answer(3, ("a", "b"))]


@pytest.mark.parametrize("kind", ["csv", "folders", "label-studio", "coco"])
@pytest.mark.parametrize("answers", [ONE, SEVERAL], ids=["one", "several"])
def test_labels_come_back_as_they_were(kind, answers, images, table, tmp_path):
    several = answers is SEVERAL
    out = tmp_path / {"csv": "out.csv", "folders": "out"}.get(kind, "out.json")
    with open_store(images, table, several=several) as store:
        store.add(answers)
        expected = store.current()
        if kind == "folders" and several:
            with pytest.raises(UsageError, match="lies in no one folder"):
                export_labels(store, out, kind)
            return
        if several and kind != "csv":
            # That an image has none of the labels is nothing that these forms can say.
            del expected[2]
            with pytest.warns(UserWarning, match=r"leaves out 1 image\(s\)"):
                export_labels(store, out, kind)
        else:
            export_labels(store, out, kind)
        assert import_labels(store, out) == 0
    with open_store(images, tmp_path / "new.csv", several=several) as new:
        assert import_labels(new, out) == len(expected)
        assert new.current() == expected
        assert {a.origin for a in new.history(0)} == {"import"}
        assert import_labels(new, out) == 0


def test_a_csv_keeps_why_images_were_chosen(images, table, tmp_path):
    with open_store(images, table) as store:
        store.ask([1, 2], ["audit", "random"])
        store.add([Answer(1, ("cat",)), Answer(0, ("dog",))])
        export_labels(store, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == (
        'path,label,purpose\na.png,dog,""\nb.png,cat,audit\n'
    )
    with open_store(images, tmp_path / "new.csv") as new:
        import_labels(new, tmp_path / "out.csv")
        assert new.purposes() == {1: "audit"}


NAMES = [
    "one/a.png",
    "two/A.png",
    "three/CON.png",
    "three/what?.png",
    "four/x. .png",
    "four/" + "x" * 200 + ".png",
]


def test_folders_have_names_for_every_system_and_keep_classes(tmp_path):
    images = draw(tmp_path / "photos", NAMES)
    before = {path: path.read_bytes() for path in (tmp_path / "photos").rglob("*.png")}
    classes = tuple(sorted(["../../up", "aux", "a:b", "a?b", "train", "x" * 150]))
    labels = Labels(np.arange(6), classes)
    export_labels(labels, tmp_path / "out", "folders", images=images)
    assert before == {path: path.read_bytes() for path in before}
    assert not (tmp_path / "up").exists()
    made = [p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.png")]
    assert len({name.casefold() for name in made}) == 6
    for name in made:
        for part in name.split("/"):
            assert not set('<>:"\\|?*') & set(part)
            assert len(part.encode()) <= 130
            assert part == part.strip(" .")
            assert part.split(".")[0].casefold() not in ("con", "aux")
    tree = load_images(tmp_path / "out")
    with pytest.warns(UserWarning, match=r"metadata\.csv"):
        back = labels_from_truth(tree)
    digests = dict(zip(images.content_digests(), labels.names(), strict=True))
    assert dict(zip(tree.content_digests(), back.names(), strict=True)) == digests


@pytest.mark.parametrize("link", [True, False])
def test_folders_hold_links_or_copies(link, images, table, tmp_path):
    with open_store(images, table) as store:
        store.add(ONE)
        export_labels(store, tmp_path / "out", "folders", link=link)
    one, two = tmp_path / "photos" / "a.png", tmp_path / "out" / "cat" / "a.png"
    assert one.samefile(two) == link
    assert one.read_bytes() == two.read_bytes()
    assert not (tmp_path / "out" / "metadata.csv").exists()
    assert len(load_images(tmp_path / "out")) == 3
    with pytest.raises(RunFolderError, match="exists already"):
        export_labels(Labels(np.zeros(6, int), ("a",)), tmp_path / "out", "folders", images=images)


def test_folders_hold_several_labels_only_where_each_image_has_one(images, table, tmp_path):
    with open_store(images, table, several=True) as store:
        store.add([Answer(0, ("cat",)), Answer(1, ("dog",)), Answer(2, ("dog",))])
        export_labels(store, tmp_path / "out", "folders")
        assert (tmp_path / "out" / "dog" / "b.png").exists()
        for names in ((), ("?cat",), ("cat", "?dog")):
            store.add([Answer(1, names)])
            with pytest.raises(UsageError, match="lies in no one folder"):
                export_labels(store, tmp_path / "new", "folders")


def test_arrays_become_files(table, tmp_path):
    images = image_set_from_array(noise(4))
    with open_store(images, table) as store:
        store.add([Answer(2, ("cat",)), Answer(3, ("dog",))])
        export_labels(store, tmp_path / "out", "folders")
        pixels = np.asarray(Image.open(tmp_path / "out" / "cat" / "2.png"))
        assert (pixels == noise(4)[2]).all()
        with pytest.raises(UsageError, match="no image files"):
            export_labels(store, tmp_path / "out.json", "coco")


def test_coco_has_what_other_tools_ask_for(images, table, tmp_path):
    with open_store(images, table) as store:
        store.add(ONE)
        export_labels(store, tmp_path / "out.json", "coco")
    content = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [c["name"] for c in content["categories"]] == ["cat", "dög"]
    assert content["images"][0] == {"id": 1, "file_name": "a.png", "height": 8, "width": 8}
    assert content["annotations"][0]["bbox"] == [0, 0, 8, 8]
    assert len(content["images"]) == 6


def test_a_sorted_tree_gives_labels_to_images_of_the_same_content(images, table, tmp_path):
    for name, label in (("b.png", "cat"), ("e.png", "dog")):
        (tmp_path / "tree" / label).mkdir(parents=True)
        shutil.copy(tmp_path / "photos" / name, tmp_path / "tree" / label / f"renamed-{name}")
    with open_store(images, table) as store:
        store.add([Answer(1, ("cat",))])
        assert import_labels(store, tmp_path / "tree") == 1
        assert store.current() == {1: ("cat",), 4: ("dog",)}
    other = draw(tmp_path / "others", [f"{i}.png" for i in range(9)])[6:]
    with (
        open_store(other, tmp_path / "new.csv") as store,
        pytest.raises(LabelError, match="none of the images"),
    ):
        import_labels(store, tmp_path / "tree")


@pytest.mark.parametrize(
    ("out", "kind", "error"),
    [
        ("out.csv", "excel", UsageError),
        ("out.csv", "coco", UsageError),
        ("out.xlsx", "csv", UsageError),
        ("photos/a.png/out.csv", "csv", StorageError),
    ],
)
def test_what_cannot_be_exported(out, kind, error, images, table, tmp_path):
    with open_store(images, table) as store:
        store.add(ONE)
        with pytest.raises(error):
            export_labels(store, tmp_path / out, kind)


def test_several_labels_do_not_go_where_one_is_asked_for(images, table, tmp_path):
    (tmp_path / "in.csv").write_text("path,label\na.png,cat|dog\n")
    with open_store(images, table) as store, pytest.raises(LabelError, match="several labels"):
        import_labels(store, tmp_path / "in.csv")
    assert read_labels(tmp_path / "in.csv", images).n_labeled == 1
