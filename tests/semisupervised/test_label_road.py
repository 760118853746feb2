"""The longer road for several labels an image: what copies of an image say."""

import numpy as np

from fewlabel.semisupervised import label_road


def test_copies_say_together_what_each_leaves_open():
    Y = np.array([[1, -1, -1], [-1, -1, -1], [0, 1, -1], [-1, 0, 1], [0, 0, 0]])
    groups = np.array([7, 3, 7, 7, 5])
    once = label_road._once(Y, groups)
    # Of three copies the first keeps all; where the second and the third differ, the second counts.
    assert once.tolist() == [[1, 1, 1], [-1, -1, -1], [-1, -1, -1], [-1, -1, -1], [0, 0, 0]]
    assert Y[2].tolist() == [0, 1, -1]


def test_without_copies_all_labels_stay():
    Y = np.array([[1, 0], [-1, -1], [-1, 1]])
    np.testing.assert_array_equal(label_road._once(Y, np.arange(3)), Y)
