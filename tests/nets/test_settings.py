"""How long and how fast a network trains."""

import dataclasses

import pytest

from fewlabel.errors import UsageError
from fewlabel.nets import TrainSettings
from fewlabel.nets.settings import learning_rate_at


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_epochs", 0),
        ("batch_size", 2.5),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("weight_decay", -1),
        ("warmup", 1.0),
        ("ema_decay", 1.0),
        ("label_smoothing", -0.1),
        ("patience", True),
        ("min_steps", "many"),
    ],
)
def test_a_setting_out_of_range_is_named(name, value):
    settings = dataclasses.replace(TrainSettings(), **{name: value})
    with pytest.raises(UsageError, match=f"The '{name}' parameter of Someone must be"):
        settings.check("Someone")


def test_the_defaults_are_in_range():
    TrainSettings().check("Someone")


def test_the_rate_rises_then_falls_to_nothing():
    settings = TrainSettings(learning_rate=2.0, warmup=0.2)
    rates = [learning_rate_at(step, 50, settings) for step in range(50)]
    peak = rates.index(max(rates))
    assert max(rates) == 2.0
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert 0 < rates[-1] < 0.01


def test_one_step_is_taken_at_the_full_rate():
    assert learning_rate_at(0, 1, TrainSettings(learning_rate=0.5)) == 0.5


def test_a_given_decay_is_kept():
    assert TrainSettings(ema_decay=0.7).decay(10_000) == 0.7
    assert TrainSettings().decay(10) == 0.5
