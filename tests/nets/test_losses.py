"""Losses on soft targets, and on labels of which some are not known."""

import numpy as np
import pytest
import torch

from fewlabel.data import MultiLabel, SingleLabel
from fewlabel.nets.losses import (
    _loss_for,
    _masked_asymmetric_loss,
    _mean_loss,
    _smooth_targets,
    masked_binary_cross_entropy,
    soft_cross_entropy,
)


def test_hard_targets_give_torchs_cross_entropy():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 4, generator=generator)
    classes = torch.tensor([0, 1, 2, 3, 0, 1])
    targets = torch.nn.functional.one_hot(classes, 4).float()
    expected = torch.nn.functional.cross_entropy(logits, classes, reduction="none")
    torch.testing.assert_close(soft_cross_entropy(logits, targets), expected)
    known = torch.ones(6, 4)
    torch.testing.assert_close(soft_cross_entropy(logits, targets, known), expected)
    # A row of weight 0 counts as none, and the mean is over rows.
    weights = torch.tensor([1.0, 1, 1, 0, 0, 0])
    assert _mean_loss(expected, weights) == pytest.approx(float(expected[:3].sum() / 6))


def test_unknown_entries_have_no_loss_and_no_gradient():
    for loss in (masked_binary_cross_entropy, _masked_asymmetric_loss):
        logits = torch.tensor([[0.5, -1.0, 2.0]], requires_grad=True)
        known = torch.tensor([[1.0, 0.0, 0.5]])
        targets = torch.tensor([[0.0, 1.0, 0.3]])
        value = loss(logits, targets, known)
        value.sum().backward()
        assert value == loss(logits, torch.tensor([[0.0, 0.2, 0.3]]), known)
        assert (logits.grad[0] != 0).tolist() == [True, False, True]


def test_the_asymmetric_loss_is_binary_cross_entropy_without_its_asymmetry():
    logits, targets = torch.linspace(-3, 3, 12).view(3, 4), torch.rand(3, 4)
    known = torch.ones(3, 4)
    plain = {"gamma_negative": 0.0, "gamma_positive": 0.0, "clip": 0.0}
    torch.testing.assert_close(
        _masked_asymmetric_loss(logits, targets, known, **plain),
        masked_binary_cross_entropy(logits, targets, known),
    )
    # An easy absent label counts less than a present one that is as easy.
    absent, present = _masked_asymmetric_loss(
        torch.tensor([[-2.0], [2.0]]), torch.tensor([[0.0], [1.0]])
    )
    assert absent < present / 50


def test_a_task_has_losses_by_name_and_smooths_over_what_excludes_each_other():
    assert _smooth_targets(torch.eye(5), 0.3)[0].tolist() == pytest.approx([0.76] + [0.06] * 4)
    logits, targets = torch.randn(3, 4), torch.eye(4)[:3]
    for task, uniform in ((SingleLabel(), 0.25), (MultiLabel(), 0.5)):
        plain = _loss_for(task, None, 0.0, "Someone")
        smoothed = _loss_for(task, None, 0.2, "Someone")(logits, targets, None)
        torch.testing.assert_close(smoothed, plain(logits, 0.8 * targets + 0.2 * uniform, None))


def test_a_head_for_several_labels_starts_from_how_often_each_is_present():
    targets = np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    known = np.array([[1, 1], [1, 1], [0, 1]])
    assert SingleLabel().head_bias(targets, None) is None
    bias = MultiLabel().head_bias(targets, known)
    np.testing.assert_allclose(1 / (1 + np.exp(-bias)), [1 / 2, 1 / 3], rtol=1e-6)
    never = MultiLabel().head_bias(np.zeros((5, 1)), None)
    np.testing.assert_allclose(1 / (1 + np.exp(-never)), 0.01, rtol=1e-6)
