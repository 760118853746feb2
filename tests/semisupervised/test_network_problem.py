"""What the networks of a search share: time, steps, and what an interrupted one has kept."""

import re
from dataclasses import replace

import numpy as np
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


@pytest.mark.parametrize("keeps_trunk", [False, True])
def test_a_step_that_takes_seconds_is_measured_once(monkeypatch, keeps_trunk):
    class Slow:
        """A network of which every step takes long."""

        steps = 0

        def network(self, n_rows, *, progress, **_):
            self.progress = progress
            return self

        batch_size = 32

        def __init__(self):
            self.keeps_trunk = keeps_trunk

        def fit_soft(self, pixels, targets):
            for step in range(100):
                Slow.steps += 1
                # A pass of all photos through the layers that are kept is not a step.
                now[0] += 100.0 if keeps_trunk and not step else 8.0
                self.progress("train", step, 100)

    now = [0.0]
    monkeypatch.setattr(network_problem.time, "perf_counter", lambda: now[0])
    assert network_problem._seconds_per_step(np.zeros((64, 8, 8), np.uint8), 3, Slow()) == 8
    assert Slow.steps == 1 + keeps_trunk


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
