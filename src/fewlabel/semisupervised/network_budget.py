"""What all networks of a search share: held-out labels, time for training, pixels, checkpoints."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np

from fewlabel.evaluate import held_out
from fewlabel.evaluate.candidate import Problem
from fewlabel.features.backbone import Backbone
from fewlabel.semisupervised.checkpoints import Checkpoints
from fewlabel.semisupervised.network_inputs import NetworkSettings, read_pixels

MIN_STEPS = 200
"""A network that is trained for fewer steps than this has seen too little."""

_SMALL_SIDE, _PHOTO_SIDE = 64, 160
_TIMED_STEPS, _WARM_UP = 6, 2
_FEW_TRAININGS, _MANY_TRAININGS, _ENOUGH_STEPS = 3.3, 6.0, 800


def _held(problem: Problem) -> np.ndarray | None:
    """Return the labeled images that networks are tested on."""

    def choose() -> np.ndarray | None:
        if problem.folds is None:
            return None
        return held_out(problem.folds, problem.y, problem.task)

    return problem.once("held", choose)


def _settings(problem: Problem) -> NetworkSettings:
    """Return how networks are trained, with as many steps as the time pays for."""
    return problem.once("network settings", lambda: _timed_settings(problem)[0])


def _why_no_time(problem: Problem) -> str:
    settings, least = problem.once("network time", lambda: _timed_settings(problem))
    if settings.n_steps:
        return ""
    return (
        "Networks were not tried: on this machine they need more time. Give "
        f"--time {math.ceil(least / 60) + 1}m or more."
    )


def _wanted_settings(problem: Problem) -> NetworkSettings:
    """Return the settings that suit the features, with as many steps as are of use."""
    given: NetworkSettings | None = problem.shared.get("settings")
    return given or NetworkSettings.for_features(problem.extractor, problem.device)


def _timed_settings(problem: Problem) -> tuple[NetworkSettings, float]:
    """Return settings with the steps of a training (0: too little time), and the least time.

    The time pays for three trainings first, then for longer ones, then for more of them. An
    interrupted search goes on with the steps that it was begun with: no machine is ever quite as
    fast as before, and the state of a training would not fit another number.
    """
    settings = _wanted_settings(problem)
    store = _store(problem)
    kept = store.get("steps")
    if kept is not None:
        return replace(settings, n_steps=int(kept.meta["n_steps"])), 0.0
    least = 0.0
    if settings.n_steps > MIN_STEPS:
        each = _seconds_per_step(problem, settings)
        least = MIN_STEPS * _FEW_TRAININGS * each
        total = problem.time_left() / each
        steps = int(max(min(total / _FEW_TRAININGS, _ENOUGH_STEPS), total / _MANY_TRAININGS))
        if steps < MIN_STEPS:
            steps = MIN_STEPS if problem.shared.get("asked") else 0
        settings = replace(settings, n_steps=min(settings.n_steps, steps))
    if settings.n_steps:
        store.put("steps", {}, {"n_steps": settings.n_steps})
    return settings, least


def _seconds_per_step(problem: Problem, settings: NetworkSettings) -> float:
    """Measure the median step of a training on a few images, after a warm-up."""
    n = min(len(problem.images), settings.batch_size * _TIMED_STEPS)
    moments: list[float] = []
    n_epochs = max(1, -(-_TIMED_STEPS * settings.batch_size // n))
    network = settings.network(
        n,
        n_epochs=n_epochs,
        random_state=0,
        progress=lambda stage, done, total: moments.append(time.perf_counter()),
    )
    # Uniform targets: no label is needed to measure time.
    targets = np.full((n, problem.n_classes), 1 / problem.n_classes)
    network.fit_soft(_pixels(problem)[:n], targets)
    passed = np.diff(moments)
    return float(np.median(passed[min(_WARM_UP, len(passed) // 2) :])) if len(passed) else 1e-3


def _has_backbone(problem: Problem) -> bool:
    """Return whether a pretrained network is fine-tuned."""
    settings = problem.shared.get("settings")
    return isinstance(problem.extractor, Backbone) or bool(settings and settings.backbone)


def _pixels(problem: Problem) -> np.ndarray:
    """Return all images at the size that the networks take."""

    def read() -> np.ndarray:
        side = _PHOTO_SIDE if _has_backbone(problem) else _SMALL_SIDE
        return read_pixels(problem.images, side, color=_has_backbone(problem))

    return problem.once("pixels", read)


def _store(problem: Problem) -> Checkpoints:
    """Return what an interrupted search on the same images, labels and settings has kept."""

    def make() -> Checkpoints:
        about = [
            problem.images.digest(),
            problem.y,
            problem.seed,
            type(problem.extractor).__name__,
            repr(_wanted_settings(problem)),
        ]
        return Checkpoints(problem.checkpoints, about)

    return problem.once("store", make)
