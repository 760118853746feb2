"""What to do after a fit, as commands that work as they stand."""

import itertools
import math
import shlex
from pathlib import Path
from typing import NamedTuple

from fewlabel.extras import is_installed
from fewlabel.fit_features import _has_finer
from fewlabel.fit_result import FitResult
from fewlabel.runs.project import _project_flags
from fewlabel.selection import ENOUGH_A_CLASS

_LEAST = 10
_AUDIT = 50
_WIDE = 0.2
# Times what a fit took, in which finer features are tried, too.
_LONGER = 4
# What the labelling page takes.
_PAGE = ("fastapi", "uvicorn", "sqlalchemy", "alembic")


class _NextStep(NamedTuple):
    """A step, and the command for it."""

    why: str
    command: str


def _next_steps(result: FitResult, source: str, run: str) -> list[_NextStep]:
    """Return what to do after a fit, the most useful first."""
    labels, settings = result.labels, result.settings
    table, n_train = labels.source or "labels.csv", labels.n_labeled - len(labels.audit)
    n_free = len(result.proba) - labels.n_labeled - result.n_duplicates
    steps, given = [], vars(settings)
    if result.audit is None:
        audit = min(_AUDIT, n_free) if n_free > 0 else min(_AUDIT, n_train // 4)
        why = f"check the accuracy on {audit} more random images"
        steps.append(_NextStep(why, _select(source, 0, audit, table, given)))
    if n_free > 0:
        budget = min(n_free, max(_LEAST, n_train))
        by = run if n_train >= ENOUGH_A_CLASS * len(labels.classes) else ""
        steps.append(_NextStep("label more", _select(source, budget, 0, table, given, by)))
        if table.lower().endswith(".csv") and all(map(is_installed, _PAGE)):
            words = ["fewlabel", "label", source, "--labels", table, *_project_flags(given)]
            steps.append(_NextStep("label more in the browser", shlex.join(words)))
    is_usual = settings.method == "auto" and settings.time_budget is None
    if is_usual and _has_finer(result.model.extractor, len(result.proba)):
        minutes = max(1, math.ceil(sum(result.seconds.values()) * _LONGER / 60))
        finer = _free_name(str(Path(run).parent), f"{Path(run).name}-finer", suffix="")
        words = ["fewlabel", "fit", source, "--labels", table, "--out", finer]
        words += ["--time", f"{minutes}m", *_project_flags(given)]
        steps.append(_NextStep("try finer features, which some images need", shlex.join(words)))
    predict = ["fewlabel", "predict", run, "new-images", "--out", _free_name("", "predictions")]
    use = _NextStep("label new images, here those in new-images", shlex.join(predict))
    # Once the accuracy is known, and more labels would hardly change it, it is time to use it.
    is_ready = _is_known_well(result) and not (result.curve is not None and result.curve.worth_it)
    return [use, *steps] if is_ready else [*steps, use]


def _is_known_well(result: FitResult) -> bool:
    """Return whether the accuracy of a fit is known to some twenty points."""
    return result.headline.high - result.headline.low <= _WIDE


def _select(
    source: str, budget: int, audit: int, table: str, given: dict[str, object], run: str = ""
) -> str:
    """Return the command that adds rows to the labels, by what a run is unsure of."""
    words = ["fewlabel", "select", source, "--budget", str(budget)]
    words += ["--audit", str(audit)] if audit else []
    folder = "" if table == "folders" else str(Path(table).parent)
    words += ["--run", run] if run else []
    words += ["--labels", table, "--out", _free_name(folder, "more", table)]
    return shlex.join(words + _project_flags(given))


def _free_name(folder: str, stem: str, table: str = "", suffix: str = ".csv") -> str:
    """Return the first name, by default of a table, that is not taken yet."""
    names = (f"{stem}{'' if n == 1 else f'-{n}'}{suffix}" for n in itertools.count(1))
    files = (Path(folder, name) for name in names)
    return next(str(file) for file in files if file != Path(table) and not file.exists())
