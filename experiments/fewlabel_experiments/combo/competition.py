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
    """What the competition gives out. The labels of the other images are not public.

    Attributes
    ----------
    images : ndarray of shape (n, 56, 56), dtype uint8
        Labelled images.
    targets : ndarray of shape (n, 36), dtype int8
        1 where a label is on, else 0; columns as in `LABELS`.
    unlabeled : ndarray of shape (m, 56, 56), dtype uint8
        Images without labels.
    test : ndarray of shape (t, 56, 56), dtype uint8
        Images to predict.
    """

    images: NDArray[np.uint8]
    targets: NDArray[np.int8]
    unlabeled: NDArray[np.uint8]
    test: NDArray[np.uint8]


def load_competition(folder: str | Path) -> CompetitionData:
    """Read the competition's four files.

    They are pickles, of which nothing but numpy arrays is admitted and nothing is run: see
    `array_pickle.read_array_pickle`.

    Parameters
    ----------
    folder : str or Path
        Folder with the files named in `FILES`.

    Returns
    -------
    CompetitionData
        Images as uint8 whatever their numbers (0 to 1 or 0 to 255), and targets.

    Raises
    ------
    DataError
        If a file is missing, asks for anything but an array, or holds images of another size
        or with colours, or labels that are not 36 zeros and ones an image.
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

    Parameters
    ----------
    path : str or Path
        CSV file.
    targets : ndarray of shape (n, 36)
        Zeros and ones, a row a test image in its order.

    Raises
    ------
    DataError
        If they are not zeros and ones of this shape.
    StorageError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "submission.csv"
    >>> write_submission(file, np.eye(36, dtype=int)[[2]])
    >>> file.read_text().splitlines()
    ['# Id,Category', '0,001000000000000000000000000000000000']
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
            f"{path} holds images of 3 channels, {array.shape}: the competition's are grey, "
            f"(n, {SIDE}, {SIDE}). Make them grey first."
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
