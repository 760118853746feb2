"""Rules that remember: what they learn from a batch, and that it survives a checkpoint."""

import math

import pytest
import torch

from fewlabel.semisupervised.consistency_rules import (
    METHODS,
    _adaptive_thresholds,
    _align,
    _Alignment,
    _fairness_loss,
    _flexible_thresholds,
    _gaussian_weights,
    _make_rule,
    _sharpen,
)

CPU = torch.device("cpu")


def rule(method, momentum=0.5, threshold=0.8):
    return _make_rule(method, 3, threshold=threshold, momentum=momentum, n_unlabeled=50, device=CPU)


def batch(seed=0, n=30, sharpness=3.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.softmax(sharpness * torch.randn(n, 3, generator=generator), dim=1)


ROWS = torch.arange(30)


@pytest.mark.parametrize("method", METHODS)
def test_weights_lie_from_0_to_1_and_do_not_fall_with_confidence(method):
    weighting = rule(method)
    for seed in range(5):
        weights = weighting.weigh(batch(seed), ROWS)
        assert weights.min() >= 0
        assert weights.max() == 1
        # Within a class, more confidence never counts less.
        confidence, classes = batch(seed).max(dim=1)
        for code in range(3):
            order = confidence[classes == code].argsort()
            assert (weights[classes == code][order].diff() >= 0).all()
    assert 0 < float(weighting.level) <= 1


@pytest.mark.parametrize(("method", "name"), [("freematch", "level"), ("softmatch", "mean")])
def test_the_level_follows_the_confidence(method, name):
    weighting, confidence = rule(method, momentum=0.9), float(batch().amax(1).mean())
    for past in (0.9, 0.81):
        weighting.weigh(batch(), ROWS)
        level = past / 3 + (1 - past) * confidence
        assert float(weighting.state[name]) == pytest.approx(level)


def test_flexmatch_remembers_the_last_confident_class_of_an_image():
    weighting = rule("flexmatch")
    sure, unsure = torch.tensor([[0.9, 0.1, 0.0]]), torch.tensor([[0.1, 0.6, 0.3]])
    for rows, remembered in ((sure, 0), (unsure, 0), (sure.flip(1), 2)):
        weighting.weigh(rows, torch.tensor([7]))
        assert weighting.state["remembered"][7] == remembered
    assert (weighting.state["remembered"] == -1).sum() == 49


@pytest.mark.parametrize(
    ("n_of_class", "n_without", "expected"),
    [
        # 10 of 10, 5 of 10 and 0 of 10, mapped by x / (2 - x).
        ((10, 5), 2, [1, 1 / 3, 0]),
        # While few images ever had a label, all thresholds are low.
        ((10,), 90, [(1 / 9) / (2 - 1 / 9), 0, 0]),
        ((), 9, [0, 0, 0]),
    ],
)
def test_flexmatch_lowers_the_threshold_of_classes_that_lag(n_of_class, n_without, expected):
    codes = [code for code, n in enumerate(n_of_class) for _ in range(n)]
    found = _flexible_thresholds(torch.tensor(codes + [-1] * n_without), 3, 0.95)
    torch.testing.assert_close(found, 0.95 * torch.tensor(expected, dtype=torch.float32))


def test_freematch_has_the_level_for_the_most_predicted_class_and_less_for_the_others():
    found = _adaptive_thresholds(torch.tensor(0.6), torch.tensor([0.5, 0.3, 0.2]))
    torch.testing.assert_close(found, torch.tensor([0.6, 0.36, 0.24]))


def test_alignment_moves_the_mean_prediction_to_the_target():
    leaning = batch(n=500) * torch.tensor([5.0, 1.0, 1.0])
    leaning /= leaning.sum(dim=1, keepdim=True)
    target = torch.full((3,), 1 / 3)
    alignment = _Alignment(target, momentum=0.5)
    for _ in range(20):
        aligned = alignment(leaning)
    torch.testing.assert_close(alignment.running, leaning.mean(0), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(aligned.sum(dim=1), torch.ones(500))
    far, near = (float((p.mean(dim=0) - target).abs().max()) for p in (leaning, aligned))
    assert near < 0.7 * far
    # What is predicted on average already changes nothing.
    mean = leaning.mean(dim=0)
    torch.testing.assert_close(_align(leaning, mean, mean), leaning)


def test_softmatch_weighs_1_from_the_mean_on_and_less_below_it():
    confidence = torch.linspace(0.1, 1, 10)
    weights = _gaussian_weights(confidence, torch.tensor(0.6), torch.tensor(0.02), 2.0)
    assert (weights[5:] == 1).all()
    assert (weights[:6].diff() > 0).all()
    assert float(weights[3]) == pytest.approx(math.exp(-(0.2**2) / (2 * 0.02 / 4)), rel=1e-4)
    # Where all are equally sure there is no spread, and nothing is divided by it.
    flat = _gaussian_weights(torch.tensor([0.5, 0.5]), torch.tensor(0.5), torch.tensor(0.0), 2.0)
    assert flat.tolist() == [1, 1]


def test_sharpening_runs_from_hard_over_the_same_to_flat():
    predicted = batch()
    assert torch.equal(_sharpen(predicted, 0), torch.eye(3)[predicted.argmax(dim=1)])
    torch.testing.assert_close(_sharpen(predicted, 1.0), predicted)
    squared = predicted**2 / (predicted**2).sum(dim=1, keepdim=True)
    torch.testing.assert_close(_sharpen(predicted, 0.5), squared)
    # A power of these would be 0 in every class.
    even = torch.full((1, 4), 0.25)
    torch.testing.assert_close(_sharpen(even, 0.001), even)


def test_the_fairness_objective_prefers_varied_predictions_and_has_a_gradient():
    even, accepted = torch.full((3,), 1 / 3), torch.tensor([True, True, True, False])
    varied = torch.cat([4 * torch.eye(3), torch.zeros(1, 3)]).requires_grad_()
    loss = _fairness_loss(varied, accepted, even, even)
    assert float(loss.detach()) == pytest.approx(-math.log(3))
    _fairness_loss(varied, accepted, torch.tensor([0.5, 0.3, 0.2]), even).backward()
    assert torch.isfinite(varied.grad).all()
    assert varied.grad.abs().max() > 0
    none = _fairness_loss(varied, torch.tensor([False] * 4), even, even)
    assert none.item() == 0
    assert none.requires_grad
