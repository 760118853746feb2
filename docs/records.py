"""What scripts that write pages share: records of benchmarks, tables, means with deviations."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"
Rows = list[dict[str, Any]]


def records(name: str) -> Rows:
    """Read a record of one JSON object a line."""
    return [json.loads(line) for line in (RESULTS / name).read_text("utf-8").splitlines()]


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Write a Markdown table."""
    lines = [list(heads), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def figure(percent: float | str, deviation: float | str = "") -> str:
    """Write a percentage, with its deviation where there is one."""
    # No-break spaces: a figure and its deviation stay on one line.
    spread = f"\u00a0±\u00a0{float(deviation):.1f}" if deviation not in ("", None) else ""
    return f"{float(percent):.1f}{spread}"


def spread(values: list[float]) -> str:
    """Write shares as percent: the mean, and how far seeds lie apart."""
    return figure(100 * mean(values), 100 * stdev(values) if len(values) > 1 else "")


def groups(rows: Rows, *keys: str) -> dict[tuple[Any, ...], Rows]:
    """Group rows by the values of some keys."""
    found: dict[tuple[Any, ...], Rows] = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in keys), []).append(row)
    return found
