"""Which layers are trained, and how fast each."""

import numpy as np
import pytest
import torch

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
