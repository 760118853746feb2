"""What all networks of a search share: held-out labels, time for training, pixels, checkpoints."""

import contextlib
import math
import time
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from fewlabel.data import ImageSet
from fewlabel.evaluate import held_out
from fewlabel.evaluate.candidate import Fitted, Problem
from fewlabel.features.backbone import Backbone
from fewlabel.features.base import FeatureExtractor
from fewlabel.graph import fit_main
from fewlabel.nets.cached_trunk import TrunkMemory
from fewlabel.semisupervised.checkpoints import _Checkpoints
from fewlabel.semisupervised.network_inputs import NetworkSettings, _read_pixels

MIN_STEPS = 200
"""A network that is trained for fewer steps than this has seen too little."""

# The first steps are slower: memory is claimed, and kernels are chosen.
_TIMED_STEPS, _WARM_UP = 6, 2
# Hundreds of such steps take half an hour and more: one is enough to know it.
_SLOW_STEP_S = 3.0
# Three trainings are the fewest that are of use; the rest is for embeddings and the graph.
_FEW_TRAININGS, _MANY_TRAININGS, _ENOUGH_STEPS = 3.3, 6.0, 800


@dataclass(frozen=True, eq=False, kw_only=True)
class NetworkProblem(Problem):
    """A problem with what its networks share, each made when the first of them asks for it.

    Attributes
    ----------
    main : Fitted
        The best candidate that needs no network, fitted on ``rows``.
    """

    main: Fitted

    @classmethod
    def of(cls, problem: Problem, main: Fitted | None = None) -> Self:
        """Return a problem with what its networks share; by default ``main`` is fitted here."""
        if isinstance(problem, cls):
            return problem
        given = {field.name: getattr(problem, field.name) for field in fields(Problem)}
        return cls(**given, main=main or fit_main(problem).kept)

    @cached_property
    def held(self) -> np.ndarray | None:
        """Labeled images that networks are tested on; None where there are too few."""
        if self.folds is None:
            return None
        return held_out(self.folds, self.y, self.task)

    @cached_property
    def seconds(self) -> float:
        """Time that is left when the first network begins."""
        return self.time_left()

    @cached_property
    def wanted_settings(self) -> NetworkSettings:
        """Settings that suit the features, with as many steps as are of use."""
        return NetworkSettings.for_features(self.extractor, self.device)

    @property
    def has_backbone(self) -> bool:
        """Whether a pretrained network is fine-tuned."""
        return self.wanted_settings.backbone is not None

    @property
    def settings(self) -> NetworkSettings:
        """How networks are trained, with as many steps as the time pays for; 0 is too little."""
        return self._timed_settings[0]

    @property
    def why_no_time(self) -> str:
        """Why no network can be trained in the time; empty where there is enough."""
        settings, least = self._timed_settings
        if settings.n_steps:
            return ""
        return (
            "Networks were not tried: on this machine they need more time. Give "
            f"--time {math.ceil(least / 60) + 1}m or more."
        )

    @cached_property
    def pixels(self) -> np.ndarray:
        """All images at the size that the networks take."""
        return _pixels_for(self.images, self.wanted_settings)

    @cached_property
    def memory(self) -> TrunkMemory | None:
        """What the layers below the top gave for images; None where others are trained too."""
        return TrunkMemory() if self.wanted_settings.keeps_trunk else None

    @cached_property
    def store(self) -> _Checkpoints:
        """What an interrupted search on the same images, labels and settings has kept."""
        about = [
            self.images.digest(),
            self.y,
            self.groups,
            self.seed,
            type(self.extractor).__name__,
            repr(self.wanted_settings),
        ]
        return _Checkpoints(self.checkpoints, about)

    @cached_property
    def _timed_settings(self) -> tuple[NetworkSettings, float]:
        """Settings with the steps of a training, and the least time that networks need."""
        settings, kept = self.wanted_settings, self.store.get("steps")
        if kept is not None:
            # No machine is ever quite as fast as before, and the state of a training that was
            # interrupted does not fit another number of steps.
            return replace(settings, n_steps=int(kept.meta["n_steps"])), 0.0
        least = 0.0
        if settings.n_steps > MIN_STEPS:
            few = self.pixels[: settings.batch_size * _TIMED_STEPS]
            each = _seconds_per_step(few, self.n_classes, settings)
            passing = _seconds_to_pass(len(self.images), self.extractor)
            least = MIN_STEPS * _FEW_TRAININGS * each + passing
            total = (self.time_left() - passing) / each
            # The time pays for three trainings first, then for longer ones, then for more of them.
            steps = int(max(min(total / _FEW_TRAININGS, _ENOUGH_STEPS), total / _MANY_TRAININGS))
            if steps < MIN_STEPS:
                # Who asks for a network gets one, however long it takes.
                steps = MIN_STEPS if self.asked else 0
            settings = replace(settings, n_steps=min(settings.n_steps, steps))
        if settings.n_steps:
            self.store.put("steps", {}, {"n_steps": settings.n_steps})
        return settings, least


class _EnoughError(Exception):
    """A step took so long that no further one is needed to know it."""


def _seconds_per_step(pixels: np.ndarray, n_classes: int, settings: NetworkSettings) -> float:
    """Measure the median step of a training on a few images, after a warm-up."""
    # Where layers are kept, all photos pass them before the first step: that is no step.
    moments = [time.perf_counter()]

    def note(stage: str, done: int, total: int) -> None:
        moments.append(time.perf_counter())
        if len(moments) > 1 + settings.keeps_trunk and moments[-1] - moments[-2] > _SLOW_STEP_S:
            raise _EnoughError

    n_epochs = max(1, -(-_TIMED_STEPS * settings.batch_size // len(pixels)))
    network = settings.network(len(pixels), n_epochs=n_epochs, random_state=0, progress=note)
    # Uniform targets: no label is needed to measure time.
    with contextlib.suppress(_EnoughError):
        network.fit_soft(pixels, np.full((len(pixels), n_classes), 1 / n_classes))
    passed = np.diff(moments)[1:] if len(moments) > 2 else np.diff(moments)
    return float(np.median(passed[min(_WARM_UP, len(passed) // 2) :])) if len(passed) else 1e-3


def _least_seconds(images: ImageSet, extractor: FeatureExtractor, n_classes: int) -> float:
    """Return about the least time that networks need on this machine, by a few steps of one."""
    settings = NetworkSettings.for_features(extractor, getattr(extractor, "device", "auto"))
    few = images.subset(np.arange(min(len(images), settings.batch_size * _TIMED_STEPS)))
    pixels = _pixels_for(few, settings)
    n_steps = min(MIN_STEPS, settings.n_steps)
    steps = n_steps * _FEW_TRAININGS * _seconds_per_step(pixels, n_classes, settings)
    return steps + _seconds_to_pass(len(images), extractor)


def _seconds_to_pass(n: int, extractor: Any) -> float:
    """Measure how long images pass a pretrained network, as all do before it is trained on."""
    backbone = getattr(extractor, "parts", [extractor])[0]
    return n / backbone._images_per_second(0.5) if isinstance(backbone, Backbone) else 0.0


def _pixels_for(images: ImageSet, settings: NetworkSettings) -> np.ndarray:
    # Pretrained networks know colors and details: gray images are read as three equal colors.
    return _read_pixels(images, settings.side, color=settings.backbone is not None)
