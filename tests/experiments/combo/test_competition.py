import os
import pickle

import numpy as np
import pytest

from fewlabel.errors import DataError
from fewlabel_experiments.combo.competition import load_competition, write_submission

TARGETS = np.eye(36)[[1, 2, 3]] + np.eye(36)[[30, 31, 32]]


class _Attack:
    def __reduce__(self):
        return os.mkdir, ("run",)


def test_images_come_as_gray_pixels_whatever_their_numbers(competition):
    data = load_competition(competition)
    assert {a.dtype for a in (data.images, data.unlabeled, data.test)} == {np.dtype(np.uint8)}
    expected = np.random.default_rng(1).integers(0, 256, (58, 56, 56), dtype=np.uint8)
    found = np.concatenate([data.images, data.unlabeled, data.test])
    np.testing.assert_array_equal(found, expected)
    assert data.targets.dtype == np.int8
    assert data.targets.sum(axis=1).tolist() == [2] * 50


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("images_l.pkl", np.zeros((3, 56, 56, 3)), r"images_l\.pkl holds images of 3 channels"),
        ("images_ul.pkl", np.zeros((3, 3, 56, 56)), "3 channels"),
        ("images_test.pkl", np.zeros((3, 28, 28)), r"\(n, 56, 56\)\. Got \(3, 28, 28\)"),
        ("images_l.pkl", np.zeros((0, 56, 56)), r"Got \(0, 56, 56\)"),
        ("images_l.pkl", np.full((3, 56, 56), np.nan), "NaN or infinite pixels"),
        ("labels_l.pkl", TARGETS, "labels 3 images, and images_l.pkl holds 50"),
        ("labels_l.pkl", TARGETS[:, :35], r"shape \(n, 36\)\. Got \(3, 35\)"),
        ("labels_l.pkl", TARGETS * 2, r"zeros and ones\. Got 2\.0 in row 0, column 1 \(1\)"),
        ("labels_l.pkl", _Attack(), r"labels_l\.pkl asks for \w+\.mkdir"),
    ],
)
def test_refuses_other_images_and_labels(competition, monkeypatch, name, content, message):
    monkeypatch.chdir(competition)
    (competition / name).write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match=message):
        load_competition(competition)
    assert not (competition / "run").exists()


def test_npy_files_stand_for_those_of_the_competition_and_missing_ones_are_named(competition):
    unlabeled = load_competition(competition).unlabeled
    (competition / "images_ul.pkl").unlink()
    with pytest.raises(DataError, match=r"lacks images_ul\.pkl: give the folder"):
        load_competition(competition)
    np.save(competition / "images_ul.npy", unlabeled)
    np.testing.assert_array_equal(load_competition(competition).unlabeled, unlabeled)


def test_a_submission_has_36_digits_an_image_and_no_probabilities(tmp_path):
    file = tmp_path / "s.csv"
    with pytest.raises(DataError, match=r"must be zeros and ones\. Got 0\.4 in row 0, column 0"):
        write_submission(file, np.full((2, 36), 0.4))
    assert not file.exists()
    write_submission(file, TARGETS.astype(bool))
    header, first, *rest = file.read_text().splitlines()
    assert header == "# Id,Category"
    assert first == "0," + "".join("1" if i in (1, 30) else "0" for i in range(36))
    assert len(rest) == 2
