"""Thresholds and weights as pure functions, against numbers worked out by hand."""

import math

import pytest
import torch

from fewlabel.semisupervised.consistency_thresholds import (
    adaptive_thresholds,
    align,
    fairness_loss,
    flexible_thresholds,
    gaussian_weights,
    sharpen,
)


def probabilities(n=20, k=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.softmax(3 * torch.randn(n, k, generator=generator), dim=1)


def test_flexmatch_lowers_the_threshold_of_classes_that_lag():
    remembered = torch.tensor([0] * 10 + [1] * 5 + [-1] * 2)
    found = flexible_thresholds(remembered, 3, 0.95)
    # 10 of 10, 5 of 10 and 0 of 10, mapped by x / (2 - x).
    torch.testing.assert_close(found, 0.95 * torch.tensor([1.0, 1 / 3, 0.0]))


def test_flexmatch_starts_from_low_thresholds_while_few_images_were_ever_believed():
    remembered = torch.tensor([0] * 10 + [-1] * 90)
    found = flexible_thresholds(remembered, 2, 0.9)
    share = 10 / 90
    assert float(found[0]) == pytest.approx(0.9 * share / (2 - share))
    assert float(flexible_thresholds(torch.full((9,), -1), 2, 0.9).max()) == 0


def test_freematch_has_the_level_for_the_most_predicted_class_and_less_for_the_others():
    found = adaptive_thresholds(torch.tensor(0.6), torch.tensor([0.5, 0.3, 0.2]))
    torch.testing.assert_close(found, torch.tensor([0.6, 0.36, 0.24]))


def test_softmatch_weighs_1_from_the_mean_on_and_less_below_it():
    confidence = torch.linspace(0.1, 1, 10)
    weights = gaussian_weights(confidence, torch.tensor(0.6), torch.tensor(0.02), 2.0)
    assert (weights[5:] == 1).all()
    assert (weights[:6].diff() > 0).all()
    assert float(weights[3]) == pytest.approx(math.exp(-(0.2**2) / (2 * 0.02 / 4)), rel=1e-4)
    # Where all are equally sure there is no spread, and nothing is divided by it.
    flat = gaussian_weights(torch.tensor([0.5, 0.5]), torch.tensor(0.5), torch.tensor(0.0), 2.0)
    assert flat.tolist() == [1, 1]


def test_alignment_moves_the_mean_prediction_to_the_target():
    predicted = probabilities(500) * torch.tensor([4.0, 1, 1, 1, 0.3])
    predicted /= predicted.sum(dim=1, keepdim=True)
    target = torch.full((5,), 0.2)
    aligned = align(predicted, predicted.mean(dim=0), target)
    torch.testing.assert_close(aligned.sum(dim=1), torch.ones(500))
    far, near = ((p.mean(dim=0) - target).abs().max().item() for p in (predicted, aligned))
    assert near < 0.7 * far


def test_alignment_to_what_is_predicted_already_changes_nothing():
    predicted = probabilities()
    mean = predicted.mean(dim=0)
    torch.testing.assert_close(align(predicted, mean, mean), predicted)


def test_sharpening_runs_from_hard_over_the_same_to_flat():
    predicted = probabilities()
    hard = sharpen(predicted, 0)
    assert torch.equal(hard.argmax(dim=1), predicted.argmax(dim=1))
    assert sorted(hard.unique().tolist()) == [0, 1]
    torch.testing.assert_close(sharpen(predicted, 1.0), predicted)
    assert (sharpen(predicted, 0.5).amax(1) >= predicted.amax(1)).all()
    assert (sharpen(predicted, 2.0).amax(1) <= predicted.amax(1)).all()
    # A power of these would be 0 in every class.
    tiny = sharpen(torch.full((1, 4), 0.25), 0.001)
    torch.testing.assert_close(tiny, torch.full((1, 4), 0.25))


def test_the_fairness_objective_is_lower_where_predictions_are_more_varied():
    even = torch.full((3,), 1 / 3)
    accepted = torch.tensor([True, True, True, False])
    varied = torch.cat([4 * torch.eye(3), torch.zeros(1, 3)])
    uneven = varied.clone()
    uneven[:3] += torch.tensor([0.0, 0.0, 3.0])
    losses = [float(fairness_loss(logits, accepted, even, even)) for logits in (varied, uneven)]
    assert losses[0] == pytest.approx(-math.log(3))
    assert losses[0] != losses[1]


def test_the_fairness_objective_has_a_gradient_or_is_0():
    logits = (2 * torch.eye(3)).requires_grad_()
    means = torch.tensor([0.5, 0.3, 0.2])
    fairness_loss(logits, torch.tensor([True] * 3), means, torch.full((3,), 1 / 3)).backward()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad.abs().max() > 0
    none = fairness_loss(logits, torch.tensor([False] * 3), means, means)
    assert none.item() == 0
    assert none.requires_grad
