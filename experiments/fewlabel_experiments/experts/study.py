"""The study of binary experts: one network that becomes many, beside many networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..protocol import Outcome, Row, Settings, Study
from ..summary import RowSummary
from . import drawing, learners
from .session import ExpertsSession, Task

METHODS: dict[str, tuple[str, Callable[[Any, Task], Outcome]]] = {
    "supervised": ("supervised baseline", learners.supervised),
    "ova": ("one-versus-all", partial(learners.one_versus_all, sampling="plain")),
    "ova-over": (
        "one-versus-all, over-sampling",
        partial(learners.one_versus_all, sampling="over-sampling"),
    ),
    "ova-under": (
        "one-versus-all, under-sampling",
        partial(learners.one_versus_all, sampling="under-sampling"),
    ),
    "own": ("the network's own predictions", learners.own_predictions),
    "experts-1": ("binary experts, one round", partial(learners.experts, max_rounds=1)),
    "experts": ("binary experts, to convergence", learners.experts),
    "default": ("fewlabel's default", learners.default),
}
"""The rows of the comparison: name in tables, and what computes it."""

ABLATION: dict[str, tuple[str, Callable[[Any, Task], Outcome]]] = {
    "veto": ("agreement: veto", partial(learners.experts, agreement="veto")),
    "margin": ("agreement: margin", partial(learners.experts, agreement="margin")),
    "over-sampling": ("experts over-sampled", partial(learners.experts, balance="over-sampling")),
    "under-sampling": (
        "experts under-sampled",
        partial(learners.experts, balance="under-sampling"),
    ),
    "no-balance": ("experts not balanced", partial(learners.experts, balance="none")),
    "frozen": ("frozen trunk", partial(learners.experts, trunk="frozen")),
    "from-graph": ("started from propagated labels", learners.experts_of_the_graph),
}
"""What the ablation changes; the row `experts` is what it changes from."""

IMBALANCED = ("supervised", "ova", "own", "experts-1", "default")


MEASURES = {
    "precision_covered": "right of the most confident half %",
    "accepted": "accepted",
    "precision": "right of them %",
    "balanced": "balanced accuracy %",
    "worst_class": "worst class %",
    "train_seconds": "train s",
    "gigaflop": "gigaflop",
    "kilobytes": "kB",
}
"""What a row measures beside accuracy."""


class Experts(Study):
    """The study of binary experts."""

    session = ExpertsSession
    measures = MEASURES

    def rows(self, config: dict[str, Any]) -> list[Row]:
        """Return the rows in the order of the table."""
        rows = []
        for data in config["data"]:
            for n in config["budgets"]:
                setting = f"{data}, {n:,} labels"
                rows += [
                    _row(f"{data}-{n}-{name}", setting, data, n, name, METHODS)
                    for name in METHODS
                    if n in config["one_versus_all"] or not name.startswith("ova")
                ]
        n, data = config["ablation"], config["data"][-1]
        if n:
            setting = f"{data}, {n:,} labels"
            rows += [
                _row(f"ablation-{name}", setting, data, n, name, ABLATION) for name in ABLATION
            ]
            times = config["imbalance"]
            setting = f"{data}, {n:,} labels, classes from 1 to 1/{times}"
            rows += [
                _row(f"imbalanced-{name}", setting, data, n, name, METHODS, imbalance=times)
                for name in IMBALANCED
            ]
        return rows

    def config(self, settings: Settings) -> dict[str, Any]:
        """Return the settings of a run; other data stand for both sets."""
        config = super().config(settings)
        data = config["data"]
        return config | {"data": [data] if isinstance(data, str) else data}

    def figures(self, summaries: Sequence[RowSummary], folder: Path) -> list[Path]:
        """Draw accuracy and precision by the number of labels."""
        return drawing.draw(summaries, folder, list(METHODS))


def _row(
    name: str,
    setting: str,
    data: str,
    n: int,
    method: str,
    methods: dict[str, tuple[str, Callable[[Any, Task], Outcome]]],
    imbalance: float = 1.0,
) -> Row:
    words, learn = methods[method]

    def compute(session: ExpertsSession) -> Outcome:
        return learn(session, session.task(data, n, imbalance))

    return Row(name, setting, words, n, compute)


STUDY = Experts("experts", "Binary experts", Path(__file__).parent)
