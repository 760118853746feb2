"""Published beside ours, as cells, as Markdown and for the console."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .protocol import Study
from .summary import GoalResult, RowSummary, check_goals

HEADINGS = (
    "setting", "model", "labels", "published %", "goal %", "fewlabel %", "reached", "difference",
    "default, same labels %",
)  # fmt: skip
GOALS = ("what is to be reached", "setting", "model", "measure", "goal", "ours", "reached")
COSTS = ("setting", "model", "seconds", "shared s", "peak MB", "right labels %", "trained on")
BEYOND = ("labels", "fewlabel's default %", "supervised baseline %", "seconds")
NONE = "–"

Cells = list[tuple[str, ...]]


def comparison(summaries: Sequence[RowSummary]) -> Cells:
    """Return cells under ``HEADINGS``, one line a row; fewlabel's default has a column."""
    default = {s.row.n_labeled: s for s in summaries if s.row.beyond}
    lines: Cells = []
    for s in summaries:
        if s.row.beyond:
            continue
        same = default.get(s.row.n_labeled)
        lines.append(
            (
                s.row.setting,
                s.row.model,
                f"{s.row.n_labeled:,}",
                NONE if s.published is None else f"{s.published:g}",
                NONE if s.goal is None else f"{s.goal:.1f}",
                spread(s),
                _yes(s.reached),
                NONE if s.difference is None else f"{s.difference:+.1f}",
                NONE if same is None else spread(same),
            )
        )
    return lines


def goals(results: Sequence[GoalResult], measures: Mapping[str, str]) -> Cells:
    """Return cells under ``GOALS``, one line a goal."""
    names = {"accuracy": "accuracy %", **measures}
    return [
        (
            result.goal.text,
            result.row.setting,
            result.row.model,
            names[result.goal.measure],
            f"{'≥' if result.goal.at_most is None else '≤'} {result.bound:,.1f}",
            f"{result.ours:,.1f}",
            _yes(result.reached),
        )
        for result in results
    ]


def costs(summaries: Sequence[RowSummary]) -> Cells:
    """Return cells under ``COSTS``: what each row took, and how many training labels were right."""
    lines: Cells = []
    for s in summaries:
        if s.mean is None:
            continue
        right, size = s.extra.get("label_precision"), s.extra.get("n_train")
        lines.append(
            (
                s.row.setting,
                s.row.model,
                f"{s.seconds:.1f}",
                f"{s.shared_seconds:.1f}",
                f"{s.peak_mb:,.0f}",
                NONE if right is None else f"{100 * right:.1f}",
                NONE if size is None else f"{size:,.0f}",
            )
        )
    return lines


def measures(summaries: Sequence[RowSummary], names: Mapping[str, str]) -> Cells:
    """Return setting, model and a cell for each of a study's own numbers, if there are any."""
    lines: Cells = []
    for s in summaries:
        values = [s.extra.get(name) for name in names]
        if any(value is not None for value in values):
            lines.append((s.row.setting, s.row.model, *map(_number, values)))
    return lines


def beyond(summaries: Sequence[RowSummary]) -> Cells:
    """Return cells under ``BEYOND``: fewlabel's default beside the supervised baseline."""
    lines: Cells = []
    for s in summaries:
        if not s.row.beyond:
            continue
        baseline = s.extra.get("supervised_baseline")
        seconds = NONE if s.mean is None else f"{s.seconds + s.shared_seconds:.0f}"
        cell = NONE if baseline is None else f"{100 * baseline:.1f}"
        lines.append((f"{s.row.n_labeled:,}", spread(s), cell, seconds))
    return lines


def filled(headings: Sequence[str], lines: Cells) -> tuple[tuple[str, ...], Cells]:
    """Leave out the columns that hold nothing."""
    kept = [k for k in range(len(headings)) if any(line[k] != NONE for line in lines)]
    return tuple(headings[k] for k in kept), [tuple(line[k] for k in kept) for line in lines]


def spread(summary: RowSummary) -> str:
    """Write mean and standard deviation, which one seed lacks; a dash for nothing measured."""
    if summary.mean is None:
        return NONE
    sd = "" if summary.sd is None else f" ± {summary.sd:.1f}"
    return f"{summary.mean:.1f}{sd}" + ("" if summary.is_converged else " (not converged)")


def markdown(headings: Sequence[str], lines: Cells) -> str:
    """Write a table in Markdown, ending in a line break."""
    rows = [tuple(headings), *lines]
    text = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    text.insert(1, "|---" * len(headings) + "|")
    return "\n".join(text) + "\n"


def page(study: Study, summaries: Sequence[RowSummary], *, with_goals: bool = True) -> str:
    """Write all tables of a study in Markdown, without a title."""
    own = ("setting", "model", *study.measures.values())
    found = check_goals(study, summaries) if with_goals else []
    parts = [
        filled(HEADINGS, comparison(summaries)),
        (BEYOND, beyond(summaries)),
        (GOALS, goals(found, study.measures)),
        filled(own, measures(summaries, study.measures)),
        filled(COSTS, costs(summaries)),
    ]
    return "\n".join(markdown(headings, lines) for headings, lines in parts if lines)


def _number(value: float | None) -> str:
    if value is None:
        return NONE
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.1f}"


def _yes(reached: bool | None) -> str:
    return {None: NONE, True: "yes", False: "no"}[reached]
