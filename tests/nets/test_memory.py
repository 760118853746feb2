"""Out of memory: half as many rows at once, the same step, and a warning."""

import numpy as np
import pytest
import torch
from torch import nn

from fewlabel.errors import TrainingError
from fewlabel.nets import Trainer, TrainingSet, TrainSettings, predict_logits
from fewlabel.nets.memory import _is_out_of_memory
from fewlabel.nets.network import Network, NetworkSpec

CPU = torch.device("cpu")
SETTINGS = TrainSettings(n_epochs=3, batch_size=16, learning_rate=1e-2)
TOO_MUCH = "[enforce fail at alloc_cpu.cpp:128] DefaultCPUAllocator: can't allocate memory"


def network(most):
    """A network that holds so many rows and no more."""
    torch.manual_seed(0)

    def refuse(layer, inputs):
        if len(inputs[0]) > most:
            raise RuntimeError(TOO_MUCH)

    body = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
    body.register_forward_pre_hook(refuse)
    return Network(NetworkSpec("mlp", (4,), 2), body, 8)


def training_set(n=48):
    rows = np.random.default_rng(0).normal(size=(n, 4))
    weights = np.linspace(0.5, 1.5, n)
    return TrainingSet.of(rows, np.eye(2)[(rows[:, 0] > 0).astype(int)], weights)


@pytest.mark.usefixtures("float32")
def test_a_step_in_parts_is_the_step_of_the_whole_batch():
    whole = Trainer(network(16), SETTINGS, device=CPU).fit(training_set())
    short = Trainer(network(5), SETTINGS, device=CPU)
    with pytest.warns(RuntimeWarning, match=r"ran out on cpu: .* at most (8|4) rows") as seen:
        parts = short.fit(training_set())
    # Once for 8 rows, once for 4; from then on it knows.
    assert [str(w.message).split("at most ")[1].split()[0] for w in seen] == ["8", "4"]
    assert short.n_parts == 4
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_prediction_halves_its_batches():
    rows = training_set().inputs
    expected = predict_logits(network(48).eval(), rows, CPU)
    with pytest.warns(RuntimeWarning, match="at most (24|12) rows") as seen:
        found = predict_logits(network(13).eval(), rows, CPU)
    assert len(seen) == 2
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    with (
        pytest.warns(RuntimeWarning, match="Memory ran out"),
        pytest.raises(RuntimeError, match="can't allocate"),
    ):
        predict_logits(network(0).eval(), rows, CPU)


def test_memory_that_does_not_suffice_for_two_rows_and_other_errors():
    with (
        pytest.warns(RuntimeWarning, match="Memory ran out"),
        pytest.raises(TrainingError, match=r"ran out with 2 rows at once: choose a smaller"),
    ):
        Trainer(network(1), SETTINGS, device=CPU).fit(training_set())
    broken = Trainer(network(16), SETTINGS, device=CPU)
    broken.loss = lambda batch: torch.ones(2, 3) @ torch.ones(2, 3)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        broken.fit(training_set())


def test_what_counts_as_out_of_memory():
    texts = TOO_MUCH, "CUDA out of memory. Tried to allocate 2.00 GiB", "MPS backend out of memory"
    assert all(_is_out_of_memory(error) for error in (MemoryError(), *map(RuntimeError, texts)))
    assert not _is_out_of_memory(RuntimeError("expected scalar type Float"))
