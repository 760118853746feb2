"""Runs a study: every row and seed that has no record yet, then tables and figures."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import fewlabel
from fewlabel.errors import UsageError
from fewlabel.files import atomic_file

from . import tables
from .protocol import Progress, Row, Session, Settings, Study
from .records import RecordStore
from .summary import (
    GoalResult,
    RowSummary,
    check_goals,
    summarize,
    total_seconds,
    write_ours,
)

Log = Callable[[str], None]


@dataclass(frozen=True)
class StudyResult:
    """A finished run of a study."""

    study: Study
    summaries: list[RowSummary]  # published beside ours, row by row
    goals: list[GoalResult]  # none of a quick run, or on other data
    records: list[dict[str, Any]]  # one a row and seed
    seconds: float  # what all of it took, added up over interruptions
    files: list[Path]  # tables and figures that were written

    def to_dict(self) -> dict[str, Any]:
        """Return the result in a form that JSON takes."""
        rows = [
            {
                "row": s.row.id,
                "setting": s.row.setting,
                "model": s.row.model,
                "n_labeled": s.row.n_labeled,
                "published": s.published,
                "goal": s.goal,
                "reached": s.reached,
                "accuracy_mean": s.mean,
                "accuracy_sd": s.sd,
                "difference": s.difference,
                "seeds": list(s.seeds),
                "seconds": s.seconds,
                "shared_seconds": s.shared_seconds,
                "peak_mb": s.peak_mb,
                "commit": s.commit,
                **s.extra,
            }
            for s in self.summaries
        ]
        goals = [
            {
                "text": result.goal.text,
                "row": result.row.id,
                "measure": result.goal.measure,
                "at_most" if result.goal.at_least is None else "at_least": result.bound,
                "ours": result.ours,
                "reached": result.reached,
            }
            for result in self.goals
        ]
        return {
            "study": self.study.name,
            "rows": rows,
            "goals": goals,
            "seconds": self.seconds,
            "files": [str(file) for file in self.files],
        }


def run_study(
    study: Study,
    settings: Settings,
    out: Path,
    *,
    progress: Progress | None = None,
    log: Log | None = None,
) -> StudyResult:
    """Run a study into a folder, or go on with it; ``log`` gets a line as each row ends."""
    if settings.save_models is not None and settings.from_models is not None:
        raise UsageError("Models are either saved or loaded: give --save-models or --from-models.")
    config = study.config(settings)
    seeds = settings.seeds or tuple(config["seeds"])
    rows = study.rows(config)
    study.check(config, settings)
    store = RecordStore(out, _made_with(study, settings, config))
    progress = progress or (lambda stage, done, total: None)
    for seed in seeds:
        _run_seed(study, settings, config, seed, rows, store, progress, log or (lambda text: None))
    records = [record for record in store.records if record["seed"] in seeds]
    # Goals are those of whole runs on the study's own data.
    with_goals = not settings.quick and settings.data is None
    summaries = summarize(
        study, rows, records, comparable=study.is_comparable(settings), with_goals=with_goals
    )
    goals = check_goals(study, summaries) if with_goals else []
    ours, page = out / "ours.csv", out / "tables.md"
    write_ours(ours, summaries)
    with atomic_file(page) as temporary:
        text = tables.page(study, summaries, with_goals=with_goals)
        temporary.write_text(f"# {study.title}\n\n{text}", encoding="utf-8")
    pictures = [out / name for name in study.pictures if (out / name).is_file()]
    files = [ours, page, *study.figures(summaries, out), *pictures]
    return StudyResult(study, summaries, goals, records, total_seconds(records), files)


def _made_with(study: Study, settings: Settings, config: dict[str, Any]) -> dict[str, Any]:
    # More rows and more seeds go on in the folder.
    kept = {key: value for key, value in config.items() if key not in ("seeds", "rows")}
    return {
        "study": study.name,
        "version": fewlabel.__version__,
        "quick": settings.quick,
        "from_models": settings.from_models is not None,
        "config": kept,
    }


def _run_seed(
    study: Study,
    settings: Settings,
    config: dict[str, Any],
    seed: int,
    rows: list[Row],
    store: RecordStore,
    progress: Progress,
    log: Log,
) -> None:
    """Run the rows of one seed that have no record; the data are loaded if there is one."""
    session: Session | None = None
    unfinished = store.folder / f"unfinished-{seed}"
    settings = replace(settings, unfinished=unfinished)
    measured = commit()
    stage = f"{study.name}, seed {seed}"
    for number, row in enumerate(rows):
        progress(stage, number, len(rows))
        if store.find(row.id, seed) is not None and study.is_saved(settings, row, seed):
            continue
        session = session or study.session(config, settings, seed, progress)
        with session.work.row() as cost:
            outcome = row.compute(session)
        for name, content in outcome.files.items():
            with atomic_file(store.folder / name) as temporary:
                temporary.write_bytes(content)
        store.append(
            {
                "study": study.name,
                "row": row.id,
                "seed": seed,
                "accuracy": round(outcome.accuracy, 6),
                "extra": {name: float(value) for name, value in outcome.extra.items()},
                "seconds": round(cost.seconds, 3),
                "shared": {name: round(value, 3) for name, value in cost.shared.items()},
                "peak_mb": round(cost.peak_mb, 1),
                "commit": measured,
            }
        )
        log(f"{stage}: {row.id} {100 * outcome.accuracy:.2f} % ({cost.seconds:.1f} s)")
    shutil.rmtree(unfinished, ignore_errors=True)
    progress(stage, len(rows), len(rows))


def commit() -> str:
    """Return the clone's commit, with a ``+`` if its code was changed; else the version."""
    root = Path(__file__).resolve().parents[2]
    version = f"v{fewlabel.__version__}"
    if not (root / ".git").exists():
        return version

    def git(*words: str) -> str:
        command = ["git", "-C", str(root), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        name = git("rev-parse", "--short=10", "HEAD")
        changed = git("status", "--porcelain", "--", "src", "experiments")
    except (OSError, subprocess.CalledProcessError):
        return version
    return f"{name}+" if changed else name
