"""A network taught by the graph."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from fewlabel.semisupervised.graph_student import StudentSettings, student_targets, train_student


def test_given_labels_are_certain_and_doubtful_images_say_less():
    proba = np.array([[0.1, 0.9], [0.5, 0.5], [0.7, 0.3]])
    targets, weights = student_targets(proba, np.array([0, -1, -1]), 2.0)
    assert targets[0].tolist() == [1, 0]
    assert weights[0] == 1
    assert weights[1] == pytest.approx(0.5)
    assert targets[2, 0] == pytest.approx(0.49 / 0.58)


def test_a_power_of_1_changes_nothing_else():
    proba = np.array([[0.3, 0.7]])
    np.testing.assert_allclose(student_targets(proba, np.array([-1]), 1.0)[0], proba)


def test_the_student_learns_what_the_graph_says():
    X, y = load_digits(return_X_y=True)
    images = (X.reshape(-1, 8, 8) * 15).astype(np.uint8)
    codes = np.where(np.arange(600) % 20 == 0, y[:600], -1)
    proba = 0.8 * np.eye(10)[y[:600]] + 0.02
    settings = StudentSettings("cnn", n_steps=120, batch_size=64, augment="weak")
    student = train_student(images[:600], proba, codes, settings, seed=0)
    assert student.score(images[900:], y[900:]) > 0.85
    assert student.classes_.tolist() == list(range(10))
    again = train_student(images[:600], proba, codes, settings, seed=0)
    np.testing.assert_array_equal(student.predict_proba(images), again.predict_proba(images))
