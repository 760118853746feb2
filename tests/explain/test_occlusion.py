import numpy as np
import pytest

from fewlabel.explain.occlusion import _occlusion_map, _segment_means
from fewlabel.explain.perturb import _Perturber


def brightness(where):
    """A model whose only class is the brightness of a place."""
    return lambda images: images[:, *where, 0].mean(axis=(1, 2))[:, None] / 255


@pytest.mark.parametrize("shape", [(28, 28), (64, 40), (8, 8), (2, 3)])
def test_the_place_that_counts_stands_out(shape):
    height, width = shape
    corner = (slice(0, height // 2), slice(0, width // 2))
    white = np.full((*shape, 1), 255, np.uint8)
    drop = _occlusion_map(_Perturber(brightness(corner), white, 0 * white), 0)
    assert drop.shape == shape
    assert np.isfinite(drop).all()
    assert drop[0, 0] > 0
    assert drop[-1, -1] == 0


def test_where_covering_helps_it_is_negative_and_segments_have_means():
    black = np.zeros((12, 12, 1), np.uint8)
    drop = _occlusion_map(_Perturber(brightness((slice(0, 3), slice(0, 3))), black, black + 255), 0)
    assert drop[0, 0] < 0
    values = np.arange(6.0).reshape(2, 3)
    segments = np.array([[0, 0, 1], [2, 2, 1]])
    np.testing.assert_allclose(_segment_means(values, segments), [0.5, 3.5, 3.5])
