"""Which layers are trained, and how fast each."""

import numpy as np
import pytest
import torch
from sklearn.base import clone

from fewlabel.nets.batches import _to_network
from fewlabel.nets.cached_trunk import TrunkMemory
from tests.nets.test_fine_tuning import changes, colored, is_statistic, tuned


@pytest.mark.parametrize(
    ("settings", "stages"),
    [
        ({"depth": "head", "augment": "mild"}, set()),
        ({"depth": "top"}, {"blocks.5", "conv_head"}),
        ({"depth": "partial"}, {"blocks.4", "blocks.5", "conv_head"}),
    ],
)
def test_a_head_and_partial_fine_tuning_leave_the_lower_layers_alone(weights, settings, stages):
    model = tuned(weights, **settings)
    assert len(model.history_) == 2
    changed = [name.split(".") for name, change in changes(weights, model).items() if change > 0]
    assert {".".join(name[: 1 + (name[0] == "blocks")]) for name in changed} == stages


def test_full_fine_tuning_changes_every_layer_the_lower_ones_less(weights):
    moved = changes(weights, tuned(weights, layer_decay=0.5))
    trained = {name: change for name, change in moved.items() if not is_statistic(name)}
    assert min(trained.values()) > 0
    stem, top = trained["conv_stem.weight"], trained["conv_head.weight"]
    # Adam moves all weights by about the rate: half as much for each of the seven stages.
    assert 2**5 < top / stem < 2**9


def test_the_top_is_trained_on_what_the_layers_below_gave_once(weights, monkeypatch):
    # In bfloat16 the steps of Adam would follow the rounding.
    monkeypatch.setattr("fewlabel.nets.network.matmul_dtype", lambda device: torch.float32)
    images, _ = colored(seed=1)
    cached = tuned(weights, depth="top")
    monkeypatch.setattr("fewlabel.nets.fine_tuning._split_network", lambda network: None)
    plain, head = tuned(weights, depth="top"), tuned(weights, depth="head")
    assert len(cached.history_) == len(plain.history_) == 2
    found, expected, before = (each.predict_proba(images) for each in (cached, plain, head))
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert np.abs(found - before).max() > 1e-2


def test_networks_trained_in_turn_share_what_the_lower_layers_gave(weights, monkeypatch):
    monkeypatch.setattr("fewlabel.nets.network.matmul_dtype", lambda device: torch.float32)
    images, y = colored()
    plain, memory, passed = tuned(weights, depth="top"), TrunkMemory(), []
    to_network = "fewlabel.nets.cached_trunk._to_network"
    count = lambda photos, device: passed.append(len(photos)) or _to_network(photos, device)  # noqa: E731
    monkeypatch.setattr(to_network, count)
    for _ in range(2):
        shared = clone(plain)
        shared.memory = memory
        shared.fit(images[:40], y[:40])
        found = shared.embed(images)
        assert sum(passed) == len(images)
    memory.close()
    np.testing.assert_allclose(shared.embed(images), found, rtol=1e-3, atol=1e-3)
    assert sum(passed) == len(images)
