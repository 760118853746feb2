"""Food-11's own layout: ``training/0_12.jpg``, the class before the underscore."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from fewlabel.data.images import load_images
from fewlabel.data.imageset import ImageSet
from fewlabel.data.parallel import Progress
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


def load_food11(folder: str | Path, *, progress: Progress | None = None) -> ImageSet:
    """Read photos whose class is the number before the underscore of their name.

    Parameters
    ----------
    folder : str or Path
        Folder with ``training``, ``validation`` and ``evaluation``, or with the photos
        themselves. The published splits are pooled.
    progress : callable, optional
        Called as ``progress(done, total)`` while the files are checked.

    Returns
    -------
    ImageSet
        Photos with their labels. Files with other names are left out.

    Raises
    ------
    DataError
        If no file is named in this way.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "training").mkdir()
    >>> for name in ("0_1.jpg", "9_2.jpg"):
    ...     Image.new("RGB", (32, 32)).save(folder / "training" / name)
    >>> load_food11(folder).truth.tolist()
    ['Bread', 'Soup']
    """
    images = load_images(folder, progress=progress)
    labels = [_label(Path(name).name) for name in images.names]
    named = np.array([label is not None for label in labels])
    if not named.any():
        raise DataError(
            f"{folder} holds no file named as those of Food-11 are (CLASS_NUMBER.jpg, such as "
            "training/0_12.jpg): give the folder that the data set was unpacked to."
        )
    images = images.subset(np.flatnonzero(named))
    images.truth = np.array([label for label in labels if label is not None], dtype=object)
    return images


def _label(file: str) -> str | None:
    match = _NAME.fullmatch(file)
    if match is None or int(match[1]) >= len(CLASSES):
        return None
    return CLASSES[int(match[1])]
