"""How long and how fast a network trains."""

import dataclasses

import pytest

from fewlabel.errors import UsageError
from fewlabel.nets import TrainSettings
from fewlabel.nets.settings import _rate_factor

OUTSIDE = {"n_epochs": 0, "batch_size": 2.5, "learning_rate": 0, "weight_decay": -1, "warmup": 1.0}
OUTSIDE |= {"ema_decay": 1.0, "label_smoothing": -0.1, "patience": True, "min_steps": "many"}


@pytest.mark.parametrize(("name", "value"), [*OUTSIDE.items(), ("learning_rate", float("nan"))])
def test_a_setting_out_of_range_is_named(name, value):
    settings = dataclasses.replace(TrainSettings(), **{name: value})
    with pytest.raises(UsageError, match=f"The '{name}' parameter of Someone must be"):
        settings._check("Someone")


def test_the_rate_rises_then_falls_to_nothing():
    factor = _rate_factor(50, 0.2)
    rates = [factor(step) for step in range(50)]
    peak = rates.index(max(rates))
    assert max(rates) == 1
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert 0 < rates[-1] < 0.01
    # One step is taken at the full rate.
    assert _rate_factor(1, 0.05)(0) == 1
    assert TrainSettings(ema_decay=0.7)._decay(10_000) == 0.7
    assert TrainSettings()._decay(10) == 0.5
