"""Which layers are trained, and how fast each."""

import pytest

from tests.nets.test_fine_tuning import changes, is_statistic, tuned


@pytest.mark.parametrize(
    ("settings", "stages"),
    [
        ({"depth": "head", "augment": "mild"}, set()),
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
