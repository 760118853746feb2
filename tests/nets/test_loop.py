"""The training loop: it learns, stops early, survives an interruption, and notices divergence."""

import dataclasses
import json
import signal

import numpy as np
import pytest
import torch

from fewlabel.errors import TrainingError
from fewlabel.nets import (
    NetworkSpec,
    Trainer,
    TrainingSet,
    TrainSettings,
    build_network,
    predict_logits,
)
from fewlabel.nets.augment import make_augmentation
from fewlabel.nets.batches import as_inputs
from fewlabel.nets.callbacks import _Validation
from tests.interpreter import run_code

CPU = torch.device("cpu")
SETTINGS = TrainSettings(n_epochs=6, batch_size=32, learning_rate=5e-3, checkpoint_seconds=0.0)


def blobs(seed=0, n=240):
    rng = np.random.default_rng(seed)
    classes = rng.integers(3, size=n)
    X = rng.normal(size=(n, 5)) + 3 * np.eye(3, 5)[classes]
    return X.astype(np.float32), classes


def network(seed=0):
    torch.manual_seed(seed)
    return build_network(NetworkSpec("mlp", (5,), 3, {"widths": [16, 8], "dropout": 0.3}))


def training_set(seed=0):
    X, classes = blobs(seed)
    return TrainingSet.of(X, np.eye(3)[classes])


def weights(trained):
    return {name: tensor.numpy() for name, tensor in trained.state_dict().items()}


def assert_same_weights(first, second):
    for name, array in weights(first).items():
        np.testing.assert_array_equal(array, weights(second)[name], err_msg=name)


class StopError(Exception):
    """Stands for a kill between two epochs."""


class Interrupted(Trainer):
    """Ends abruptly in the middle of the fourth epoch."""

    def train_step(self, step, batch):
        if step == 3 * self.steps_per_epoch + 2:
            raise StopError
        return super().train_step(step, batch)


def test_the_same_seed_gives_the_same_weights_whatever_the_global_generator():
    first = Trainer(network(), SETTINGS, device=CPU).fit(training_set())
    second_network = network()
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    second = Trainer(second_network, SETTINGS, device=CPU).fit(training_set())
    assert torch.equal(before, torch.random.get_rng_state())
    assert_same_weights(first, second)
    other = dataclasses.replace(SETTINGS, seed=1)
    third = Trainer(network(), other, device=CPU).fit(training_set())
    assert not np.array_equal(weights(first)["head.weight"], weights(third)["head.weight"])


KILLED = """
import os, signal, sys
from tests.nets.test_loop import *

class Killed(Trainer):
    def train_step(self, step, batch):
        if sys.argv[2] == "kill" and step == 3 * self.steps_per_epoch + 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().train_step(step, batch)

trained = Killed(network(), SETTINGS, device=CPU, checkpoint=sys.argv[1]).fit(training_set())
print(json.dumps(trained.head.weight.tolist()))
"""


def test_a_run_killed_outright_goes_on_to_the_same_weights(tmp_path):
    killed = run_code(KILLED, tmp_path / "a", "kill")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = run_code(KILLED, tmp_path / "a", "go on")
    whole = Trainer(network(), SETTINGS, device=CPU).fit(training_set())
    assert json.loads(resumed.stdout) == whole.head.weight.tolist()


def test_the_best_weights_on_validation_data_are_kept_and_training_stops():
    X, classes = blobs(2)
    settings = dataclasses.replace(SETTINGS, n_epochs=60, patience=3)
    trainer = Trainer(network(), settings, device=CPU)
    validation = _Validation(
        as_inputs(X), classes, lambda y, logits: float(np.mean(logits.argmax(axis=1) == y))
    )
    trained = trainer.fit(training_set(), validation)
    reached = [record["validation_accuracy"] for record in trainer.history]
    best = int(np.argmax(reached))
    assert len(reached) == best + 1 + 3 < 60
    predicted = predict_logits(trained, as_inputs(X), CPU).argmax(1)
    assert np.mean(predicted == classes) == max(reached)


def test_a_loss_that_is_no_number_stops_with_the_step_and_keeps_the_checkpoint(tmp_path):
    class Diverging(Trainer):
        def loss(self, batch):
            loss = super().loss(batch)
            return loss * float("nan") if self.optimizer.state and self.steps > 20 else loss

        steps = 0

        def train_step(self, step, batch):
            self.steps = step
            return super().train_step(step, batch)

    file = tmp_path / "checkpoint.safetensors"
    trainer = Diverging(network(), SETTINGS, device=CPU, checkpoint=file)
    with pytest.raises(TrainingError, match=r"became nan at step 22 of 48: lower the learning"):
        trainer.fit(training_set())
    assert file.exists()


def test_augmentation_draws_from_the_epochs_own_generator():
    drawn = []

    def augment(inputs, generator):
        drawn.append(float(torch.rand((), generator=generator)))
        return inputs

    for _ in range(2):
        Trainer(network(), SETTINGS, device=CPU, augment=augment).fit(training_set())
    assert drawn[:48] == drawn[48:]
    assert len(set(drawn[:48])) == 48


@pytest.mark.usefixtures("float32")
def test_embeddings_are_what_the_head_sees():
    net = network().eval()
    X, _ = blobs()
    embedded = predict_logits(net, as_inputs(X), CPU, embed=True, batch_size=50)
    logits = predict_logits(net, as_inputs(X), CPU, batch_size=1_000)
    head = net.head(torch.from_numpy(embedded)).detach().numpy()
    np.testing.assert_allclose(head, logits, rtol=1e-4, atol=1e-5)


class Counting(Interrupted):
    """Carries a number from epoch to epoch beside the weights, and changes the loss by it."""

    total = 0.0

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
    """Let a trainer of the same class, and so of the same fingerprint, go to the end."""
    trainer.train_step = lambda step, batch: Trainer.train_step(trainer, step, batch)
    return trainer


def test_what_a_subclass_carries_stands_in_the_checkpoint(tmp_path):
    file = tmp_path / "checkpoint.safetensors"
    whole = unhurt(Counting(network(), SETTINGS, device=CPU))
    expected = whole.fit(training_set())
    with pytest.raises(StopError):
        Counting(network(), SETTINGS, device=CPU, checkpoint=file).fit(training_set())
    assert file.exists()
    resumed = unhurt(Counting(network(), SETTINGS, device=CPU, checkpoint=file))
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
        return Interrupted(net, settings, device=CPU, augment=augment, checkpoint=checkpoint)

    with pytest.raises(StopError):
        trainer(file, "weak" if change == "augmentation" else "mild").fit(data(change == "data"))
    assert file.exists()
    if change == "damage":
        file.write_bytes(b"not a checkpoint")
    assert_same_weights(unhurt(trainer()).fit(data()), unhurt(trainer(file)).fit(data()))
