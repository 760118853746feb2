import shutil

import numpy as np

from fewlabel.data import image_set_from_array, load_images, read_labels
from fewlabel.labelling.store import Answer, open_store


def test_renamed_and_moved_images_keep_their_answers(images, table, tmp_path):
    with open_store(images, table) as store:
        store.add([Answer(i, (name,)) for i, name in enumerate(("ant", "bee", "cat", "dog"))])
    photos = tmp_path / "photos"
    (photos / "new").mkdir()
    (photos / "a.png").rename(photos / "new" / "a.png")
    (photos / "b.png").rename(photos / "z.png")
    # Two that changed places, and a copy of one with answers.
    (photos / "c.png").rename(photos / "x.png")
    (photos / "d.png").rename(photos / "c.png")
    (photos / "x.png").rename(photos / "d.png")
    shutil.copy(photos / "c.png", photos / "copy.png")
    photos.rename(tmp_path / "elsewhere")
    moved = load_images(tmp_path / "elsewhere")
    expected = {"new/a.png": "ant", "z.png": "bee", "d.png": "cat", "c.png": "dog"}
    with open_store(moved, table) as store:
        assert {moved.names[i]: names[0] for i, names in store.current().items()} == expected
        store.add([Answer(moved.names.index("e.png"), ("elk",))])
    labels = dict(zip(moved.names, read_labels(table, moved).names(), strict=True))
    assert {name: label for name, label in labels.items() if label} == {**expected, "e.png": "elk"}


def test_answers_of_an_image_that_is_gone_come_back_with_it(images, table, tmp_path):
    with open_store(images, table) as store:
        store.add([Answer(0, ("ant",)), Answer(1, ("bee",))])
    photo = tmp_path / "photos" / "a.png"
    photo.rename(tmp_path / "a.png")
    fewer = load_images(tmp_path / "photos")
    with open_store(fewer, table) as store:
        assert store.current() == {0: ("bee",)}
        assert store.classes() == ["bee"]
        store.add([Answer(1, ("cat",))])
        assert "a.png,ant" in table.read_text()
    (tmp_path / "a.png").rename(photo)
    with open_store(images, table) as store:
        assert store.current() == {0: ("ant",), 1: ("bee",), 2: ("cat",)}


def test_images_in_memory(table):
    pixels = np.random.default_rng(0).integers(0, 255, (4, 8, 8), np.uint8)
    with open_store(image_set_from_array(pixels), table) as store:
        store.add([Answer(1, ("cat",)), Answer(2, ("dog",))])
    images = image_set_from_array(pixels[::-1].copy())
    with open_store(images, table) as store:
        assert store.current() == {2: ("cat",), 1: ("dog",)}
        assert read_labels(table, images).names() == ["", "dog", "cat", ""]
