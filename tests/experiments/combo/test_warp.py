import numpy as np
from scipy.ndimage import affine_transform

from fewlabel_experiments.combo.warp import affine_about, warp

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (3, 9, 11), dtype=np.uint8)


def test_agrees_with_scipy_inside_and_outside():
    matrix = np.eye(2) + RNG.normal(0, 0.3, (3, 2, 2))
    maps = affine_about(matrix, np.full((3, 2), 5.0), (6.0, 7.0))
    got = warp(IMAGES, maps, (13, 14))
    for image, one, result in zip(IMAGES, maps, got, strict=True):
        # scipy counts (row, column), and its images are padded as ours fade into the outside.
        padded = np.pad(image.astype(float), 1)
        swapped = one[::-1, [1, 0]]
        offset = one[::-1, 2] + 1
        expected = affine_transform(padded, swapped, offset, (13, 14), order=1, mode="constant")
        np.testing.assert_allclose(result, expected, atol=0.05)


def test_edges_can_be_continued():
    far = np.array([[[1, 0, 100], [0, 1, -100]]], dtype=np.float32)
    assert warp(IMAGES[:1], far, (2, 2), edge=True).tolist() == [[[IMAGES[0, 0, -1]] * 2] * 2]
    assert not warp(IMAGES[:1], far, (2, 2)).any()
