"""What networks are given: labels without copies, and pixels."""

import numpy as np
from PIL import Image

from fewlabel.data import MultiLabel, SingleLabel, load_images
from fewlabel.semisupervised.network_inputs import _pool_copies, _read_pixels


def test_large_images_are_read_at_64_pixels(tmp_path):
    for number in range(2):
        Image.new("RGB", (100, 80), (number * 90, 10, 10)).save(tmp_path / f"{number}.png")
    assert _read_pixels(load_images(tmp_path), 64).shape == (2, 64, 64, 3)
    digits = load_images("digits").subset([0, 1])
    assert _read_pixels(digits, 64).shape == (2, 8, 8)
    assert _read_pixels(digits, 64, color=True).shape == (2, 8, 8, 3)


def test_copies_of_an_image_pool_what_their_labels_say():
    table = np.array([[1, -1, -1], [1, 0, -1], [0, 0, 1]])
    pooled = _pool_copies(table, np.array([4, 4, 2]), MultiLabel())
    assert pooled.tolist() == [[1, 0, -1], [-1, -1, -1], [0, 0, 1]]
    codes = np.array([3, -1, 4])
    assert _pool_copies(codes, np.array([0, 0, 1]), SingleLabel()).tolist() == [3, -1, 4]
