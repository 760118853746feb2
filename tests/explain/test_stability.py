import numpy as np
import pytest

from fewlabel.explain.occlusion import _rank_agreement, _stability


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
