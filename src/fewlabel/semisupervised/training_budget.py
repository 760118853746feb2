"""How many steps of training the time budget pays for."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from fewlabel.semisupervised.graph_student import new_student
from fewlabel.semisupervised.network_inputs import Problem

LEAST_STEPS = 200
"""A network that is trained for fewer steps than this has seen too little."""

_STEPS = 6
_WARM_UP = 2
_FEW, _MANY = 3.3, 6.0
_ENOUGH_STEPS = 800


@dataclass(frozen=True)
class Pace:
    """How long a network can be trained.

    Attributes
    ----------
    n_steps : int
        Steps of one training; 0 where the time does not suffice.
    least_seconds : float
        Time that three of the shortest trainings take.
    """

    n_steps: int
    least_seconds: float


def find_pace(problem: Problem, seconds: float, *, asked: bool) -> Pace:
    """Say how long a network can be trained: first three networks, then longer, then more.

    Parameters
    ----------
    problem : Problem
        Images and settings, ``n_steps`` among them: more is never said.
    seconds : float
        Time for all trainings.
    asked : bool
        Whether a network is wanted whatever the time.

    Returns
    -------
    Pace
        Steps of one training.
    """
    wanted = problem.settings.n_steps
    if wanted <= LEAST_STEPS:
        return Pace(wanted, 0.0)
    each = seconds_per_step(problem)
    in_all = seconds / each
    steps = int(max(min(in_all / _FEW, _ENOUGH_STEPS), in_all / _MANY))
    least = LEAST_STEPS * _FEW * each
    if steps < LEAST_STEPS:
        return Pace(LEAST_STEPS if asked else 0, least)
    return Pace(min(wanted, steps), least)


def seconds_per_step(problem: Problem) -> float:
    """Measure a step of training on a few images, after a warm-up.

    Parameters
    ----------
    problem : Problem
        Images and settings.

    Returns
    -------
    float
        Median seconds.
    """
    settings = problem.settings
    n = min(len(problem.images), settings.batch_size * _STEPS)
    moments: list[float] = []
    network = new_student(
        n,
        settings,
        seed=0,
        progress=lambda stage, done, total: moments.append(time.perf_counter()),
    )
    n_epochs = max(1, -(-_STEPS * settings.batch_size // n))
    network.set_params(n_epochs=n_epochs)
    # Uniform targets: no label is needed to measure time.
    n_classes = len(problem.main.classes_)
    targets = np.full((n, n_classes), 1 / n_classes)
    network.fit_soft(problem.pixels[:n], targets)
    passed = np.diff(moments)
    return float(np.median(passed[min(_WARM_UP, len(passed) // 2) :])) if len(passed) else 1e-3
