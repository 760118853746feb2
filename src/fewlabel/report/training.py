"""The training of networks in a report: curves by epoch, and a table of the rounds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from fewlabel.report.by_class import by_class_views, votes_views
from fewlabel.report.scatter import class_color
from fewlabel.report.scoring import View
from fewlabel.report.svg import ACCENT, draw, printable
from fewlabel.semisupervised.history import TrainingHistory

MAX_LINES = 10
"""Lines of a chart at most; of more networks the last ones are drawn."""

MAX_POINTS = 100
"""Points of a line at most; of more epochs, means of several are drawn."""

MAX_ROWS = 40
"""Rows of the table of rounds at most, the last ones."""

_WIDTH, _HEIGHT = 390.0, 260.0
_PERCENT = FuncFormatter(lambda value, _: f"{100 * value:g} %")
_NUMBER = FuncFormatter(lambda value, _: f"{value:g}")
_LOG_FROM = 30.0  # a loss that falls to less than this part is drawn on a logarithmic scale

Point = tuple[float, float]


@dataclass(frozen=True)
class _Kind:
    """A quantity that is known of epochs or rounds, and how it is shown."""

    key: str
    title: str
    caption: str
    share: bool = False


_EPOCH_KINDS = (
    _Kind(
        "loss",
        "Loss",
        "How far the network is from what it is taught. It should fall and level off.",
    ),
    _Kind(
        "labeled_loss",
        "Loss on labelled images",
        "How far the network is from the given labels; near 0 it knows them by heart.",
    ),
    _Kind(
        "unlabeled_loss",
        "Loss on unlabelled images",
        "How far it is from its pseudo-labels. It may rise while more of them are believed.",
    ),
    _Kind(
        "accepted",
        "Pseudo-labels believed",
        "Share of the unlabelled images whose pseudo-label is trained on.",
        share=True,
    ),
    _Kind(
        "precision",
        "How many of them are right",
        "Share of the believed pseudo-labels that is right. The truth was given for this curve "
        "alone, not for the training.",
        share=True,
    ),
    _Kind(
        "validation_accuracy",
        "Accuracy while training",
        "Share that is right of labels that this network does not learn from.",
        share=True,
    ),
)
_HELD_OUT = _Kind(
    "accuracy",
    "Accuracy by round",
    "Share that is right of the held-out labels, after each round.",
    share=True,
)
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


def training_view(log: TrainingHistory | None) -> View | None:
    """Draw the training of networks, and list its rounds.

    Parameters
    ----------
    log : TrainingHistory or None
        What happened in training.

    Returns
    -------
    dict or None
        ``charts`` (``title``, ``caption``, ``svg`` and ``legend``, pairs of name and colour),
        ``rounds`` (see `rounds_view`), ``by_class`` and ``votes`` (see
        `fewlabel.report.by_class`); None where nothing is known.

    Examples
    --------
    >>> log = TrainingHistory()
    >>> log.add_history("network 1", [{"loss": 0.9}, {"loss": 0.4}])
    >>> [chart["title"] for chart in training_view(log)["charts"]]
    ['Loss']
    """
    if log is None:
        return None
    charts = [chart for kind in _EPOCH_KINDS if (chart := _epoch_chart(log, kind))]
    by_round = _round_chart(log)
    rounds = rounds_view(log)
    if not charts and by_round is None and rounds is None:
        return None
    return {
        "charts": charts + ([by_round] if by_round else []),
        "rounds": rounds,
        "by_class": by_class_views(log),
        "votes": votes_views(log),
    }


def rounds_view(log: TrainingHistory) -> View | None:
    """List the rounds, with the columns of which something is known.

    Parameters
    ----------
    log : TrainingHistory
        What happened in training.

    Returns
    -------
    dict or None
        ``columns`` (heading and kind of number), ``networks`` (pairs of a name, blank where there
        is one only, and its rounds: ``round``, ``values`` and ``kept``) and ``left_out`` (earlier
        rounds that are not listed); None where there are no rounds.

    Examples
    --------
    >>> log = TrainingHistory()
    >>> log.add_round("final", 1, n_accepted=40, n_new=None)
    >>> view = rounds_view(log)
    >>> view["columns"], view["networks"]
    ([('accepted', 'count')], [('', [{'round': 1, 'values': [40.0], 'kept': True}])])
    """
    if not log.rounds:
        return None
    known = [
        column
        for column in _COLUMNS
        if any(_finite(record.get(column[0])) is not None for record in log.rounds)
    ]
    listed: dict[str, list[View]] = {}
    for record in log.rounds[-MAX_ROWS:]:
        values = [_finite(record.get(key)) for key, _, _ in known]
        row = {"round": record["round"], "values": values, "kept": record.get("kept", True)}
        listed.setdefault(record["network"], []).append(row)
    named = len({record["network"] for record in log.rounds}) > 1
    return {
        "columns": [(heading, kind) for _, heading, kind in known],
        "networks": [
            (printable(name, limit=40) if named else "", rows) for name, rows in listed.items()
        ],
        "left_out": max(len(log.rounds) - MAX_ROWS, 0),
    }


def curves_figure(
    lines: Mapping[str, Sequence[Point]],
    *,
    title: str,
    across: str,
    share: bool = False,
    name: str = "curve",
) -> Markup:
    """Draw one line a network.

    Parameters
    ----------
    lines : mapping of str to sequence of (float, float)
        Points of each network, by its name. A value that is not finite breaks the line.
    title : str
        What is drawn, for those who cannot see it.
    across : str
        What stands below the horizontal axis.
    share : bool
        Whether the values are shares, to be shown as percentages.
    name : str
        Prefix of the identifiers.

    Returns
    -------
    markupsafe.Markup
        Inline SVG.

    Examples
    --------
    >>> svg = curves_figure({"a": [(1, 0.9), (2, 0.4)]}, title="Loss", across="epoch")
    >>> "Loss by epoch: a from 0.9 to 0.4" in svg
    True
    """
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
            )
        _scale(axes, values, share)
        axes.set_xlabel(across)
        axes.xaxis.set_major_locator(MaxNLocator(7, integer=True, min_n_ticks=1))
        axes.xaxis.set_major_formatter(_NUMBER)

    said = "; ".join(_in_words(network, points, share) for network, points in lines.items())
    alt = f"{title} by {across}: {said}."
    return draw(paint, width=_WIDTH, height=_HEIGHT, name=name, alt=alt)


def _epoch_chart(log: TrainingHistory, kind: _Kind) -> View | None:
    """Draw one quantity by epoch, if it is known of any network."""
    lines: dict[str, list[Point]] = {}
    # Where the loss is known in two parts, their sum says nothing more.
    split = {r["network"] for r in log.epochs if _finite(r.get("labeled_loss")) is not None}
    for record in log.epochs:
        if kind.key in record and not (kind.key == "loss" and record["network"] in split):
            value = _finite(record[kind.key])
            point = (float(record["epoch"]), math.nan if value is None else value)
            lines.setdefault(record["network"], []).append(point)
    return _chart(lines, kind, "epoch")


def _round_chart(log: TrainingHistory) -> View | None:
    """Draw the accuracy on held-out labels by round, where there is more than one."""
    lines: dict[str, list[Point]] = {}
    for record in log.rounds:
        value = _finite(record.get(_HELD_OUT.key))
        if value is not None:
            lines.setdefault(record["network"], []).append((float(record["round"]), value))
    lines = {network: sorted(points) for network, points in lines.items()}
    if len({x for points in lines.values() for x, _ in points}) < 2:
        return None
    return _chart(lines, _HELD_OUT, "round")


def _chart(lines: dict[str, list[Point]], kind: _Kind, across: str) -> View | None:
    known = {
        network: points
        for network, points in lines.items()
        if any(math.isfinite(value) for _, value in points)
    }
    if not known:
        return None
    caption = kind.caption
    shown = dict(list(known.items())[-MAX_LINES:])
    if len(shown) < len(known):
        caption += f" The last {len(shown)} of {len(known)} networks are drawn."
    longest = max(len(points) for points in shown.values())
    if longest > MAX_POINTS:
        caption += f" Each point is the mean of up to {math.ceil(longest / MAX_POINTS)} epochs."
    svg = curves_figure(
        shown, title=kind.title, across=across, share=kind.share, name=f"curve-{kind.key}"
    )
    legend = [(printable(name, limit=40), color) for name, color in _legend(list(shown))]
    return {
        "title": kind.title,
        "caption": caption,
        "svg": svg,
        "legend": legend if len(legend) > 1 else [],
    }


def _legend(networks: list[str]) -> list[tuple[str, str]]:
    """Give each network a colour; a single one has that of the page, told by an empty text."""
    if len(networks) == 1:
        return [(networks[0], "")]
    return [(network, class_color(i)) for i, network in enumerate(networks)]


def _thinned(points: Sequence[Point]) -> np.ndarray:
    """Take means of neighbouring points where there are more than can be told apart."""
    array = np.asarray(points, dtype=np.float64)
    size = math.ceil(len(array) / MAX_POINTS)
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
        pad = max(0.08 * (high - low), 0.01)
        axes.set_ylim(max(low - pad, -0.02), min(high + pad, 1.02))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_formatter(_PERCENT)
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
    first, last = (f"{100 * v:.1f} %" if share else f"{v:.3g}" for v in (values[0], values[-1]))
    return f"{network} from {first} to {last}"


def _finite(value: Any) -> float | None:
    """Give a number as it is, None for what is missing or not finite."""
    if value is None or not math.isfinite(value):
        return None
    return float(value)
