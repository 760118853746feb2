"""The files of the competition that the study comes from, and its submission."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fewlabel.data import image_set_from_array
from fewlabel.errors import DataError
from fewlabel.files import atomic_file

from .arrays import read_array
from .glyphs import LABELS
from .settings import SIDE

FILES = ("images_l.pkl", "labels_l.pkl", "images_ul.pkl", "images_test.pkl")
"""Names of the competition's files."""


@dataclass(frozen=True, eq=False)
class CompetitionData:
    """What the competition gives out. The labels of the other images are not public."""

    images: NDArray[np.uint8]  # (n, 56, 56): labeled images
    targets: NDArray[np.int8]  # (n, 36): 1 where a label is on, else 0; columns as in LABELS
    unlabeled: NDArray[np.uint8]  # (m, 56, 56): images without labels
    test: NDArray[np.uint8]  # (t, 56, 56): images to predict


def load_competition(folder: str | Path) -> CompetitionData:
    """Read the competition's four files.

    They are pickles, of which nothing but numpy arrays is admitted and nothing is run: see
    `.arrays.read_array`.
    """
    folder = Path(folder)
    missing = [name for name in FILES if not _file(folder, name).is_file()]
    if missing:
        raise DataError(
            f"{folder} lacks {', '.join(missing)}: give the folder with the competition's files "
            f"{', '.join(FILES)}, or the same arrays as .npy."
        )
    images, unlabeled, test = (_images(_file(folder, FILES[i])) for i in (0, 2, 3))
    targets = _targets(_file(folder, FILES[1]), len(images))
    return CompetitionData(images, targets, unlabeled, test)


def _file(folder: Path, name: str) -> Path:
    """Return the file of that name, or the .npy beside it that stands for it."""
    npy = (folder / name).with_suffix(".npy")
    return npy if npy.is_file() else folder / name


def write_submission(path: str | Path, targets: NDArray[np.integer]) -> None:
    """Write predictions as the competition takes them.

    A table with the columns ``# Id`` (the position of the test image, from 0) and ``Category``
    (36 digits, 1 where a label is on: ten for the digits, then 26 for the letters).
    """
    on = _check_targets(np.asarray(targets), "The targets of a submission")
    lines = [f"{i},{''.join(map(str, row))}\n" for i, row in enumerate(on.tolist())]
    with atomic_file(path) as temporary:
        temporary.write_text("".join(["# Id,Category\n", *lines]), encoding="utf-8")


def _images(path: Path) -> NDArray[np.uint8]:
    array = read_array(path)
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    if array.ndim == 4 and 3 in (array.shape[1], array.shape[3]):
        raise DataError(
            f"{path} holds images of 3 channels, {array.shape}: the competition's are gray, "
            f"(n, {SIDE}, {SIDE}). Make them gray first."
        )
    if array.ndim != 3 or array.shape[1:] != (SIDE, SIDE) or not len(array):
        raise DataError(
            f"{path} must hold images of shape (n, {SIDE}, {SIDE}). Got {array.shape} instead: "
            "is it the competition's own file?"
        )
    pixels = image_set_from_array(array, source=str(path))
    return pixels.read(slice(None), channels=1)[..., 0]


def _targets(path: Path, n: int) -> NDArray[np.int8]:
    array = _check_targets(read_array(path), str(path))
    if len(array) != n:
        raise DataError(
            f"{path} labels {len(array):,} images, and {FILES[0]} holds {n:,}: they must be of "
            "one download."
        )
    return array


def _check_targets(array: np.ndarray, what: str) -> NDArray[np.int8]:
    if array.ndim != 2 or array.shape[1] != len(LABELS):
        raise DataError(f"{what} must have shape (n, {len(LABELS)}). Got {array.shape} instead.")
    other = (array != 0) & (array != 1)
    if other.any():
        row, column = np.argwhere(other)[0]
        raise DataError(
            f"{what} must be zeros and ones. Got {array[row, column]} in row {row}, column "
            f"{column} ({LABELS[column]})."
        )
    return array.astype(np.int8)
