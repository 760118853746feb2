"""The figure of the study: every row as a bar, published figures beside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from .. import figures
from ..summary import RowSummary

FILE = "combo-rows.svg"


def draw_rows(path: Path, summaries: Sequence[RowSummary]) -> Path:
    """Draw the exact match of every row as a bar, and what was published as a mark.

    Parameters
    ----------
    path : Path
        File to write.
    summaries : sequence of RowSummary
        What was measured.

    Returns
    -------
    Path
        The file.
    """
    shown = [s for s in summaries if s.mean is not None][::-1]

    def paint(panels: Sequence[Axes]) -> None:
        (axes,) = panels
        names = [f"{s.row.model}\n{s.row.setting}" for s in shown]
        means = [s.mean or 0.0 for s in shown]
        colors = [figures.GREEN if "fewlabel" in s.row.model else figures.BLUE for s in shown]
        axes.barh(names, means, xerr=[s.sd or 0.0 for s in shown], color=colors, height=0.62)
        for k, s in enumerate(shown):
            axes.annotate(
                f"{s.mean:.1f}", (1.0, k), xytext=(4, -4), textcoords="offset points", color="white"
            )
        marks = [(s.published, k) for k, s in enumerate(shown) if s.published is not None]
        if marks:
            axes.plot(*zip(*marks, strict=True), "|", color=figures.RED, markersize=16, mew=2.5)
        axes.set_xlim(0, 100)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", labelsize=8.5)
        axes.set_xlabel("both characters right on test images, %; red: as published")

    return figures.save(path, paint, size=(9.0, 1.0 + 0.5 * max(1, len(shown))))
