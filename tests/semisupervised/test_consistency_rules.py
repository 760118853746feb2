"""Rules that remember: how they weigh pseudo-labels, and what they learn from a batch."""

import math

import pytest
import torch

from fewlabel.semisupervised.consistency_rules import (
    _Alignment,
    _fairness_loss,
    _make_rule,
    _sharpen,
)


def rule(method, momentum):
    settings = {"threshold": 0.8, "n_unlabeled": 50, "device": torch.device("cpu")}
    return _make_rule(method, 3, momentum=momentum, **settings)


def batch(n=30):
    generator = torch.Generator().manual_seed(0)
    return torch.softmax(3 * torch.randn(n, 3, generator=generator), dim=1)


PROBA = torch.tensor(
    [[0.9, 0.05, 0.05], [0.5, 0.3, 0.2], [0.3, 0.4, 0.3], [0.33, 0.35, 0.32], [0.25, 0.35, 0.4]]
)


def codes(*counts):
    """Return so many images of each class, the first of which is none."""
    return torch.repeat_interleave(torch.arange(-1, len(counts) - 1), torch.tensor(counts))


@pytest.mark.parametrize(
    ("method", "state", "weights", "level"),
    [
        ("fixmatch", {}, [1, 0, 0, 0, 0], 0.8),
        # 10 of 10, 5 of 10 and 0 of 10, mapped by x / (2 - x), lower the thresholds.
        ("flexmatch", {"remembered": codes(5, 10, 5)}, [1, 0, 1, 1, 1], 0.8 * (1 + 1 / 3) / 3),
        # While few images ever had a label, all thresholds are low.
        ("flexmatch", {"remembered": codes(90, 10)}, [1, 1, 1, 1, 1], 0.8 / 17 / 3),
        ("flexmatch", {"remembered": codes(9)}, [1, 1, 1, 1, 1], 0),
        # The class that is predicted most has the level, and the others have less.
        (
            "freematch",
            {"level": torch.tensor(0.6), "class_means": torch.tensor([0.5, 0.3, 0.2])},
            [1, 0, 1, 0, 1],
            (0.6 + 0.36 + 0.24) / 3,
        ),
        (
            "softmatch",
            {"mean": torch.tensor(0.6), "variance": torch.tensor(0.02)},
            [math.exp(-((0.6 - min(0.6, p)) ** 2) * 100) for p in (0.9, 0.5, 0.4, 0.35, 0.4)],
            0.6,
        ),
        # Without a spread nothing is divided by it.
        (
            "softmatch",
            {"mean": torch.tensor(0.35), "variance": torch.tensor(0.0)},
            [1, 1, 1, 1, 1],
            0.35,
        ),
    ],
)
def test_a_rule_weighs_by_what_it_remembers(method, state, weights, level):
    # It forgets nothing of what it is given.
    weighting = rule(method, momentum=1.0)
    weighting.state |= state
    found = weighting.weigh(PROBA, torch.arange(5))
    torch.testing.assert_close(found, torch.tensor(weights, dtype=torch.float32))
    assert float(weighting.level) == pytest.approx(level)


@pytest.mark.parametrize(("method", "name"), [("freematch", "level"), ("softmatch", "mean")])
def test_the_level_follows_the_confidence(method, name):
    weighting, confidence = rule(method, momentum=0.9), float(batch().amax(1).mean())
    for past in (0.9, 0.81):
        weighting.weigh(batch(), torch.arange(30))
        level = past / 3 + (1 - past) * confidence
        assert float(weighting.state[name]) == pytest.approx(level)


def test_flexmatch_remembers_the_last_confident_class_of_an_image():
    weighting = rule("flexmatch", momentum=0.5)
    sure, unsure = torch.tensor([[0.9, 0.1, 0.0]]), torch.tensor([[0.1, 0.6, 0.3]])
    for rows, remembered in ((sure, 0), (unsure, 0), (sure.flip(1), 2)):
        weighting.weigh(rows, torch.tensor([7]))
        assert weighting.state["remembered"][7] == remembered
    assert (weighting.state["remembered"] == -1).sum() == 49


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
    torch.testing.assert_close(_Alignment(leaning.mean(0), momentum=0.5)(leaning), leaning)


def test_sharpening_runs_from_hard_to_the_same():
    predicted = batch()
    assert torch.equal(_sharpen(predicted, 0), torch.eye(3)[predicted.argmax(dim=1)])
    squared = predicted**2 / (predicted**2).sum(dim=1, keepdim=True)
    torch.testing.assert_close(_sharpen(predicted, 0.5), squared)
    torch.testing.assert_close(_sharpen(predicted, 1.0), predicted)
    # A power of these would be 0 in every class.
    even = torch.full((1, 4), 0.25)
    torch.testing.assert_close(_sharpen(even, 0.001), even)


def test_the_fairness_objective_prefers_varied_predictions_and_has_a_gradient():
    even, accepted = torch.full((3,), 1 / 3), torch.tensor([True, True, True, False])
    varied = torch.cat([4 * torch.eye(3), torch.zeros(1, 3)]).requires_grad_()
    assert float(_fairness_loss(varied, accepted, even, even).detach()) == pytest.approx(
        -math.log(3)
    )
    _fairness_loss(varied, accepted, torch.tensor([0.5, 0.3, 0.2]), even).backward()
    assert torch.isfinite(varied.grad).all()
    assert varied.grad.abs().max() > 0
    none = _fairness_loss(varied, ~accepted & accepted, even, even)
    assert none.item() == 0
    assert none.requires_grad
