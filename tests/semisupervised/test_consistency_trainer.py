"""The training step: what passes through which network, and what the loss is made of."""

import dataclasses

import numpy as np
import pytest
import torch

from fewlabel.nets import NetworkSpec, TrainingSet, TrainSettings, build_network
from fewlabel.nets.augment import PRESETS
from fewlabel.semisupervised.consistency_trainer import (
    _ConsistencyBatch,
    _ConsistencySettings,
    _ConsistencyTrainer,
    _RowStream,
)

SETTINGS = TrainSettings(n_epochs=2, batch_size=4, learning_rate=1e-2)


def images(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 8, 8), dtype=np.uint8)


LABELED = TrainingSet.of(images(9), np.eye(3)[np.arange(9) % 3])


def trainer(propagated=None, **changes):
    torch.manual_seed(0)
    targets = np.zeros((20, 3)) if propagated is None else propagated
    network = build_network(NetworkSpec("cnn", (1, 8, 8), 3, {"widths": [4], "dropout": 0.0}))
    found = _ConsistencyTrainer(
        network,
        SETTINGS,
        device=torch.device("cpu"),
        unlabeled=TrainingSet.of(images(20, 1), targets),
        weak=PRESETS["weak"],
        strong=PRESETS["mild"],
        consistency=dataclasses.replace(_ConsistencySettings(mu=3), **changes),
        class_shares=torch.full((3,), 1 / 3),
        steps_per_epoch=3,
    )
    found.n_steps = 6
    return found


@pytest.mark.parametrize("teacher", ["ema", "live"])
def test_a_step_passes_weak_images_once_without_and_the_rest_once_with_a_gradient(teacher):
    train = trainer(teacher=teacher)
    live, averaged = [], []
    for network, passes in ((train.network, live), (train.average.module, averaged)):

        def note(module, inputs, output, passes=passes):
            passes.append((len(inputs[0]), output.requires_grad, module.training))

        network.register_forward_hook(note)
    train.fit(LABELED)
    without, joined = (12, False, False), (4 + 12, True, True)
    expected = ([joined] * 6, [without] * 6) if teacher == "ema" else ([without, joined] * 6, [])
    assert (live, averaged) == expected


def test_the_learner_has_a_gradient_and_the_teacher_has_none():
    train = trainer(teacher="live", temperature=0.5)
    batch = next(train.batches(0, LABELED))
    targets, weights = train.pseudo_labels(batch.unlabeled.inputs, batch.rows)
    assert not targets.requires_grad
    assert not weights.requires_grad
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(12))
    # Autocast must not hand the weights that the teacher has cast to the learner.
    with torch.autocast("cpu", dtype=torch.bfloat16):
        train.loss(batch).backward()
    assert all(parameter.grad is None for parameter in train.average.module.parameters())
    assert all(parameter.grad is not None for parameter in train.network.parameters())
    assert train.network.head.weight.grad.abs().max() > 0


def test_without_weight_the_unlabeled_images_change_no_gradient():
    def gradient(**changes):
        train = trainer(**changes)
        train.network.eval()
        train.loss(next(train.batches(0, LABELED))).backward()
        return train.network.head.weight.grad

    alone = gradient(lambda_u=0.0)
    assert torch.equal(alone, gradient(method="fixmatch", threshold=1.0))
    assert not torch.allclose(alone, gradient(method="fixmatch", threshold=0.0))


def test_propagated_labels_are_targets_at_first_and_fade_out():
    train = trainer(propagated=np.tile([0.0, 0.9, 0.0], (20, 1)), propagated_fraction=0.5)
    weights = []
    for train.step in range(6):
        weights.append(train.propagated_weight())
    assert weights == pytest.approx([1, 2 / 3, 1 / 3, 0, 0, 0])
    # At the first step nothing is asked of the pseudo-labels.
    train.step = 0
    batch = next(train.batches(0, LABELED))
    train.network.eval()
    train.strong = PRESETS["none"]
    train.loss(batch)
    logits = train.network(batch.unlabeled.inputs)
    expected = -0.9 * torch.log_softmax(logits, dim=1)[:, 1].mean()
    torch.testing.assert_close(train.sums["unlabeled_loss"], expected.detach())


def test_a_batch_splits_into_parts_that_hold_both_kinds():
    batch = next(trainer().batches(0, LABELED))
    parts = batch.split(2)
    assert [len(part) for part in parts] == [2, 2]
    assert all(isinstance(part, _ConsistencyBatch) for part in parts)
    assert [len(part.unlabeled) for part in parts] == [6, 6]
    assert torch.equal(torch.cat([part.rows for part in parts]), batch.rows)
    assert batch.split(1)[0] is batch


def test_every_row_is_visited_equally_often_across_epochs():
    stream = _RowStream(7, seed=0, kind=1)
    rows = torch.cat([stream.take(start, 5) for start in range(0, 35, 5)])
    assert torch.equal(torch.bincount(rows), torch.full((7,), 5))
    again = _RowStream(7, seed=0, kind=1).take(10, 9)
    assert torch.equal(again, rows[10:19])
    assert not torch.equal(_RowStream(7, seed=0, kind=2).take(0, 7), rows[:7])
