"""Which predictions are believed."""

import numpy as np
import pytest

from fewlabel.semisupervised.thresholds import (
    above_class_thresholds,
    above_threshold,
    align_distribution,
    most_confident_share,
    self_adaptive_thresholds,
    top_k_per_class,
)


@pytest.fixture
def proba():
    rng = np.random.default_rng(0)
    return rng.dirichlet([0.3, 0.5, 0.8], size=200)


def test_a_fixed_threshold_includes_its_border():
    proba = np.array([[0.75, 0.25], [0.25, 0.75], [0.6, 0.4]])
    assert above_threshold(proba, 0.75).tolist() == [True, True, False]


def test_each_class_gives_its_most_confident_rows(proba):
    accepted = top_k_per_class(proba, 7)
    classes, confidence = proba.argmax(1), proba.max(1)
    for code in range(3):
        of_class = classes == code
        assert accepted[of_class].sum() == 7
        assert confidence[of_class & accepted].min() >= confidence[of_class & ~accepted].max()


def test_a_class_of_few_rows_gives_all_of_them():
    proba = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    assert top_k_per_class(proba, 5).all()


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (0.25, 50), (1.0, 200)])
def test_a_curriculum_takes_the_most_confident_first(proba, share, expected):
    accepted = most_confident_share(proba, share)
    assert accepted.sum() == expected
    confidence = proba.max(1)
    if 0 < expected < 200:
        assert confidence[accepted].min() >= confidence[~accepted].max()


def test_self_adaptive_thresholds_are_lower_for_classes_that_get_less_probability(proba):
    thresholds = self_adaptive_thresholds(proba)
    assert np.argsort(thresholds).tolist() == np.argsort(proba.mean(0)).tolist()
    assert thresholds.max() == pytest.approx(proba.max(1).mean())


def test_thresholds_of_no_rows_accept_nothing_wrongly():
    assert self_adaptive_thresholds(np.empty((0, 3))).tolist() == [1, 1, 1]
    assert above_class_thresholds(np.empty((0, 3)), np.ones(3)).shape == (0,)


def test_aligned_predictions_move_towards_the_prior(proba):
    prior = np.array([0.5, 0.3, 0.2])
    aligned = align_distribution(proba, prior)
    np.testing.assert_allclose(aligned.sum(1), 1)
    before = np.abs(proba.mean(0) - prior).sum()
    assert np.abs(aligned.mean(0) - prior).sum() < before / 2


def test_predictions_that_have_the_prior_stay_as_they_are(proba):
    np.testing.assert_allclose(align_distribution(proba, proba.mean(0)), proba)
