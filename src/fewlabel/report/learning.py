"""The learning curve of a report: what more labels would bring."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from fewlabel.evaluate import CurveValue, LearningCurve
from fewlabel.report.scoring import View
from fewlabel.report.svg import ACCENT, ACCENT_2, HALO, MUTED, draw

_WIDTH, _HEIGHT = 390.0, 300.0
_PERCENT = FuncFormatter(lambda value, _: f"{100 * value:g} %")
_COUNT = FuncFormatter(lambda value, _: f"{value:,.0f}")


def learning_view(curve: LearningCurve | None, reason: str) -> View | None:
    """Say and draw what more labels would bring.

    Parameters
    ----------
    curve : LearningCurve or None
        The curve.
    reason : str
        Why there is none.

    Returns
    -------
    dict or None
        ``sentence``, ``caption``, ``rows``, ``level``, ``note`` and ``svg``; where there is no
        curve, the reason as the sentence and None as ``svg``; None where there is nothing to say.
    """
    if curve is None:
        return {"sentence": reason, "svg": None} if reason else None
    caption = (
        "Points: models trained on a part of the labels and tested on the others, with a standard "
        f"error. Band: {100 * curve.level:.0f} % interval."
    )
    if abs(curve.shift) >= 0.0005:
        side = "below" if curve.shift > 0 else "above"
        caption += (
            f" Chosen images are not like the others: all is drawn {100 * abs(curve.shift):.1f} "
            f"points {side} what the labels alone say."
        )
    after = CurveValue(curve.expected, curve.low, curve.high)
    return {
        "sentence": curve.in_words(),
        "caption": caption,
        "rows": [
            {"name": "now", "n": curve.n_now, "value": curve.now},
            {"name": "twice the labels", "n": curve.next_n, "value": after},
        ],
        "level": curve.level,
        "note": "Both are likely off to the same side: the gain is known better than either.",
        "svg": learning_curve_figure(curve),
    }


def learning_curve_figure(curve: LearningCurve, *, name: str = "learning") -> Markup:
    """Draw accuracy against the number of labels, up to twice as many as there are.

    Parameters
    ----------
    curve : LearningCurve
        Points, curve and intervals.
    name : str
        Prefix of the identifiers.

    Returns
    -------
    markupsafe.Markup
        Inline SVG.

    Examples
    --------
    >>> from fewlabel.evaluate import fit_learning_curve
    >>> right = np.arange(40)[:, None] < [24, 30, 34]
    >>> curve = fit_learning_curve([10, 20, 32], right, n_now=40, is_random_sample=True)
    >>> "with 80 labels" in learning_curve_figure(curve)
    True
    """
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
        axes.plot(x[~known], middle[~known], color=ACCENT, linestyle=(0, (4, 3)))
        axes.errorbar(
            curve.n_labeled[shown], points, curve.errors[shown],
            fmt="o", color=MUTED, markersize=5, elinewidth=1.4,
        )  # fmt: skip
        _mark(axes, curve.n_now, curve.now.expected, ACCENT, "now")
        axes.vlines(curve.next_n, curve.low, curve.high, color=ACCENT_2, linewidth=2.2)
        _mark(axes, curve.next_n, curve.expected, ACCENT_2, "2×")
        floor = min(float(low[-1]), float(points.min()) - 0.02, float(middle.min()) - 0.02)
        axes.set(xlim=(first * 0.93, curve.next_n * 1.16), ylim=(max(floor, 0), None))
        axes.set(xlabel="labels", ylabel="share that is right")
        halvings = curve.next_n / 2.0 ** np.arange(8)
        axes.xaxis.set_major_locator(FixedLocator(halvings[halvings >= first * 0.93].tolist()))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(_COUNT)
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_formatter(_PERCENT)

    alt = (
        f"Accuracy by number of labels: {100 * curve.now.expected:.1f} % with {curve.n_now:,} "
        f"labels, about {100 * curve.expected:.1f} % with {curve.next_n:,} labels "
        f"({100 * curve.low:.1f} % to {100 * curve.high:.1f} %)."
    )
    return draw(paint, width=_WIDTH, height=_HEIGHT, name=name, alt=alt)


def _mark(axes: Axes, n: int, value: float, color: str, word: str) -> None:
    axes.plot(n, value, "o", color=color, markersize=8)
    axes.annotate(
        f"{word} {100 * value:.1f} %",
        (n, value),
        (-9, 7),
        textcoords="offset points",
        ha="right",
        size=10,
        weight="bold",
    ).set_gid(HALO)
