"""The charts of the reports."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from fewlabel.evaluate import CandidateScore, CoverageCurve, LearningCurve, ReliabilityCurve
from fewlabel.report.svg import (
    ACCENT,
    ACCENT_2,
    COUNT,
    DASHED,
    HALO,
    HEAT,
    HEAT_BAD,
    HEIGHT,
    INK,
    LINE,
    MUTED,
    ON_HEAT,
    _draw,
    _fraction_axis,
)
from fewlabel.texts import _percent_text, _printable

MAX_NUMBERED_CLASSES = 20
_Interval = tuple[np.ndarray, np.ndarray]
_BINS = np.linspace(0, 1, 21)


def _confusion_figure(
    counts: np.ndarray,
    classes: Sequence[str],
    *,
    across: str = "predicted",
    name: str = "confusion",
) -> Markup:
    """Draw counts (K, K), true by predicted: blue where right, red-brown where wrong."""
    n_classes = len(classes)
    numbered = n_classes <= MAX_NUMBERED_CLASSES
    # In CSS pixels: names of 9 pixels run into each other where a cell has less than 13.
    cell = 30.0 if n_classes <= 12 else 24.0 if numbered else 13.5
    size = 11.0 if numbered else 9.0
    labels = [_printable(c, limit=20) for c in classes]
    # Room for the longest class name beside the matrix and above it.
    room = 28 + 0.6 * size * max(len(text) for text in labels)
    side = room + max(n_classes * cell, 150.0) + 6

    def paint(figure: Figure) -> None:
        # A layout engine would change the size of the cells, and so leave names no room.
        figure.set_layout_engine("none")
        axes = figure.add_axes(
            (room / side, 6 / side, 1 - (room + 6) / side, 1 - (room + 6) / side)
        )
        _matrix_axes(axes, labels, size, across)
        _cells(axes, counts, numbered)

    right, total = int(np.trace(counts)), int(counts.sum())
    alt = f"Confusion matrix of {n_classes} classes: {right:,} of {total:,} on the diagonal."
    return _draw(paint, width=side, height=side, name=name, alt=alt)


def _matrix_axes(axes: Axes, labels: list[str], size: float, across: str) -> None:
    n_classes = len(labels)
    axes.set(xlim=(-0.5, n_classes - 0.5), ylim=(n_classes - 0.5, -0.5))
    axes.set_xticks(range(n_classes), labels, rotation=90, size=size)
    axes.set_yticks(range(n_classes), labels, size=size)
    axes.xaxis.set_label_position("top")
    axes.xaxis.tick_top()
    axes.set_xlabel(across, color=MUTED)
    axes.set_ylabel("true", color=MUTED)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    edges = np.arange(n_classes + 1) - 0.5
    axes.hlines(edges, -0.5, n_classes - 0.5, color=LINE, linewidth=0.6)
    axes.vlines(edges, -0.5, n_classes - 0.5, color=LINE, linewidth=0.6)


def _cells(axes: Axes, counts: np.ndarray, numbered: bool) -> None:
    # Colors are shares of a row, so that rare classes show as well as frequent ones.
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    for row, column in np.argwhere(counts > 0):
        color = HEAT if row == column else HEAT_BAD
        alpha = 0.10 + 0.90 * float(shares[row, column])
        axes.add_patch(
            Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, facecolor=color, alpha=alpha)
        )
        if numbered:
            axes.text(
                column,
                row,
                f"{counts[row, column]}",
                ha="center",
                va="center",
                # A number of four digits is wider than a cell at the usual size.
                size=10.5 if counts[row, column] < 1000 else 8.5,
                color=ON_HEAT if alpha > 0.68 else INK,
            )


def _reliability_figure(
    curve: ReliabilityCurve, interval: _Interval, confidence: np.ndarray
) -> Markup:
    """Draw accuracy against confidence with intervals, over a histogram of the confidence."""

    def paint(figure: Figure) -> None:
        grid = figure.add_gridspec(2, 1, height_ratios=[3.2, 1])
        top = figure.add_subplot(grid[0])
        top.plot([0, 1], [0, 1], color=MUTED, linewidth=1.2, linestyle=DASHED)
        top.text(0.03, 0.96, "above the line: too modest", color=MUTED, size=10, va="top")
        top.text(0.97, 0.05, "below: too confident", color=MUTED, size=10, ha="right")
        top.vlines(curve.confidence, *interval, color=ACCENT, linewidth=1.8, alpha=0.5)
        style: dict[str, Any] = {"color": ACCENT, "markersize": 6, "linewidth": 1.4}
        # Not clipped, here and below: a point at 100 % stands on the edge.
        top.plot(curve.confidence, curve.accuracy, "o-", clip_on=False, **style)
        top.set_ylabel("share that is right")
        _fraction_axis(top.yaxis)
        bottom = figure.add_subplot(grid[1], sharex=top)
        counts, _ = np.histogram(np.clip(confidence, 0, 1), _BINS)
        bottom.bar(_BINS[:-1], counts, 0.046, align="edge", color=ACCENT, alpha=0.5)
        bottom.set(xlabel="confidence of the model", ylabel="images")
        top.tick_params(labelbottom=False)
        bottom.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        bottom.yaxis.set_major_formatter(COUNT)
        _fraction_axis(bottom.xaxis)
        bottom.grid(axis="x", visible=False)

    pairs = zip(curve.confidence, curve.accuracy, strict=True)
    parts = [f"{_percent_text(c, 0)} sure, {_percent_text(a, 0)} right" for c, a in pairs]
    alt = "Reliability diagram. " + "; ".join(parts)
    return _draw(paint, height=HEIGHT + 40, name="reliability", alt=alt)


def _coverage_figure(
    curve: CoverageCurve, low: np.ndarray, marks: Sequence[tuple[float, float]] = ()
) -> Markup:
    """Draw the accuracy of the most confident images, and what is promised of so many of them."""
    n_points = len(curve.coverage)
    # More points than pixels would only make the page large.
    picked = np.unique(np.linspace(0, n_points - 1, min(n_points, 160)).astype(int))
    x, y, least = (a[picked] for a in (curve.coverage, curve.accuracy, low))

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.fill_between(x, least, y, color=ACCENT, alpha=0.16, linewidth=0)
        # Where all are equally confident, there is a single point, of which no line can be drawn.
        axes.plot(x, y, "o" if len(x) == 1 else "-", color=ACCENT, clip_on=False)
        # The few most confident images have intervals down to zero: they must not set the scale.
        floor = min(float(y.min()) - 0.05, float(least[x >= 0.25].min()) - 0.02)
        _fraction_axis(axes.xaxis)
        _fraction_axis(axes.yaxis, floor)
        bottom = axes.get_ylim()[0]
        for share, right in (mark for mark in marks if mark[1] > bottom):
            axes.plot(share, right, "o", color=ACCENT_2, markersize=7, clip_on=False)
            text = f"≤ {_percent_text(1 - right, 0)} wrong"
            _annotate(axes, text, (share, right), (-7, -4), ha="right", va="top")
        axes.set(xlabel="share of images kept, most confident first", ylabel="share that is right")

    half, whole = (_percent_text(float(share), 0) for share in (np.interp(0.5, x, y), y[-1]))
    alt = (
        f"Accuracy by share of images kept: {half} right among the most confident half, "
        f"{whole} among all."
    )
    return _draw(paint, name="coverage", alt=alt)


def _candidates_figure(
    candidates: Sequence[CandidateScore], baseline: str, n_se: float, measure: str
) -> Markup:
    """Draw by how many standard errors each candidate is worse than the best: few may be luck."""
    # Matplotlib counts from below: the first candidate is to stand on top.
    rows = list(reversed(candidates))
    accuracy = np.array([row.accuracy for row in rows], dtype=float)
    reach = np.minimum(accuracy + n_se * np.nan_to_num([row.se for row in rows]), 1.0)

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.axvline(float(accuracy.max()), color=MUTED, linewidth=1.2, linestyle=DASHED)
        for place, row in enumerate(rows):
            color = ACCENT if row.chosen else MUTED
            axes.hlines(place, accuracy[place], reach[place], color=color, linewidth=3, alpha=0.45)
            marker = "D" if row.name == baseline else "o"
            axes.plot(accuracy[place], place, marker, color=color, markersize=8, clip_on=False)
            text = _percent_text(accuracy[place])
            weight = "bold" if row.chosen else "normal"
            _annotate(axes, text, (accuracy[place], place), (0, 8), ha="center", weight=weight)
        labels = [_printable(row.name, limit=28) for row in rows]
        axes.set_yticks(range(len(rows)), labels, color=INK)
        # Where accuracy is 0, the mark stands on the axis.
        axes.tick_params(axis="y", pad=10)
        span = max(float(reach.max() - accuracy.min()), 0.04)
        _fraction_axis(axes.xaxis, accuracy.min() - 0.14 * span, reach.max() + 0.14 * span)
        axes.set(ylim=(-0.5, len(rows) - 0.3), xlabel=measure)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)

    parts = (f"{_printable(row.name)} {_percent_text(row.accuracy)}" for row in candidates)
    alt = f"{measure.capitalize()}: " + "; ".join(parts)
    return _draw(paint, height=62 + 42 * len(rows), name="candidates", alt=alt)


def _annotate(
    axes: Axes, text: str, at: tuple[float, float], by: tuple[int, int], **s: Any
) -> None:
    """Write a text beside a point, with an outline that keeps it legible over lines."""
    axes.annotate(text, at, by, textcoords="offset points", size=10, **s).set_gid(HALO)


def _confidence_figure(groups: Sequence[tuple[str, np.ndarray]]) -> Markup:
    """Draw how confident the predictions of at most three groups are, stacked."""
    colors: tuple[tuple[str, float], ...] = ((ACCENT, 0.85), (ACCENT, 0.35), (ACCENT_2, 0.7))

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        base = np.zeros(len(_BINS) - 1)
        for (label, values), (color, alpha) in zip(groups, colors, strict=False):
            heights, _ = np.histogram(np.clip(values, 0, 1), _BINS)
            style: dict[str, Any] = {"color": color, "alpha": alpha, "label": label}
            axes.bar(_BINS[:-1], heights, 0.046, base, align="edge", **style)
            base += heights
        axes.set(xlabel="confidence of the prediction", ylabel="images")
        _fraction_axis(axes.xaxis)
        axes.yaxis.set_major_formatter(COUNT)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.grid(axis="x", visible=False)
        # Above the bars, which may stand anywhere.
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)

    values = np.concatenate([group for _, group in groups])
    sure = float(np.mean(values >= 0.9)) if len(values) else 0.0
    alt = (
        f"Histogram of the confidence of {len(values):,} predictions; "
        f"{_percent_text(sure, 0)} are at least 90 % sure."
    )
    return _draw(paint, name="confidence", alt=alt)


def _learning_figure(curve: LearningCurve) -> Markup:
    """Draw accuracy against the number of labels, up to twice as many as there are."""
    # Below a label a class there is no curve to speak of, and the band would set the scale.
    first = min(curve.n_now / 4, float(curve.n_labeled[-2]))
    x = np.geomspace(first, curve.next_n, 60)
    middle, low, high = np.array([curve.at(n) for n in x]).T
    shown = curve.n_labeled >= first * 0.99
    points = np.clip(curve.accuracies - curve.shift, 0, 1)[shown]

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.set_xscale("log")
        axes.fill_between(x, low, high, color=ACCENT, alpha=0.16, linewidth=0)
        known = x <= curve.n_now
        axes.plot(x[known], middle[known], color=ACCENT)
        axes.plot(x[~known], middle[~known], color=ACCENT, linestyle=DASHED)
        style: dict[str, Any] = {"color": MUTED, "markersize": 5, "elinewidth": 1.4}
        style["clip_on"] = False
        floor = min(float(low[-1]), float(points.min()) - 0.02, float(middle.min()) - 0.02)
        above = curve.errors[shown]
        # As far as the axis goes, and not into its numbers.
        below = np.minimum(above, points - max(floor, 0))
        axes.errorbar(curve.n_labeled[shown], points, [below, above], fmt="o", **style)
        axes.vlines(curve.next_n, curve.low, curve.high, color=ACCENT_2, linewidth=2.2)
        ends = ((curve.n_now, curve.now.expected, ACCENT, "now"),)
        for n, value, color, word in (*ends, (curve.next_n, curve.expected, ACCENT_2, "2×")):
            axes.plot(n, value, "o", color=color, markersize=8, clip_on=False)
            text = f"{word} {_percent_text(value)}"
            _annotate(axes, text, (n, value), (-9, 7), ha="right", weight="bold")
        axes.set(xlim=(first * 0.93, curve.next_n * 1.16))
        axes.set(xlabel="labels", ylabel="share that is right")
        ceiling = max(float(high.max()), float((points + above).max())) + 0.02
        _fraction_axis(axes.yaxis, floor, ceiling)
        halvings = curve.next_n / 2.0 ** np.arange(8)
        axes.xaxis.set_major_locator(FixedLocator(halvings[halvings >= first * 0.93].tolist()))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(COUNT)

    alt = (
        f"Accuracy by number of labels: {_percent_text(curve.now.expected)} with {curve.n_now:,} "
        f"labels, about {_percent_text(curve.expected)} with {curve.next_n:,} labels "
        f"({_percent_text(curve.low)} to {_percent_text(curve.high)})."
    )
    return _draw(paint, name="learning", alt=alt)
