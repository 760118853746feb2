"""What the networks of a search share: time, steps, and what an interrupted one has kept."""

import re
from dataclasses import replace

import pytest

from fewlabel.data import SingleLabel
from fewlabel.semisupervised import network_problem
from fewlabel.semisupervised.network_inputs import NetworkSettings
from tests.semisupervised.conftest import QUICK, follow


def test_too_little_time_is_said_with_how_much_is_needed(monkeypatch):
    monkeypatch.setattr(network_problem, "_seconds_per_step", lambda *_: 60.0)
    long = replace(QUICK, n_steps=10_000)
    kept = follow(SingleLabel(), "auto", settings=long, seconds=241.0)
    assert not kept.n_networks
    assert re.search(r"need more time. Give --time \d+m or more", kept.notes[0])


def test_an_interrupted_search_keeps_its_number_of_steps(tmp_path, monkeypatch):
    slow = NetworkSettings("cnn", n_steps=400, batch_size=64, augment="weak", max_epochs=3)
    settings = {"settings": slow, "seconds": 0.001, "checkpoints": tmp_path}
    follow(SingleLabel(), **settings)

    def never(*args, **settings):
        raise AssertionError("measured again")

    monkeypatch.setattr(network_problem, "_seconds_per_step", never)
    follow(SingleLabel(), **settings)
    for change in ({"seed": 3}, {"settings": replace(slow, batch_size=32)}):
        with pytest.raises(AssertionError, match="measured again"):
            follow(SingleLabel(), **settings | change)
