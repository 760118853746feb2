import os
import pickle

import numpy as np
import pytest

from fewlabel.errors import DataError
from fewlabel_experiments.combo.competition import FILES, load_competition, write_submission

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (3, 56, 56), dtype=np.uint8)
TARGETS = np.eye(36)[[1, 2, 3]] + np.eye(36)[[30, 31, 32]]


@pytest.fixture
def files(tmp_path):
    for name, array in zip(FILES, (IMAGES, TARGETS, IMAGES / 255, IMAGES[..., None]), strict=True):
        (tmp_path / name).write_bytes(pickle.dumps(array))
    return tmp_path


def test_images_come_as_grey_pixels_whatever_their_numbers(files):
    data = load_competition(files)
    for images in (data.images, data.unlabeled, data.test):
        assert images.dtype == np.uint8
        np.testing.assert_array_equal(images, IMAGES)
    assert data.targets.dtype == np.int8
    np.testing.assert_array_equal(data.targets, TARGETS)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("images_l.pkl", np.zeros((3, 56, 56, 3)), r"images_l\.pkl holds images of 3 channels"),
        ("images_ul.pkl", np.zeros((3, 3, 56, 56)), "3 channels"),
        ("images_test.pkl", np.zeros((3, 28, 28)), r"\(n, 56, 56\)\. Got \(3, 28, 28\)"),
        ("images_l.pkl", np.zeros((0, 56, 56)), r"Got \(0, 56, 56\)"),
        ("images_l.pkl", np.full((3, 56, 56), np.nan), "NaN or infinite pixels"),
        ("labels_l.pkl", TARGETS[:2], "labels 2 images, and images_l.pkl holds 3"),
        ("labels_l.pkl", TARGETS[:, :35], r"shape \(n, 36\)\. Got \(3, 35\)"),
        ("labels_l.pkl", TARGETS * 2, r"zeros and ones\. Got 2\.0 in row 0, column 1 \(1\)"),
    ],
)
def test_refuses_other_images_and_labels(files, name, array, message):
    (files / name).write_bytes(pickle.dumps(array))
    with pytest.raises(DataError, match=message):
        load_competition(files)


def test_refuses_a_pickle_that_asks_for_more(files):
    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(files / "run"),)

    (files / "labels_l.pkl").write_bytes(pickle.dumps(Attack()))
    with pytest.raises(DataError, match=r"labels_l\.pkl asks for \w+\.mkdir"):
        load_competition(files)
    assert not (files / "run").exists()


def test_npy_files_stand_for_those_of_the_competition_and_missing_ones_are_named(files):
    (files / "images_ul.pkl").unlink()
    with pytest.raises(DataError, match=r"lacks images_ul\.pkl: give the folder"):
        load_competition(files)
    np.save(files / "images_ul.npy", IMAGES)
    np.testing.assert_array_equal(load_competition(files).unlabeled, IMAGES)


def test_a_submission_has_36_digits_an_image(tmp_path):
    write_submission(tmp_path / "s.csv", TARGETS.astype(bool))
    header, first, *rest = (tmp_path / "s.csv").read_text().splitlines()
    assert header == "# Id,Category"
    assert first == "0," + "".join("1" if i in (1, 30) else "0" for i in range(36))
    assert len(rest) == 2


def test_a_submission_of_probabilities_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"must be zeros and ones\. Got 0\.4 in row 0, column 0"):
        write_submission(tmp_path / "s.csv", np.full((2, 36), 0.4))
    assert not (tmp_path / "s.csv").exists()
