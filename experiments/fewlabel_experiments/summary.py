"""Means and spreads over the seeds: from records, and to and from ``ours.csv``; goals."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fewlabel.files import atomic_file

from .protocol import Goal, Row, Settings, Study

COLUMNS = (
    "row", "setting", "model", "n_labeled", "published", "goal", "reached", "accuracy_mean",
    "accuracy_sd", "accuracy_min", "seeds", "seconds", "shared_seconds", "peak_mb", "commit",
)  # fmt: skip
"""Columns of ``ours.csv``; those of a study's own numbers follow."""


MAX_DOUBLING = 1.0
"""Points that the second half of a training may bring for it to count as long enough."""


@dataclass(frozen=True)
class RowSummary:
    """A row over its seeds."""

    row: Row
    published: float | None  # accuracy in percent
    mean: float | None = None  # of the accuracy, in percent; None where nothing was measured
    sd: float | None = None  # None with one seed
    least: float | None = None
    seeds: tuple[int, ...] = ()
    seconds: float = 0.0  # mean time of the row itself
    shared_seconds: float = 0.0  # mean time of the pieces that it shares with other rows
    peak_mb: float = 0.0
    commit: str = ""
    extra: dict[str, float] = field(default_factory=dict)  # means of the study's own numbers
    goal: float | None = None  # accuracy that is to be reached, in percent

    @property
    def is_converged(self) -> bool:
        """Whether more training would hardly have changed the mean, as far as that was looked at.

        A study measures it as ``last_doubling``: points that the second half of the steps brought.
        """
        return self.extra.get("last_doubling", 0.0) <= MAX_DOUBLING

    @property
    def difference(self) -> float | None:
        """Our accuracy less the published one, in points."""
        if self.mean is None or self.published is None or not self.is_converged:
            return None
        return self.mean - self.published

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None without one, or before the end of training."""
        if self.mean is None or self.goal is None or not self.is_converged:
            return None
        return self.mean >= self.goal

    def measured(self, measure: str) -> float | None:
        """Return the accuracy or another number by its name."""
        return self.mean if measure == "accuracy" else self.extra.get(measure)


@dataclass(frozen=True)
class GoalResult:
    """A goal beside what was measured."""

    goal: Goal
    row: Row
    bound: float
    ours: float

    @property
    def reached(self) -> bool:
        """Whether it is reached."""
        if self.goal.at_most is None:
            return self.ours >= self.bound
        return self.ours <= self.bound


def check_goals(study: Study, summaries: Sequence[RowSummary]) -> list[GoalResult]:
    """Compare the goals of a study with its rows that are measured and have converged."""
    found = {s.row.id: s for s in summaries if s.mean is not None and s.is_converged}
    results = []
    for goal in study.goals:
        bound, own = _bound(goal, found), found.get(goal.row)
        ours = None if own is None else own.measured(goal.measure)
        if own is not None and ours is not None and bound is not None:
            results.append(GoalResult(goal, own.row, bound, ours))
    return results


def _bound(goal: Goal, found: Mapping[str, RowSummary]) -> float | None:
    of = goal.at_most if goal.at_least is None else goal.at_least
    if isinstance(of, int | float):
        return of * goal.times + goal.plus
    rows = [of] if isinstance(of, str) else of or []
    values = [found[row].measured(goal.measure) for row in rows if row in found]
    known = [value for value in values if value is not None]
    return max(known) * goal.times + goal.plus if known else None


def summarize(
    study: Study,
    rows: Sequence[Row],
    records: Sequence[Mapping[str, Any]],
    *,
    comparable: bool = True,
    with_goals: bool = True,
) -> list[RowSummary]:
    """Average the records of each row; of several of one row and seed the last counts."""
    latest = {(record["row"], record["seed"]): record for record in records}
    summaries = []
    for row in rows:
        own = [record for (name, _), record in sorted(latest.items()) if name == row.id]
        summaries.append(_summary(row, _published(study, row) if comparable else None, own))
    return _with_goals(study, summaries) if with_goals else summaries


def _with_goals(study: Study, summaries: list[RowSummary]) -> list[RowSummary]:
    """Add the highest accuracy that each row is to reach."""
    goals: dict[str, float] = {}
    if study.goal_within is not None:
        goals = {
            s.row.id: s.published - study.goal_within for s in summaries if s.published is not None
        }
    for result in check_goals(study, summaries):
        if result.goal.measure == "accuracy" and result.goal.at_most is None:
            goals[result.row.id] = max(result.bound, goals.get(result.row.id, result.bound))
    return [replace(s, goal=goals.get(s.row.id)) for s in summaries]


def write_ours(path: Path, summaries: Sequence[RowSummary]) -> None:
    """Write ``ours.csv``; rows without a measurement are left out."""
    extra = list(dict.fromkeys(name for s in summaries for name in s.extra))
    with (
        atomic_file(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*COLUMNS, *extra])
        for s in summaries:
            if s.mean is None:
                continue
            fixed = [s.row.id, s.row.setting, s.row.model, s.row.n_labeled, _cell(s.published)]
            fixed += [_cell(s.goal), {None: "", True: "yes", False: "no"}[s.reached]]
            fixed += [_cell(s.mean), _cell(s.sd), _cell(s.least), " ".join(map(str, s.seeds))]
            fixed += [f"{s.seconds:.2f}", f"{s.shared_seconds:.2f}", f"{s.peak_mb:.0f}", s.commit]
            writer.writerow([*fixed, *(_number(s.extra.get(name)) for name in extra)])


def read_ours(study: Study, rows: Sequence[Row]) -> list[RowSummary]:
    """Read the last full measurement of a study; a row that it lacks has no mean."""
    path = study.folder / "ours.csv"
    lines: dict[str, dict[str, str]] = {}
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as file:
            lines = {line["row"]: line for line in csv.DictReader(file)}
    summaries = []
    comparable = study.is_comparable(Settings())
    for row in rows:
        published = _published(study, row) if comparable else None
        line = lines.get(row.id)
        if line is None:
            summaries.append(RowSummary(row, published))
            continue
        summaries.append(
            RowSummary(
                row,
                published,
                mean=float(line["accuracy_mean"]),
                sd=float(line["accuracy_sd"]) if line["accuracy_sd"] else None,
                least=float(line["accuracy_min"]),
                seeds=tuple(int(seed) for seed in line["seeds"].split()),
                seconds=float(line["seconds"]),
                shared_seconds=float(line["shared_seconds"]),
                peak_mb=float(line["peak_mb"]),
                commit=line["commit"],
                extra={k: float(v) for k, v in line.items() if k not in COLUMNS and v},
            )
        )
    return _with_goals(study, summaries)


def total_seconds(records: Sequence[Mapping[str, Any]]) -> float:
    """Add up what a run took: every row, and every shared piece once a seed."""
    latest = {(record["row"], record["seed"]): record for record in records}
    shared: dict[tuple[int, str], float] = {}
    for record in latest.values():
        for name, seconds in record["shared"].items():
            # A run that went on made the piece twice; both times were spent, the longer counts.
            key = (record["seed"], name)
            shared[key] = max(seconds, shared.get(key, 0.0))
    return sum(record["seconds"] for record in latest.values()) + sum(shared.values())


def _published(study: Study, row: Row) -> float | None:
    return None if row.published is None else study.published[row.published].accuracy


def _summary(row: Row, published: float | None, records: list[Mapping[str, Any]]) -> RowSummary:
    if not records:
        return RowSummary(row, published)
    accuracies = [100 * record["accuracy"] for record in records]
    names = list(dict.fromkeys(name for record in records for name in record["extra"]))
    return RowSummary(
        row,
        published,
        mean=statistics.mean(accuracies),
        sd=statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        least=min(accuracies),
        seeds=tuple(record["seed"] for record in records),
        seconds=statistics.mean(record["seconds"] for record in records),
        shared_seconds=statistics.mean(sum(record["shared"].values()) for record in records),
        peak_mb=max(record["peak_mb"] for record in records),
        commit=" ".join(dict.fromkeys(record["commit"] for record in records)),
        extra={
            name: statistics.mean(
                record["extra"][name] for record in records if name in record["extra"]
            )
            for name in names
        },
    )


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
