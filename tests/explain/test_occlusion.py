import numpy as np
import pytest

from fewlabel.explain.occlusion import _occlusion_map, _rank_agreement, _segment_means, _stability
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


@pytest.mark.parametrize(("kind", "known"), [("spearman", 1 - 6 * 2 / 60), ("kendall", 4 / 6)])
def test_only_the_order_counts(kind, known):
    a = np.array([0.1, 0.4, 0.2, 0.9])
    assert _rank_agreement(a, np.exp(5 * a), kind) == 1
    assert _rank_agreement(a, -a, kind) == -1
    assert _rank_agreement([1, 2, 3, 4], [2, 1, 3, 4], kind) == pytest.approx(known)


def test_repeats_that_agree_repeats_by_chance_and_nothing_to_compare():
    assert np.isnan(_rank_agreement(np.array([1.0, 2.0]), np.array([1.0, 2.0])))
    assert np.isnan(_rank_agreement(np.zeros(5), np.arange(5)))
    assert np.isnan(_stability(np.ones((1, 5))))
    assert np.isnan(_stability(np.zeros((3, 5))))
    rng = np.random.default_rng(0)
    signal = rng.normal(size=40)
    assert _stability(signal + rng.normal(0, 0.05, (4, 40))) > 0.95
    assert abs(_stability(rng.normal(size=(4, 40)))) < 0.2
