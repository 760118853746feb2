"""The runs below a folder, and the project file beside them: options kept for other commands."""

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fewlabel.errors import UsageError, _path_errors
from fewlabel.files import _json_object, atomic_file
from fewlabel.reading import _from_home

RECORD = "run.json"
"""How a run was made; what came of it stands in ``metrics.json``."""

_MAX_DEPTH = 3
_MAX_METRICS = 50_000_000

PROJECT = "fewlabel.toml"
_MARK = "# Written by fewlabel; a flag on the command line wins over what stands here.\n"
# The second is that of files before `label` wrote them, too.
_OURS = (b"# Written by fewlabel;", b"# Written by `fewlabel select`;")
# In the order in which they are written and shown.
_TYPES: dict[str, type] = {
    "images": str,
    "labels": str,
    "features": str,
    "weights": str,
    "seed": int,
}
_PATHS = ("images", "labels", "weights")
_MAX_BYTES = 100_000


@_path_errors(UsageError)
def _read_project(folder: str | Path) -> dict[str, Any]:
    """Return the options that a project file in a folder holds."""
    file = Path(folder) / PROJECT
    if not file.is_file():
        return {}
    try:
        with file.open("rb") as opened:
            found = tomllib.loads(opened.read(_MAX_BYTES).decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{file} cannot be read ({error}): correct or delete it.") from error
    for name, value in found.items():
        kind = _TYPES.get(name)
        if type(value) is not kind or (isinstance(value, int) and not 0 <= value < 2**32):
            raise UsageError(
                f"{file} holds {name} = {value!r}: it may hold images, labels, features and "
                "weights as texts, and a seed as a whole number."
            )
    for name in _PATHS:
        if name in found and (file.parent / found[name]).exists():
            found[name] = os.path.normpath(file.parent / found[name])
    return found


def _run_options(run: str | Path) -> dict[str, Any]:
    """Return the labels, features, weights and seed that a run was fitted with."""
    found = _run_record(run)
    found |= found["settings"] if isinstance(found.get("settings"), dict) else {}
    kept: dict[str, Any] = {
        n: v for n, kind in _TYPES.items() if type(v := found.get(n)) is kind and v != ""
    }
    return kept | {name: _resolve(run, found, kept[name]) for name in _PATHS if name in kept}


def _write_project(folder: str | Path, options: Mapping[str, Any]) -> bool:
    """Keep options beside a label table, for the commands that follow."""
    file = Path(folder) / PROJECT
    try:
        ours = not file.exists() or file.read_bytes().startswith(_OURS)
        lines = [_MARK]
        for name in _TYPES:
            if options.get(name) is not None:
                value = _portable(name, options[name], file.parent)
                # A string of TOML is one of JSON, but for the character of deletion.
                lines.append(f"{name} = {json.dumps(value, ensure_ascii=False)}\n")
        text = "".join(lines).replace("\x7f", "\\u007f").encode()
    except (OSError, UnicodeEncodeError):
        # A name that is no text, or a place that cannot be read: the flags must be given again.
        return False
    if ours:
        with atomic_file(file) as temporary:
            temporary.write_bytes(text)
    return ours


def _project_flags(options: Mapping[str, Any]) -> list[str]:
    """Return options as the words of a command, those that are no defaults."""
    kept = {name: options.get(name) for name in ("features", "weights", "seed")}
    return [
        word
        for name, value in kept.items()
        if value not in (None, "auto", 0)
        for word in (f"--{name}", str(value))
    ]


def _is_same_source(one: str, other: str) -> bool:
    """Return whether two names of images mean the same."""
    return one == other or Path(one).absolute().resolve() == Path(other).absolute().resolve()


def _portable(name: str, value: Any, home: Path) -> Any:
    """Return a path as seen from the project file if it lies below, else from anywhere."""
    if name not in _PATHS or not Path(value).exists():
        return value
    path, home = (Path(os.path.normpath(Path(each).absolute())) for each in (value, home))
    return path.relative_to(home).as_posix() if path.is_relative_to(home) else str(path)


def _list_runs(folder: str | Path = ".") -> list[dict[str, Any]]:
    """Return what the runs below a folder, to a depth of three, are worth, the oldest first."""
    folder = Path(folder)
    patterns = ["/".join([*["*"] * depth, "metrics.json"]) for depth in range(_MAX_DEPTH + 1)]
    files = [file for pattern in patterns for file in folder.glob(pattern)]
    # Through links a run is found more than once: by its shortest name, which comes first.
    files = list({file.resolve(): file for file in reversed(files)}.values())
    rows = [row for file in files if (row := _row(file)) is not None]
    return sorted(rows, key=lambda row: (str(row["created"]), row["run"]))


def _row(file: Path) -> dict[str, Any] | None:
    """Return the line of a run; None where there is none, or none that can be read."""
    try:
        # A run is a folder with a model; what else is called metrics.json is no run.
        if not (file.parent / "model").is_dir() or file.stat().st_size > _MAX_METRICS:
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
    if not name or (path := _from_home(name)).is_absolute():
        return name
    there = Path(os.path.normpath(Path(run).absolute() / str(record.get("folder", "..")) / path))
    if not os.path.exists(there):  # noqa: PTH110 (a name may be too long for a Path)
        return name
    here = os.path.relpath(there)
    return str(there) if here.startswith("..") else here
