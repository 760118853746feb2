"""The rows of the table: what each is called, its recipe and how it is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ..protocol import Outcome
from .learners import alone, ensemble, taught, untaught
from .recipes import ABLATION

Learn = Callable[..., Outcome]

_BASELINE = "supervised baseline"
_PREPARED = "preprocessing"
_COPIED = "preprocessing, changed copies"
_UNLABELED = "preprocessing, changed copies, unlabeled images"
_HALVES = "preprocessing, changed halves"
_WHOLE = "as they are, changed in every step"
_OWN = "own CNN"


@dataclass(frozen=True)
class Line:
    """One row before the settings are known."""

    id: str  # as of a Row
    setting: str
    model: str
    recipe: str  # name of its recipe
    learn: Learn  # takes the session and the recipe, and gives an Outcome


LINES = (
    Line("cnn", _BASELINE, _OWN, "plain", alone),
    Line("residual", f"{_BASELINE}, mild changes", "own residual network", "residual", alone),
    Line("prepared", _PREPARED, _OWN, "prepared", alone),
    Line("resnet50", _PREPARED, "ResNet-50", "resnet50", alone),
    Line("flips", f"{_COPIED} as published", _OWN, "flips", alone),
    Line("no-flips", f"{_COPIED} without flips", _OWN, "no-flips", alone),
    Line("copied", _COPIED, _OWN, "single", partial(untaught, name="single")),
    Line(
        "bagging-single",
        _COPIED,
        "single-model bagging",
        "single",
        partial(ensemble, name="single"),
    ),
    Line(
        "bagging-several",
        _COPIED,
        "multiple-model bagging",
        "several",
        partial(ensemble, name="several"),
    ),
    Line(
        "distilled",
        _UNLABELED,
        "distilled student",
        "several",
        partial(taught, name="several", rounds=1),
    ),
    Line(
        "teacher-student",
        _UNLABELED,
        "teacher–student",
        "several",
        partial(taught, name="several"),
    ),
    Line("structure", _COPIED, "own CNN, two soft-max heads", "structure", alone),
    Line(
        "residual-heads",
        f"{_PREPARED}, mild changes",
        "own residual network, two soft-max heads",
        "residual-heads",
        alone,
    ),
    Line("best-alone", _HALVES, "fewlabel's network", "best", partial(untaught, name="best")),
    Line("best-ensemble", _HALVES, "fewlabel's ensemble", "best", partial(ensemble, name="best")),
    Line(
        "best-distilled",
        f"{_HALVES}, unlabeled images",
        "fewlabel's distilled student",
        "best",
        partial(taught, name="best", rounds=1),
    ),
    Line(
        "best",
        f"{_HALVES}, unlabeled images",
        "fewlabel's best",
        "best",
        partial(taught, name="best", is_best=True),
    ),
    Line(
        "whole-alone",
        _WHOLE,
        "fewlabel's whole-image network",
        "whole",
        partial(untaught, name="whole"),
    ),
    Line(
        "whole-ensemble",
        _WHOLE,
        "fewlabel's whole-image ensemble",
        "whole",
        partial(ensemble, name="whole"),
    ),
    Line(
        "whole-distilled",
        f"{_WHOLE}, unlabeled images",
        "fewlabel's whole-image student",
        "whole",
        partial(taught, name="whole", rounds=1),
    ),
    Line("few-alone", "few labels", "fewlabel's network", "few", partial(untaught, name="few")),
    Line(
        "few-best",
        "few labels, unlabeled images",
        "fewlabel's best",
        "few",
        partial(taught, name="few"),
    ),
    *(
        Line(f"ablation-{name}", f"{_PREPARED}: {words}", _OWN, f"ablation-{name}", alone)
        for name, (words, _) in ABLATION.items()
    ),
)
"""All rows in the order of the table."""
