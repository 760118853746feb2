"""Figures of the study of photos: the rows as bars, and the curves of training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from .. import figures
from ..summary import RowSummary
from . import curves

_COLORS = (figures.BLUE, figures.RED, figures.GREEN, figures.PURPLE)
_NAMES = {
    "scratch": "from scratch",
    "fine-tuned-random": "fine-tuned, random labels",
    "fine-tuned-selected": "fine-tuned, selected labels",
    "self-training-random": "random labels",
    "self-training-selected": "selected labels",
}


def draw_rows(path: Path, summaries: Sequence[RowSummary]) -> Path:
    """Draw the accuracy of every row as a bar."""
    return figures.draw_bars(
        path, summaries, xlabel="accuracy on held-out photos, %", size=(8.6, 0.52)
    )


def draw_curves(path: Path, file: Path) -> Path:
    """Draw the loss by epoch, and what self-training accepted by round."""

    def paint(panels: Sequence[Axes]) -> None:
        loss, share, precision = panels
        _plot(loss, file, curves.LOSS, 1.0)
        loss.set(xlabel="epoch", ylabel="training loss")
        _plot(share, file, curves.SHARE, 100.0)
        share.set(xlabel="round", ylabel="accepted, % of the unlabeled photos", ylim=(0, 100))
        _plot(precision, file, curves.PRECISION, 100.0)
        precision.set(xlabel="round", ylabel="of these right, %", ylim=(0, 100))

    return figures.save(path, paint, n_panels=3, size=(11.0, 3.8))


def _plot(axes: Axes, file: Path, measure: str, scale: float) -> None:
    for color, (row, points) in zip(
        _COLORS, sorted(curves.read_means(file, measure).items()), strict=False
    ):
        steps, values = zip(*points, strict=True)
        scaled = [scale * value for value in values]
        axes.plot(steps, scaled, marker="o", markersize=3, color=color, label=_NAMES.get(row, row))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(bottom=0)
    if axes.lines:
        axes.legend(loc="best")
