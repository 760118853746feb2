"""Between the epochs: the best weights are kept, and interrupted trainings go on."""

import dataclasses

import numpy as np
import pytest
import torch

from fewlabel.nets import NetworkSpec, Trainer, TrainingSet, build_network
from fewlabel.nets.augment import make_augmentation
from tests.nets.test_loop import (
    CPU,
    SETTINGS,
    assert_same_weights,
    network,
    training_set,
)


class Carrying(Trainer):
    """Carries a number from epoch to epoch, which changes the loss; may end in the fourth."""

    total = 0.0
    is_hurt = True

    def train_step(self, step, batch):
        if self.is_hurt and step == 3 * self.steps_per_epoch + 2:
            raise InterruptedError
        return super().train_step(step, batch)

    def loss(self, batch):
        loss = super().loss(batch)
        self.total = 0.9 * self.total + float(loss.detach())
        return loss * (1 + 0.1 * self.total)

    def epoch_figures(self):
        return {"total": self.total}

    def extra_state(self):
        return {"total": torch.tensor(self.total, dtype=torch.float64)}

    def load_extra_state(self, state):
        self.total = float(state["total"])


def unhurt(trainer):
    """Let a trainer go to the end; its fingerprint stays."""
    trainer.is_hurt = False
    return trainer


def test_what_a_subclass_carries_stands_in_the_checkpoint(tmp_path):
    file = tmp_path / "checkpoint.safetensors"
    whole = unhurt(Carrying(network(), SETTINGS, device=CPU))
    expected = whole.fit(training_set())
    with pytest.raises(InterruptedError):
        Carrying(network(), SETTINGS, device=CPU, checkpoint=file).fit(training_set())
    assert file.exists()
    resumed = unhurt(Carrying(network(), SETTINGS, device=CPU, checkpoint=file))
    assert_same_weights(expected, resumed.fit(training_set()))
    assert [record["epoch"] for record in resumed.history] == list(range(6))
    assert not file.exists()
    totals = [[record["total"] for record in trainer.history] for trainer in (whole, resumed)]
    assert totals[0] == totals[1]


@pytest.mark.parametrize("change", ["data", "augmentation", "damage"])
def test_a_checkpoint_of_anything_else_is_not_taken_up(tmp_path, change):
    file = tmp_path / "checkpoint.safetensors"
    settings = dataclasses.replace(SETTINGS, batch_size=10)

    def data(seed=0):
        images = np.random.default_rng(seed).integers(0, 256, (60, 6, 6), dtype=np.uint8)
        return TrainingSet.of(images, np.eye(3)[np.arange(60) % 3])

    def trainer(checkpoint=None, augment="mild"):
        torch.manual_seed(0)
        net = build_network(NetworkSpec("mlp", (1, 6, 6), 3, {"widths": [8]}))
        augment = make_augmentation(augment)
        return Carrying(net, settings, device=CPU, augment=augment, checkpoint=checkpoint)

    with pytest.raises(InterruptedError):
        trainer(file, "weak" if change == "augmentation" else "mild").fit(data(change == "data"))
    assert file.exists()
    if change == "damage":
        file.write_bytes(b"not a checkpoint")
    assert_same_weights(unhurt(trainer()).fit(data()), unhurt(trainer(file)).fit(data()))
