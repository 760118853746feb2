"""Food-11's own layout."""

import numpy as np
import pytest
from PIL import Image

from fewlabel.errors import DataError
from fewlabel_experiments.photos.food11 import load_food11


def write(folder, *names):
    for number, name in enumerate(names):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (number, 0, 0)).save(file)


def test_the_class_stands_before_the_underscore(tmp_path):
    write(tmp_path, "training/0_12.jpg", "training/10_3.jpg", "validation/3_7.jpg")
    images = load_food11(tmp_path)
    labels = dict(zip(images.names, images.truth, strict=True))
    assert labels == {
        "training/0_12.jpg": "Bread",
        "training/10_3.jpg": "Vegetable-Fruit",
        "validation/3_7.jpg": "Egg",
    }
    # A single split may be given; files with other names are left out.
    write(tmp_path / "one", "0_12.jpg", "5_3.jpg", "cover.jpg", "11_2.jpg")
    images = load_food11(tmp_path / "one")
    assert images.names == ("0_12.jpg", "5_3.jpg")
    assert images.truth.tolist() == ["Bread", "Meat"]
    assert np.asarray(images.read([0])).shape == (1, 30, 40, 3)
    write(tmp_path / "other", "cats/a.jpg", "dogs/b.jpg")
    with pytest.raises(DataError, match="no file named as those of Food-11"):
        load_food11(tmp_path / "other")
