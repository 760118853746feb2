"""The training of networks in a report: curves by epoch, and a table of the rounds."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from fewlabel.report.by_class import _by_class_views, _votes_views
from fewlabel.report.html import View
from fewlabel.report.scatter import _class_color
from fewlabel.report.svg import ACCENT, _draw, _fraction_axis
from fewlabel.semisupervised.history import TrainingHistory
from fewlabel.texts import _percent_text, _printable

_MAX_LINES = 10  # of a chart; of more networks the last ones are drawn
_MAX_POINTS = 100  # of a line; of more epochs, means of several are drawn
_MAX_ROWS = 40  # of the table of rounds, the last ones
_NUMBER = FuncFormatter(lambda value, _: f"{value:g}")
_LOG_FROM = 30.0  # a loss that falls to less than this part is drawn on a logarithmic scale

Point = tuple[float, float]


# What is known of epochs or rounds: the title of its chart, and how to read it.
_KINDS = {
    "loss": (
        "Loss",
        "How far the network is from its labels and pseudo-labels. It should fall and level off.",
    ),
    "labeled_loss": (
        "Loss on labeled images",
        "How far the network is from the given labels; near 0 it has memorized them.",
    ),
    "unlabeled_loss": (
        "Loss on unlabeled images",
        "How far it is from its pseudo-labels. It may rise while more of them are accepted.",
    ),
    "accepted": (
        "Pseudo-labels accepted",
        "Share of the unlabeled images whose pseudo-label is trained on.",
    ),
    "precision": (
        "How many of them are right",
        "Share of the accepted pseudo-labels that is right. The truth was given for this curve "
        "alone, not for the training.",
    ),
    "validation_accuracy": (
        "Accuracy while training",
        "Share that is right of labels that this network does not learn from.",
    ),
    "accuracy": (
        "Accuracy by round",
        "Share that is right of the held-out labels, after each round.",
    ),
}
_FRACTIONS = ("accepted", "precision", "validation_accuracy", "accuracy")
_COLUMNS = (
    ("n_accepted", "accepted", "count"),
    ("n_rejected", "rejected", "count"),
    ("n_new", "new", "count"),
    ("n_revoked", "revoked", "count"),
    ("mean_confidence", "mean confidence", "percent"),
    ("precision", "of them right", "percent"),
    ("accuracy", "held-out accuracy", "percent"),
    ("seconds", "time", "duration"),
)


def _training_view(history: TrainingHistory | None) -> View | None:
    """Draw the training of networks, and list its rounds; None where nothing is known."""
    if history is None:
        return None
    charts = [_epoch_chart(history, key) for key in _KINDS if key != "accuracy"]
    charts = [chart for chart in (*charts, _round_chart(history)) if chart]
    rounds = _rounds_view(history)
    if not charts and rounds is None:
        return None
    return {
        "charts": charts,
        "rounds": rounds,
        "by_class": _by_class_views(history),
        "votes": _votes_views(history),
    }


def _rounds_view(history: TrainingHistory) -> View | None:
    """List the rounds, with the columns of which something is known; None without any."""
    if not history.rounds:
        return None
    known = [
        column
        for column in _COLUMNS
        if any(_finite(record.get(column[0])) is not None for record in history.rounds)
    ]
    listed: dict[str, list[View]] = {}
    for record in history.rounds[-_MAX_ROWS:]:
        values = [_finite(record.get(key)) for key, _, _ in known]
        row = {"round": record["round"], "values": values, "kept": record.get("kept", True)}
        listed.setdefault(record["network"], []).append(row)
    named = len({record["network"] for record in history.rounds}) > 1
    return {
        "columns": [(heading, kind) for _, heading, kind in known],
        "networks": [
            (_printable(name, limit=40) if named else "", rows) for name, rows in listed.items()
        ],
        "left_out": max(len(history.rounds) - _MAX_ROWS, 0),
    }


def _curves_figure(
    lines: Mapping[str, Sequence[Point]],
    *,
    title: str,
    across: str,
    share: bool = False,
    name: str = "curve",
) -> Markup:
    """Draw a line a network; a value that is not finite breaks it. Shares become percentages."""
    colors = dict(_legend(list(lines)))
    thinned = {network: _thinned(points) for network, points in lines.items()}
    values = np.concatenate([points[:, 1] for points in thinned.values()])
    values = values[np.isfinite(values)]

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for network, points in thinned.items():
            axes.plot(
                points[:, 0],
                points[:, 1],
                color=colors[network] or ACCENT,
                linewidth=2.0 if len(thinned) <= 4 else 1.4,
                # A line of a few points is read point by point; a single one would not show.
                marker="o" if len(points) <= 16 else None,
                markersize=4,
                # A point at 100 % stands on the edge.
                clip_on=not share or float(values.max()) > 1,
            )
        _scale(axes, values, share)
        axes.set_xlabel(across)
        axes.xaxis.set_major_locator(MaxNLocator(7, integer=True, min_n_ticks=1))
        axes.xaxis.set_major_formatter(_NUMBER)

    courses = "; ".join(_in_words(network, points, share) for network, points in lines.items())
    alt = f"{title} by {across}: {courses}."
    return _draw(paint, height=260, name=name, alt=alt)


def _epoch_chart(history: TrainingHistory, key: str) -> View | None:
    """Draw one quantity by epoch, if it is known of any network."""
    lines: dict[str, list[Point]] = {}
    # Where the loss is known in two parts, their sum says nothing more.
    split = {r["network"] for r in history.epochs if _finite(r.get("labeled_loss")) is not None}
    for record in history.epochs:
        if key in record and not (key == "loss" and record["network"] in split):
            # What is not finite breaks the line, where leaving it out would hide it.
            value = _finite(record[key])
            point = (float(record["epoch"]), math.nan if value is None else value)
            lines.setdefault(record["network"], []).append(point)
    return _chart(lines, key, "epoch")


def _round_chart(history: TrainingHistory) -> View | None:
    """Draw the accuracy on held-out labels by round, where there is more than one."""
    lines: dict[str, list[Point]] = {}
    for record in history.rounds:
        value = _finite(record.get("accuracy"))
        if value is not None:
            lines.setdefault(record["network"], []).append((float(record["round"]), value))
    lines = {network: sorted(points) for network, points in lines.items()}
    # One point is in the table already.
    if len({x for points in lines.values() for x, _ in points}) < 2:
        return None
    return _chart(lines, "accuracy", "round")


def _chart(lines: dict[str, list[Point]], key: str, across: str) -> View | None:
    known = {
        network: points
        for network, points in lines.items()
        if any(math.isfinite(value) for _, value in points)
    }
    if not known:
        return None
    title, caption = _KINDS[key]
    shown = dict(list(known.items())[-_MAX_LINES:])
    if len(shown) < len(known):
        caption += f" The last {len(shown)} of {len(known)} networks are drawn."
    longest = max(len(points) for points in shown.values())
    if longest > _MAX_POINTS:
        caption += f" Each point is the mean of up to {math.ceil(longest / _MAX_POINTS)} epochs."
    svg = _curves_figure(
        shown, title=title, across=across, share=key in _FRACTIONS, name=f"curve-{key}"
    )
    legend = [(_printable(name, limit=40), color) for name, color in _legend(list(shown))]
    return {
        "title": title,
        "caption": caption,
        "svg": svg,
        "legend": legend if len(legend) > 1 else [],
    }


def _legend(networks: list[str]) -> list[tuple[str, str]]:
    """Give each network a color; a single one has that of the page, an empty text here."""
    if len(networks) == 1:
        return [(networks[0], "")]
    return [(network, _class_color(i)) for i, network in enumerate(networks)]


def _thinned(points: Sequence[Point]) -> np.ndarray:
    """Take means of neighboring points where there are more than a chart can show."""
    array = np.asarray(points, dtype=np.float64)
    # Means, since single epochs would show noise and hide the course.
    size = math.ceil(len(array) / _MAX_POINTS)
    if size == 1:
        return array
    where = np.arange(len(array)) // size
    finite = np.isfinite(array[:, 1])
    counts = np.bincount(where, finite)
    sums = np.bincount(where, np.where(finite, array[:, 1], 0.0))
    means = np.divide(sums, counts, out=np.full(len(sums), math.nan), where=counts > 0)
    return np.column_stack([np.bincount(where, array[:, 0]) / np.bincount(where), means])


def _scale(axes: Axes, values: np.ndarray, share: bool) -> None:
    low, high = float(values.min()), float(values.max())
    if share:
        # At least a point, so that a flat course is not drawn as noise.
        pad = max(0.08 * (high - low), 0.01)
        _fraction_axis(axes.yaxis, low - pad, high + pad)
        return
    if low > 0 and high / low > _LOG_FROM:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    else:
        axes.set_ylim(min(low, 0.0), high + max(0.06 * (high - low), 1e-9))
        axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(_NUMBER)


def _in_words(network: str, points: Sequence[Point], share: bool) -> str:
    values = [value for _, value in points if math.isfinite(value)]
    first, last = (_percent_text(v) if share else f"{v:.3g}" for v in (values[0], values[-1]))
    return f"{network} from {first} to {last}"


def _finite(value: Any) -> float | None:
    """Give a number as it is, None for what is missing or not finite."""
    if value is None or not math.isfinite(value):
        return None
    return float(value)
