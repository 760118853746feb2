"""The runs below a folder, side by side."""

import os
from pathlib import Path
from typing import Any

from fewlabel.files import _json_object

RECORD = "run.json"
"""How a run was made; what came of it stands in ``metrics.json``."""

_MAX_DEPTH = 3
_MAX_BYTES = 50_000_000


def _list_runs(folder: str | Path = ".") -> list[dict[str, Any]]:
    """Return what the runs below a folder, to a depth of three, are worth, the oldest first."""
    folder = Path(folder)
    patterns = ["/".join([*["*"] * depth, "metrics.json"]) for depth in range(_MAX_DEPTH + 1)]
    files = [file for pattern in patterns for file in folder.glob(pattern)]
    rows = [row for file in files if (row := _row(file)) is not None]
    return sorted(rows, key=lambda row: (str(row["created"]), row["run"]))


def _row(file: Path) -> dict[str, Any] | None:
    """Return the line of a run; None where there is none, or none that can be read."""
    try:
        # A run is a folder with a model; what else is called metrics.json is no run.
        if not (file.parent / "model").is_dir() or file.stat().st_size > _MAX_BYTES:
            return None
        found = _run_record(file.parent)
        estimate, settings = found["audit"] or found["estimate"], found["settings"]
        return {
            "run": str(file.parent),
            "created": found["created"],
            "metric": found["metric"],
            "accuracy": estimate["value"],
            "low": estimate["low"],
            "high": estimate["high"],
            "rests_on": found.get("rests_on", ""),
            "n_labeled": found["n_labeled"],
            "n_images": found["n_images"],
            "labels": found.get("labels", ""),
            "method": found["method"],
            "features": _features(settings),
            "seconds": sum(found["seconds"].values()),
            "command": found["command"],
        }
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _features(settings: dict[str, Any]) -> str:
    """Return which features were asked for, the weights by the name of their file."""
    name, weights = settings["features"], settings["weights"]
    if weights is None:
        return str(name)
    file = Path(weights).name
    return file if name == "auto" else f"{name} ({file})"


def _run_record(run: str | Path) -> dict[str, Any]:
    """Return the figures of a run and how it was made; empty where there is none to be read."""
    # Runs of earlier versions have all in one file.
    return _json_object(Path(run) / "metrics.json") | _json_object(Path(run) / RECORD)


def _resolve(run: str | Path, record: dict[str, Any], name: Any) -> Any:
    """Return a path as it was meant where the command ran; what is no path stays as it is."""
    if not name or (path := Path(name).expanduser()).is_absolute():
        return name
    there = Path(os.path.normpath(Path(run).absolute() / str(record.get("folder", "..")) / path))
    if not there.exists():
        return name
    here = os.path.relpath(there)
    return str(there) if here.startswith("..") else here
