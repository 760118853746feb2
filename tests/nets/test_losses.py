"""Losses on soft targets."""

import pytest
import torch

from fewlabel.nets import smooth_targets, soft_cross_entropy


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
