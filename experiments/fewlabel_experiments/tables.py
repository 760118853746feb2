"""Published beside ours, as cells, as Markdown and for the console."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .summary import RowSummary

HEADINGS = (
    "setting",
    "model",
    "labels",
    "published %",
    "fewlabel %",
    "difference",
    "default, same labels %",
)
COSTS = ("setting", "model", "seconds", "shared s", "peak MB", "right labels %", "trained on")
BEYOND = ("labels", "fewlabel's default %", "labels alone %", "seconds")
NONE = "–"

Cells = list[tuple[str, ...]]


def comparison(summaries: Sequence[RowSummary]) -> Cells:
    """Set published figures beside measured ones."""
    default = {s.row.n_labeled: s for s in summaries if s.row.beyond}
    lines: Cells = []
    for s in summaries:
        if s.row.beyond:
            continue
        beyond = default.get(s.row.n_labeled)
        lines.append(
            (
                s.row.setting,
                s.row.model,
                f"{s.row.n_labeled:,}",
                NONE if s.published is None else f"{s.published:g}",
                spread(s),
                NONE if s.difference is None else f"{s.difference:+.1f}",
                NONE if beyond is None else spread(beyond),
            )
        )
    return lines


def costs(summaries: Sequence[RowSummary]) -> Cells:
    """Set out what each row took, and how many of its training labels were right."""
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
    """Set out the numbers that a study measures besides accuracy."""
    lines: Cells = []
    for s in summaries:
        values = [s.extra.get(name) for name in names]
        if any(value is not None for value in values):
            lines.append((s.row.setting, s.row.model, *map(_number, values)))
    return lines


def _number(value: float | None) -> str:
    if value is None:
        return NONE
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.1f}"


def beyond(summaries: Sequence[RowSummary]) -> Cells:
    """Set out fewlabel's default, beside a model that had the labels alone."""
    lines: Cells = []
    for s in summaries:
        if not s.row.beyond:
            continue
        alone = s.extra.get("labels_alone")
        seconds = NONE if s.mean is None else f"{s.seconds + s.shared_seconds:.0f}"
        alone_cell = NONE if alone is None else f"{100 * alone:.1f}"
        lines.append((f"{s.row.n_labeled:,}", spread(s), alone_cell, seconds))
    return lines


def filled(headings: Sequence[str], lines: Cells) -> tuple[tuple[str, ...], Cells]:
    """Leave out the columns that hold nothing."""
    kept = [k for k in range(len(headings)) if any(line[k] != NONE for line in lines)]
    return tuple(headings[k] for k in kept), [tuple(line[k] for k in kept) for line in lines]


def spread(summary: RowSummary) -> str:
    """Write mean and standard deviation."""
    if summary.mean is None:
        return NONE
    return f"{summary.mean:.1f}" + ("" if summary.sd is None else f" ± {summary.sd:.1f}")


def markdown(headings: Sequence[str], lines: Cells) -> str:
    """Write a table in Markdown."""
    rows = [tuple(headings), *lines]
    text = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    text.insert(1, "|---" * len(headings) + "|")
    return "\n".join(text) + "\n"


def page(
    summaries: Sequence[RowSummary],
    sentences: Sequence[str],
    names: Mapping[str, str] | None = None,
) -> str:
    """Write all tables and sentences of a study in Markdown."""
    parts = [markdown(*filled(HEADINGS, comparison(summaries)))]
    default = beyond(summaries)
    if default:
        parts.append(markdown(BEYOND, default))
    if sentences:
        parts.append("".join(f"- {sentence}\n" for sentence in sentences))
    measured = measures(summaries, names or {})
    if measured:
        headings = ("setting", "model", *(names or {}).values())
        parts.append(markdown(*filled(headings, measured)))
    spent = costs(summaries)
    if spent:
        parts.append(markdown(*filled(COSTS, spent)))
    return "\n".join(parts)
