"""Food-11's own layout: ``training/0_12.jpg``, the class before the underscore."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from fewlabel.data import ImageSet, load_images
from fewlabel.errors import DataError

CLASSES = (
    "Bread",
    "Dairy product",
    "Dessert",
    "Egg",
    "Fried food",
    "Meat",
    "Noodles-Pasta",
    "Rice",
    "Seafood",
    "Soup",
    "Vegetable-Fruit",
)
"""The classes of Food-11 (Singla et al. 2016), by number."""

_NAME = re.compile(r"(\d{1,2})_\d+\.\w+")


def load_food11(folder: str | Path) -> ImageSet:
    """Read photos whose class is the number before the underscore of their name.

    The published splits, in ``training``, ``validation`` and ``evaluation``, are pooled; files with
    other names are left out.
    """
    images = load_images(folder)
    labels = [_label(Path(name).name) for name in images.names]
    named = np.array([label is not None for label in labels])
    if not named.any():
        raise DataError(
            f"{folder} holds no file named as those of Food-11 are (CLASS_NUMBER.jpg, such as "
            "training/0_12.jpg): give the folder that the data set was unpacked to."
        )
    images = images.subset(np.flatnonzero(named))
    images.truth = np.array([label for label in labels if label is not None], dtype=object)
    # The names of the files say the class: nothing is missing in the folders.
    images.truth_notes = ()
    return images


def _label(file: str) -> str | None:
    match = _NAME.fullmatch(file)
    if match is None or int(match[1]) >= len(CLASSES):
        return None
    return CLASSES[int(match[1])]
