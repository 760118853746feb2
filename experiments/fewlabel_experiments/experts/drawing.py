"""Figures of the study of binary experts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from ..figures import save
from ..summary import RowSummary

_MEASURES = (
    ("mean", "accuracy on the test images, %"),
    ("precision_covered", "right of the most confident half, %"),
)


def draw(summaries: Sequence[RowSummary], folder: Path, methods: Sequence[str]) -> list[Path]:
    """Draw accuracy and precision against the number of labels, a figure for each data set."""
    files = []
    for data in ("mnist", "fashion-mnist"):
        lines = _lines(summaries, data, methods)
        if lines:

            def paint(panels: Sequence[Axes], lines: dict[str, list[RowSummary]] = lines) -> None:
                _paint(panels, lines)

            path = folder / f"experts-{data}.svg"
            files.append(save(path, paint, n_panels=2, size=(11.5, 4.4)))
    return files


def _lines(
    summaries: Sequence[RowSummary], data: str, methods: Sequence[str]
) -> dict[str, list[RowSummary]]:
    lines: dict[str, list[RowSummary]] = {}
    for summary in summaries:
        for method in methods:
            name = f"{data}-{summary.row.n_labeled}-{method}"
            if summary.row.id == name and summary.mean is not None:
                lines.setdefault(summary.row.model, []).append(summary)
    return lines


def _paint(panels: Sequence[Axes], lines: dict[str, list[RowSummary]]) -> None:
    for panel, (measure, words) in zip(panels, _MEASURES, strict=True):
        for model, points in lines.items():
            x = [point.row.n_labeled for point in points]
            y = [
                point.mean if measure == "mean" else point.extra.get(measure, float("nan"))
                for point in points
            ]
            panel.plot(x, y, marker="o", label=model)  # type: ignore[arg-type]
        panel.set_xscale("log")
        ticks = sorted({point.row.n_labeled for points in lines.values() for point in points})
        panel.set_xticks(ticks, [f"{n:,}" for n in ticks])
        panel.minorticks_off()
        panel.set_xlabel("labels")
        panel.set_ylabel(words)
    panels[-1].legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
