"""Losses on soft targets, and on labels of which some are not known."""

import numpy as np
import pytest
import torch

from fewlabel.nets import (
    masked_asymmetric_loss,
    masked_binary_cross_entropy,
    masked_group_cross_entropy,
    smooth_targets,
    soft_cross_entropy,
)


def test_hard_targets_give_torchs_cross_entropy():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 4, generator=generator)
    classes = torch.tensor([0, 1, 2, 3, 0, 1])
    ours = soft_cross_entropy(logits, torch.nn.functional.one_hot(classes, 4).float())
    torch.testing.assert_close(ours, torch.nn.functional.cross_entropy(logits, classes))


def test_a_row_of_weight_0_says_nothing():
    logits = torch.tensor([[2.0, 0.0], [0.0, 5.0]], requires_grad=True)
    targets = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    soft_cross_entropy(logits, targets, torch.tensor([1.0, 0.0])).backward()
    assert logits.grad[0].abs().sum() > 0
    assert logits.grad[1].abs().sum() == 0


def test_smoothed_targets_still_sum_to_1():
    smooth = smooth_targets(torch.eye(5), 0.3)
    assert smooth.sum(1).tolist() == pytest.approx([1.0] * 5)
    assert float(smooth[0, 1]) == pytest.approx(0.06)


def test_unknown_entries_have_no_loss_and_no_gradient():
    for loss in (masked_binary_cross_entropy, masked_asymmetric_loss):
        logits = torch.tensor([[0.5, -1.0, 2.0]], requires_grad=True)
        known = torch.tensor([[1.0, 0.0, 0.5]])
        values = loss(logits, torch.tensor([[0.0, 1.0, 0.3]]), known)
        values.sum().backward()
        assert (values[0] > 0).tolist() == [True, False, True]
        assert (logits.grad[0] != 0).tolist() == [True, False, True]


def test_the_asymmetric_loss_is_binary_cross_entropy_without_its_asymmetry():
    logits, targets = torch.linspace(-3, 3, 12).view(3, 4), torch.rand(3, 4)
    known = torch.ones(3, 4)
    plain = {"gamma_negative": 0.0, "gamma_positive": 0.0, "clip": 0.0}
    torch.testing.assert_close(
        masked_asymmetric_loss(logits, targets, known, **plain),
        masked_binary_cross_entropy(logits, targets, known),
    )
    # An easy absent label counts less than a present one that is as easy.
    easy = masked_asymmetric_loss(
        torch.tensor([[-2.0, 2.0]]), torch.tensor([[0.0, 1.0]]), known[:1, :2]
    )
    assert easy[0, 0] < easy[0, 1] / 50


def test_a_group_of_known_labels_has_torchs_cross_entropy():
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    codes = torch.tensor([0, 1, 2, 3, 3])
    targets = torch.nn.functional.one_hot(codes, 4).float()
    expected = torch.nn.functional.cross_entropy(logits, codes, reduction="none")
    torch.testing.assert_close(
        masked_group_cross_entropy(logits, targets, torch.ones(5, 4)), expected
    )
    # One that is known to be present says all; nothing known says nothing.
    torch.testing.assert_close(masked_group_cross_entropy(logits, targets, targets), expected)
    nothing = masked_group_cross_entropy(logits, targets, torch.zeros(5, 4))
    torch.testing.assert_close(nothing, torch.zeros(5))


def test_a_label_known_to_be_absent_spreads_to_the_others():
    logits = torch.zeros(1, 3, requires_grad=True)
    known = torch.tensor([[1.0, 0.0, 0.0]])
    loss = masked_group_cross_entropy(logits, torch.zeros(1, 3), known)
    loss.sum().backward()
    assert loss.item() == pytest.approx(np.log(1.5), abs=1e-5)
    assert logits.grad[0, 0] > 0
    assert logits.grad[0, 1] == logits.grad[0, 2] < 0
    assert torch.isfinite(logits.grad).all()
