"""Figures of the studies: curves of accuracy, as SVG or PNG."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from fewlabel.files import atomic_file

from .summary import RowSummary

# Paul Tol's bright scheme, which color-blind readers can tell apart.
BLUE, RED, GREEN, YELLOW, PURPLE, GRAY = (
    "#4477aa",
    "#ee6677",
    "#228833",
    "#b8860b",
    "#aa3377",
    "#777777",
)
_STYLE: Any = {
    "svg.fonttype": "path",
    "svg.hashsalt": "fewlabel",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": False,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
}
_ROOM = 8.0
"""Percent that a bar must reach to have room for its number."""


@dataclass(frozen=True)
class Curve:
    """One curve of a figure."""

    label: str  # name in the legend
    # Position, accuracy in percent, and its spread (0 for none)
    points: list[tuple[float, float, float]]
    color: str
    published: bool = False  # drawn dashed, with open marks


def measured(
    label: str,
    summaries: Iterable[RowSummary],
    ids: Mapping[str, float],
    color: str,
    *,
    published: bool = False,
) -> Curve:
    """Make a curve of rows: their measured accuracy, or the published one."""
    points = []
    for s in summaries:
        value = s.published if published else s.mean
        if s.row.id in ids and value is not None:
            points.append((ids[s.row.id], value, 0.0 if published else s.sd or 0.0))
    return Curve(label, sorted(points), color, published)


def draw(
    path: Path,
    curves: Sequence[Curve],
    *,
    xlabel: str,
    logarithmic: bool = False,
    levels: Sequence[tuple[float, str]] = (),
    bottom: float | None = None,
) -> Path:
    """Draw curves of accuracy into a file."""

    def paint(axes: Axes) -> None:
        positions = sorted({x for curve in curves for x, _, _ in curve.points})
        for curve in curves:
            if curve.points:
                _plot(axes, curve)
                _point_down(axes, curve, bottom)
        for level, text in levels:
            axes.axhline(level, color=GRAY, linewidth=1.0, linestyle=":")
            axes.annotate(
                text,
                (0.0, level),
                xycoords=("axes fraction", "data"),
                xytext=(4, 3),
                textcoords="offset points",
                ha="left",
                size=8.5,
                color="#444444",
            )
        if bottom is not None:
            axes.set_ylim(bottom=bottom)
        if logarithmic:
            axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(positions))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.set_xlabel(xlabel)
        axes.set_ylabel("accuracy on the test images, %")
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))

    return save(path, lambda axes: paint(axes[0]))


def _plot(axes: Axes, curve: Curve) -> None:
    x, y, spread = zip(*curve.points, strict=True)
    axes.errorbar(
        x,
        y,
        yerr=None if not any(spread) else spread,
        label=curve.label,
        color=curve.color,
        linestyle="--" if curve.published else "-",
        marker="o",
        markerfacecolor="white" if curve.published else curve.color,
        capsize=2,
    )


def _point_down(axes: Axes, curve: Curve, bottom: float | None) -> None:
    """Write where a point lies that is below the axis."""
    for x, y, _ in curve.points:
        if bottom is not None and y < bottom:
            axes.annotate(
                f"{y:.0f} %",
                (x, 0.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 24),
                ha="center",
                textcoords="offset points",
                color=curve.color,
                arrowprops={"arrowstyle": "->", "color": curve.color},
            )


def save(
    path: Path,
    paint: Callable[[Sequence[Axes]], None],
    *,
    n_panels: int = 1,
    size: tuple[float, float] = (8.6, 4.6),
) -> Path:
    """Draw a figure into a file."""
    # No pyplot: it would keep the figure, and open a window where there is a screen.
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        paint([figure.add_subplot(1, n_panels, k + 1) for k in range(n_panels)])
        with atomic_file(path) as temporary:
            # Without a date, so that the same figures give the same file.
            dates: Any = {"Date": None} if path.suffix == ".svg" else {}
            figure.savefig(temporary, format=path.suffix[1:], dpi=150, metadata=dates)
    return path


def to_png(figure: Figure, dpi: int = 110) -> bytes:
    """Return a figure as a PNG file, the same for the same figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def draw_tile(
    axes: Axes,
    pixels: np.ndarray,
    *,
    is_right: bool,
    title: str,
    below: str,
    sizes: tuple[float, float],
) -> None:
    """Show a small image with a green or a red frame, and text of two sizes around it."""
    axes.set_axis_on()
    axes.set_xticks([])
    axes.set_yticks([])
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_title(title, fontsize=sizes[0], pad=2, parse_math=False)
    axes.set_xlabel(below, fontsize=sizes[1], labelpad=1, parse_math=False)
    for side in axes.spines.values():
        side.set(color=GREEN if is_right else RED, linewidth=1.8)


def draw_bars(
    path: Path,
    summaries: Sequence[RowSummary],
    *,
    xlabel: str,
    size: tuple[float, float],
    to_hundred: bool = False,
) -> Path:
    """Draw every measured row as a bar, and what was published as a mark."""
    shown = [s for s in summaries if s.mean is not None][::-1]

    def paint(panels: Sequence[Axes]) -> None:
        (axes,) = panels
        names = [f"{s.row.model}\n{s.row.setting}" for s in shown]
        means = [s.mean or 0.0 for s in shown]
        colors = [GREEN if "fewlabel" in s.row.model else BLUE for s in shown]
        axes.barh(names, means, xerr=[s.sd or 0.0 for s in shown], color=colors, height=0.62)
        for k, value in enumerate(means):
            # A short bar has no room for its number.
            start, color = (1.0, "white") if value >= _ROOM else (value, "black")
            axes.annotate(
                f"{value:.1f}", (start, k), xytext=(4, -4), textcoords="offset points", color=color
            )
        marks = [(s.published, k) for k, s in enumerate(shown) if s.published is not None]
        if marks:
            axes.plot(*zip(*marks, strict=True), "|", color=RED, markersize=16, mew=2.5)
        if to_hundred:
            axes.set_xlim(0, 100)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", labelsize=8.5)
        axes.set_xlabel(xlabel)

    return save(path, paint, size=(size[0], 1.0 + size[1] * max(1, len(shown))))
