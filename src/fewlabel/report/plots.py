"""The charts of the reports, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from fewlabel.evaluate import CandidateScore, CoverageCurve, ReliabilityCurve
from fewlabel.report.svg import (
    ACCENT,
    ACCENT_2,
    HALO,
    HEAT,
    HEAT_BAD,
    INK,
    LINE,
    MUTED,
    ON_HEAT,
    draw,
    printable,
)

Floats = NDArray[np.floating[Any]]
MAX_NUMBERED_CLASSES = 20
_WIDTH, _HEIGHT = 390.0, 300.0
_PERCENT = FuncFormatter(lambda value, _: f"{100 * value:.0f} %")
_THOUSANDS = FuncFormatter(lambda value, _: f"{value:,.0f}")


def confusion_figure(
    counts: NDArray[np.integer[Any]],
    classes: Sequence[str],
    *,
    across: str = "predicted",
    name: str = "confusion",
) -> Markup:
    """Draw a confusion matrix: right answers on the diagonal in blue, mistakes in red-brown.

    Colours are shares of a row, so that rare classes show as well as frequent ones. The
    cells carry counts up to twenty classes.

    Parameters
    ----------
    counts : ndarray of shape (K, K), int
        Images of the class of the row that were predicted as the class of the column.
    classes : sequence of str
        Class names.
    across : str
        What the columns are, above the matrix.
    name : str
        Prefix of the identifiers.

    Returns
    -------
    markupsafe.Markup
        Inline SVG, whose size follows the number of classes.

    Examples
    --------
    >>> svg = confusion_figure(np.array([[5, 1], [0, 4]]), ["cat", "dog"])
    >>> "cat" in svg
    True
    """
    n_classes = len(classes)
    numbered = n_classes <= MAX_NUMBERED_CLASSES
    cell = 30.0 if n_classes <= 12 else 24.0 if numbered else 13.5
    size = 11.0 if numbered else 9.0
    labels = [printable(c, limit=20) for c in classes]
    # Room for the longest class name beside the matrix and above it.
    room = 28 + 0.6 * size * max(len(text) for text in labels)
    width, height = room + max(n_classes * cell, 150.0) + 6, room + max(n_classes * cell, 150.0) + 6

    def paint(figure: Figure) -> None:
        figure.set_layout_engine("none")
        axes = figure.add_axes(
            (room / width, 6 / height, 1 - (room + 6) / width, 1 - (room + 6) / height)
        )
        _matrix_axes(axes, labels, size, across)
        _cells(axes, counts, numbered)

    right, total = int(np.trace(counts)), int(counts.sum())
    alt = f"Confusion matrix of {n_classes} classes: {right:,} of {total:,} on the diagonal."
    return draw(paint, width=width, height=height, name=name, alt=alt)


def _matrix_axes(axes: Axes, labels: list[str], size: float, across: str) -> None:
    n_classes = len(labels)
    axes.set_xlim(-0.5, n_classes - 0.5)
    axes.set_ylim(n_classes - 0.5, -0.5)
    axes.set_xticks(range(n_classes), labels, rotation=90, size=size)
    axes.set_yticks(range(n_classes), labels, size=size)
    axes.xaxis.set_label_position("top")
    axes.xaxis.tick_top()
    axes.set_xlabel(across, color=MUTED)
    axes.set_ylabel("true", color=MUTED)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    edges = np.arange(n_classes + 1) - 0.5
    axes.hlines(edges, -0.5, n_classes - 0.5, color=LINE, linewidth=0.6)
    axes.vlines(edges, -0.5, n_classes - 0.5, color=LINE, linewidth=0.6)


def _cells(axes: Axes, counts: NDArray[np.integer[Any]], numbered: bool) -> None:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    for row, column in np.argwhere(counts > 0):
        share = float(shares[row, column])
        color = HEAT if row == column else HEAT_BAD
        alpha = 0.10 + 0.90 * share
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
                size=10.5 if counts[row, column] < 1000 else 8.5,
                color=ON_HEAT if alpha > 0.68 else INK,
            )


def reliability_figure(
    curve: ReliabilityCurve,
    low: Floats,
    high: Floats,
    confidence: Floats,
    *,
    name: str = "reliability",
) -> Markup:
    """Draw accuracy against confidence with 95 % intervals, over a histogram of the confidence.

    Parameters
    ----------
    curve : ReliabilityCurve
        Mean confidence, accuracy and count of each of b bins.
    low, high : ndarray of shape (b,), float
        Interval of the accuracies.
    confidence : ndarray of shape (n,), float
        Confidence of each image.
    name : str
        Prefix of the identifiers.

    Returns
    -------
    markupsafe.Markup
        Inline SVG.

    Examples
    --------
    >>> from fewlabel.evaluate.reliability import reliability_curve
    >>> curve = reliability_curve([1, 1, 0, 1], [0.6, 0.7, 0.8, 0.9], n_bins=1)
    >>> svg = reliability_figure(curve, np.array([0.4]), np.array([0.9]), np.array([0.7]))
    >>> "confidence" in svg
    True
    """
    edges = np.linspace(0, 1, 21)

    def paint(figure: Figure) -> None:
        grid = figure.add_gridspec(2, 1, height_ratios=[3.2, 1])
        top = figure.add_subplot(grid[0])
        top.plot([0, 1], [0, 1], color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
        top.text(0.03, 0.96, "above the line: too modest", color=MUTED, size=10, va="top")
        top.text(0.97, 0.05, "below: too sure", color=MUTED, size=10, ha="right")
        top.vlines(curve.confidence, low, high, color=ACCENT, linewidth=1.8, alpha=0.5)
        top.plot(curve.confidence, curve.accuracy, "o-", color=ACCENT, markersize=6, linewidth=1.4)
        top.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share that is right")
        bottom = figure.add_subplot(grid[1], sharex=top)
        counts, _ = np.histogram(np.clip(confidence, 0, 1), edges)
        bottom.bar(edges[:-1], counts, 0.046, align="edge", color=ACCENT, alpha=0.5)
        bottom.set(xlabel="confidence of the model", ylabel="images")
        top.tick_params(labelbottom=False)
        bottom.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        bottom.yaxis.set_major_formatter(_THOUSANDS)
        top.yaxis.set_major_formatter(_PERCENT)
        bottom.xaxis.set_major_formatter(_PERCENT)
        bottom.grid(axis="x", visible=False)

    pairs = zip(curve.confidence, curve.accuracy, strict=True)
    parts = [f"{100 * sure:.0f} % sure, {100 * right:.0f} % right" for sure, right in pairs]
    alt = "Reliability diagram. " + "; ".join(parts)
    return draw(paint, width=_WIDTH, height=_HEIGHT + 40, name=name, alt=alt)


def coverage_figure(
    curve: CoverageCurve,
    low: Floats,
    high: Floats,
    *,
    mark: tuple[float, float] | None = None,
    name: str = "coverage",
) -> Markup:
    """Draw the accuracy of the most confident images against how many of them are kept.

    Parameters
    ----------
    curve : CoverageCurve
        Share of images kept and accuracy among them, p points.
    low, high : ndarray of shape (p,), float
        Interval of the accuracies.
    mark : (float, float), optional
        A coverage and accuracy to point out.
    name : str
        Prefix of the identifiers.

    Returns
    -------
    markupsafe.Markup
        Inline SVG.

    Examples
    --------
    >>> from fewlabel.evaluate.reliability import coverage_accuracy_curve
    >>> curve = coverage_accuracy_curve([1, 0], [0.9, 0.6])
    >>> "kept" in coverage_figure(curve, np.array([0.2, 0.1]), np.array([1.0, 0.9]))
    True
    """
    n_points = len(curve.coverage)
    picked = np.unique(np.linspace(0, n_points - 1, min(n_points, 160)).astype(int))
    x, y, bottom, top = (a[picked] for a in (curve.coverage, curve.accuracy, low, high))

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.fill_between(x, bottom, top, color=ACCENT, alpha=0.16, linewidth=0)
        axes.plot(x, y, color=ACCENT)
        # The few surest images have intervals down to zero: they must not set the scale.
        floor = min(float(y.min()) - 0.05, float(bottom[x >= 0.25].min()) - 0.02)
        axes.set(xlim=(0, 1), ylim=(max(floor, 0.0), 1.01))
        if mark is not None:
            axes.plot(*mark, "o", color=ACCENT_2, markersize=8)
            axes.vlines(mark[0], axes.get_ylim()[0], mark[1], color=ACCENT_2, linewidth=1.2)
        axes.set(xlabel="share of images kept, most confident first", ylabel="share that is right")
        axes.xaxis.set_major_formatter(_PERCENT)
        axes.yaxis.set_major_formatter(_PERCENT)

    half = float(np.interp(0.5, x, y))
    alt = (
        f"Accuracy by share of images kept: {100 * half:.0f} % right among the most confident "
        f"half, {100 * float(y[-1]):.0f} % among all."
    )
    return draw(paint, width=_WIDTH, height=_HEIGHT, name=name, alt=alt)


def candidates_figure(
    candidates: Sequence[CandidateScore],
    supervised_name: str = "",
    *,
    n_se: float = 2.0,
    name: str = "candidates",
) -> Markup:
    """Draw the cross-fitted accuracy of each candidate, and which are as good as the best.

    A bar to the right is one or more standard errors of the difference from the most accurate
    candidate: where it reaches the dashed line, the difference may be luck.

    Parameters
    ----------
    candidates : sequence of CandidateScore
        The methods that were tried, in the order to show; at least one.
    supervised_name : str
        Which one is the baseline on the labels alone; it gets a diamond.
    n_se : float
        How many standard errors a bar is long: as many as the method was chosen by.
    name : str
        Prefix of the identifiers.

    Returns
    -------
    markupsafe.Markup
        Inline SVG.

    Examples
    --------
    >>> from fewlabel.evaluate import CandidateScore
    >>> svg = candidates_figure([CandidateScore("graph", 0.8, 0.0, 0.7, 1.0, True, "best")])
    >>> "graph" in svg
    True
    """
    rows = list(reversed(candidates))
    accuracy = np.array([row.accuracy for row in rows], dtype=float)
    reach = accuracy + n_se * np.nan_to_num([row.se for row in rows])

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.axvline(float(accuracy.max()), color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
        for place, row in enumerate(rows):
            color = ACCENT if row.chosen else MUTED
            axes.hlines(place, accuracy[place], reach[place], color=color, linewidth=3, alpha=0.45)
            marker = "D" if row.name == supervised_name else "o"
            axes.plot(accuracy[place], place, marker, color=color, markersize=8)
            axes.annotate(
                f"{100 * accuracy[place]:.1f} %",
                (accuracy[place], place),
                (0, 8),
                textcoords="offset points",
                ha="center",
                size=10,
                weight="bold" if row.chosen else "normal",
            ).set_gid(HALO)
        labels = [printable(row.name, limit=28) for row in rows]
        axes.set_yticks(range(len(rows)), labels, color=INK)
        axes.set_ylim(-0.5, len(rows) - 0.3)
        span = max(float(reach.max() - accuracy.min()), 0.04)
        axes.set_xlim(accuracy.min() - 0.14 * span, reach.max() + 0.14 * span)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlabel("accuracy by cross-fitting")
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)

    parts = (f"{printable(row.name)} {100 * row.accuracy:.1f} %" for row in candidates)
    alt = "Accuracy by cross-fitting: " + "; ".join(parts)
    return draw(paint, width=_WIDTH, height=62 + 42 * len(rows), name=name, alt=alt)


def confidence_figure(groups: Sequence[tuple[str, Floats]], *, name: str = "confidence") -> Markup:
    """Draw how confident the predictions are, stacked by where they come from.

    Parameters
    ----------
    groups : sequence of (str, ndarray of shape (n,))
        Name and confidences of each group, at most three.
    name : str
        Prefix of the identifiers.

    Returns
    -------
    markupsafe.Markup
        Inline SVG.

    Examples
    --------
    >>> "model" in confidence_figure([("model", np.array([0.5, 0.9]))])
    True
    """
    edges = np.linspace(0, 1, 21)
    colors: tuple[tuple[str, float], ...] = ((ACCENT, 0.85), (ACCENT, 0.35), (ACCENT_2, 0.7))

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        base = np.zeros(len(edges) - 1)
        for (label, values), (color, alpha) in zip(groups, colors, strict=False):
            heights, _ = np.histogram(np.clip(np.nan_to_num(values), 0, 1), edges)
            axes.bar(
                edges[:-1], heights, 0.046, base, align="edge", color=color, alpha=alpha,
                label=label,
            )  # fmt: skip
            base += heights
        axes.set(xlim=(0, 1), xlabel="confidence of the prediction", ylabel="images")
        axes.xaxis.set_major_formatter(_PERCENT)
        axes.yaxis.set_major_formatter(_THOUSANDS)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.grid(axis="x", visible=False)
        # Above the bars, which may stand anywhere.
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)

    values = np.concatenate([group for _, group in groups])
    sure = float(np.mean(values >= 0.9)) if len(values) else 0.0
    alt = (
        f"Histogram of the confidence of {len(values):,} predictions; "
        f"{100 * sure:.0f} % are at least 90 % sure."
    )
    return draw(paint, width=_WIDTH, height=_HEIGHT, name=name, alt=alt)
