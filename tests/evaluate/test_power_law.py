import numpy as np
import pytest

from fewlabel.evaluate.power_law import (
    _draw_curves,
    _errors_at,
    _mean_and_covariance,
)


def test_the_covariance_is_that_of_the_means():
    rng = np.random.default_rng(0)
    hardness = rng.random((2_000, 200, 1))
    wrong = hardness < [0.4, 0.3, 0.2]
    means = wrong.mean(axis=1)
    mean, covariance = _mean_and_covariance(wrong[0].astype(float))
    # Half an image each way pulls the mean a little to one half.
    np.testing.assert_allclose(mean, (wrong[0].sum(axis=0) + 0.5) / 201)
    np.testing.assert_allclose(covariance, np.cov(means.T), rtol=0.3)


@pytest.mark.parametrize(("power", "floor"), [(0.5, 0.0), (0.5, 0.5), (0.2, 0.0)])
def test_exact_points_give_back_their_curve(power, floor):
    relative = 2.0 ** np.arange(-5, 1)
    curve = np.array([[0.1, power, floor, 0, 1, 0, 0]])
    mean = np.array([_errors_at(curve, r)[0] for r in relative])
    draws = _draw_curves(relative, mean, np.eye(6) * 1e-8, n_now=10**8, n_classes=2)
    full = np.column_stack([draws, np.ones(len(draws)), np.zeros((len(draws), 2))])
    after = _errors_at(full, 2.0)
    assert np.median(after) == pytest.approx(_errors_at(curve, 2.0)[0], rel=0.05)
    assert np.quantile(after, 0.05) < _errors_at(curve, 2.0)[0] < np.quantile(after, 0.95)


def test_points_far_below_count_less():
    mean = np.array([0.5, 0.2, 0.18])
    covariance = np.eye(3) * 1e-6
    steep = _draw_curves(np.array([0.1, 0.5, 0.9]), mean, covariance, n_now=1000, n_classes=2)
    level = np.median(steep[:, 0])
    assert 0.15 < level < 0.185


def test_errors_beyond_fall_at_their_own_speed_and_what_is_unseen_stays():
    curve = np.array([[0.2, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0]])
    slow = np.array([[0.2, 1.0, 0.0, 0.0, 0.5, 0.0, 0.0]])
    staying = np.array([[0.2, 1.0, 0.0, 0.0, 1.0, 0.04, 0.0]])
    falling = np.array([[0.2, 1.0, 0.0, 0.0, 1.0, 0.04, 1.0]])
    assert _errors_at(curve, 2.0)[0] == pytest.approx(0.1)
    assert _errors_at(slow, 2.0)[0] == pytest.approx(0.2 / np.sqrt(2))
    assert _errors_at(slow, 0.5)[0] == _errors_at(curve, 0.5)[0] == pytest.approx(0.4)
    assert _errors_at(staying, 2.0)[0] == pytest.approx(0.14)
    assert _errors_at(falling, 2.0)[0] == pytest.approx(0.12)
    assert _errors_at(staying, 1e-6)[0] == 1


def test_luck_with_new_labels_is_none_for_those_there_are():
    curves = np.array([[0.2, 0.0, 0.0, luck, 1.0, 0.0, 0.0] for luck in (-0.1, 0.1)])
    assert np.ptp(_errors_at(curves, 1.0)) == 0
    assert _errors_at(curves, 2.0) == pytest.approx(0.2 * np.exp([-0.1 / 2**0.5, 0.1 / 2**0.5]))
