"""How many steps of training the time budget pays for."""

from __future__ import annotations

import time

import numpy as np

from fewlabel.network_road.problem import Problem
from fewlabel.selftrain.graph_student import new_student

LEAST_STEPS = 200
"""A network that is trained for fewer steps than this has seen too little."""

_STEPS = 12
_WARM_UP = 4


_FEW, _MANY = 3.3, 6.0
_ENOUGH_STEPS = 800


def affordable_steps(problem: Problem, seconds: float, *, asked: bool) -> int | None:
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
    int or None
        Steps; None where the time does not suffice for `LEAST_STEPS`.
    """
    wanted = problem.settings.n_steps
    if wanted <= LEAST_STEPS:
        return wanted
    in_all = seconds / seconds_per_step(problem)
    steps = int(max(min(in_all / _FEW, _ENOUGH_STEPS), in_all / _MANY))
    if steps >= min(wanted, LEAST_STEPS):
        return min(wanted, steps)
    return min(wanted, LEAST_STEPS) if asked else None


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
