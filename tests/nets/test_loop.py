"""The training loop: it learns, repeats itself, and notices divergence."""

import dataclasses

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
)

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


def test_the_same_seed_gives_the_same_weights_whatever_the_global_generator():
    drawn = []

    def augment(inputs, generator):
        drawn.append(float(torch.rand((), generator=generator)))
        return inputs

    first = Trainer(network(), SETTINGS, device=CPU, augment=augment).fit(training_set())
    second_network = network()
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    second = Trainer(second_network, SETTINGS, device=CPU, augment=augment).fit(training_set())
    assert torch.equal(before, torch.random.get_rng_state())
    assert_same_weights(first, second)
    # An augmentation draws from the epochs' own generator.
    assert drawn[:48] == drawn[48:]
    assert len(set(drawn)) == 48
    other = dataclasses.replace(SETTINGS, seed=1)
    third = Trainer(network(), other, device=CPU).fit(training_set())
    assert not np.array_equal(weights(first)["head.weight"], weights(third)["head.weight"])


def test_a_loss_that_is_no_number_stops_with_the_step_and_keeps_the_checkpoint(tmp_path):
    class Diverging(Trainer):
        def train_step(self, step, batch):
            self.step = step
            return super().train_step(step, batch)

        def loss(self, batch):
            return super().loss(batch) * (float("nan") if self.step > 20 else 1)

    file = tmp_path / "checkpoint.safetensors"
    trainer = Diverging(network(), SETTINGS, device=CPU, checkpoint=file)
    with pytest.raises(TrainingError, match=r"became nan at step 22 of 48: lower the learning"):
        trainer.fit(training_set())
    assert file.exists()
