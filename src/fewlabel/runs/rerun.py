"""A run once more, from its record: whether the predictions agree, and what has changed."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fewlabel.data import ImageSet, Labels, labels_from_truth, load_images, read_labels
from fewlabel.errors import LabelError, RunFolderError
from fewlabel.features.pixels import Progress
from fewlabel.fit_result import FitSettings
from fewlabel.locks import _hidden_beside
from fewlabel.pipeline import fit_images
from fewlabel.runs.folder import save_run
from fewlabel.runs.project import RECORD, _resolve, _run_record
from fewlabel.runs.record import _SHORT, _circumstances, _of_images, _of_labels
from fewlabel.runs.tables import _read_predictions

_FOLDERS = "folders"
_NAMED = 3
# A confidence is written with four digits, a probability with five.
_MOST = 0.001
_NOTHING = type(None)
_SHAPES: dict[str, tuple[type, ...]] = {
    "settings.method": (str,),
    "settings.features": (str,),
    "settings.weights": (str, _NOTHING),
    "settings.seed": (int,),
    "settings.device": (str,),
    "settings.time_budget": (int, float, _NOTHING),
    "options.probabilities": (bool,),
    "options.explain": (int, _NOTHING),
    "labels": (str,),
    "circumstances": (dict,),
    "data.images.source": (str,),
    "data.labels": (dict,),
}


def rerun(
    run: str | Path,
    out: str | Path,
    *,
    images: Any = None,
    labels: str | None = None,
    cache: bool = False,
    force: bool = False,
    command: str = "",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Repeat a run from its record, and compare the predictions.

    Parameters
    ----------
    run, out : str or Path
        A run folder, and the folder for the new run.
    images : str or ImageSet, optional
        The images, where they have moved.
    labels : str, optional
        The label table, where it has moved.
    cache : bool
        Take features that are kept on disk. By default they are computed anew: those of the cache
        would agree whatever has changed.
    force : bool
        Replace an earlier run at ``out``.
    command : str
        The command that repeats it, for the record.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    dict
        ``changed``, what is not as it was then; ``n`` images that both runs predicted, ``n_same``
        with the same labels; the ``largest_difference`` of their confidence, or of the
        probabilities where both runs wrote them; ``agrees``, if all labels are the same and that
        is at most 0.001; ``identical``, if all is to the last bit; both estimates, ``old`` and
        ``new``.

    Raises
    ------
    RunFolderError
        If there is no record, or it is damaged.
    DataError
        If the images are gone.
    LabelError
        If the labels are gone.
    """
    run, out = Path(run), Path(out)
    record = _read_record(run)
    settings = FitSettings(
        **{name: record["settings"][name] for name in ("method", "features", "seed", "device")},
        weights=_resolve(run, record, record["settings"]["weights"]),
        time_budget=record["settings"]["time_budget"],
        cache=cache,
        checkpoint=_hidden_beside(out, "training"),
    )
    found = load_images(images or _resolve(run, record, record["data"]["images"]["source"]))
    table = _labels(labels or _resolve(run, record, record["labels"]), found)
    changed = [
        *_changed_images(run, record, found),
        *_changed_labels(run, record, found, table),
        *_changed_circumstances(record, settings),
    ]
    result = fit_images(found, table, settings, progress=progress)
    save_run(
        result,
        found,
        out,
        force=force,
        command=command,
        probabilities=record["options"]["probabilities"],
        n_explained=record["options"]["explain"],
        progress=progress,
    )
    again = _run_record(out)
    n, n_same, most = _compare(run, out)
    return {
        "run": str(run),
        "out": str(out),
        "changed": changed,
        "n": n,
        "n_same": n_same,
        "largest_difference": most,
        "agrees": 0 < n == n_same and most <= _MOST,
        "identical": again["predictions"] == record.get("predictions"),
        "old": _estimate(record),
        "new": _estimate(again),
    }


def _read_record(run: Path) -> dict[str, Any]:
    """Return the record of a run, checked."""
    if not (run / RECORD).is_file():
        is_run = (run / "metrics.json").is_file()
        why = "an earlier fewlabel wrote it" if is_run else "is it a run?"
        raise RunFolderError(
            f"{run} holds no {RECORD} ({why}): give a folder that `fewlabel fit` wrote, or fit "
            "again with the command in its report."
        )
    record = _run_record(run)
    for name, kinds in _SHAPES.items():
        value: Any = record
        for part in name.split("."):
            value = value.get(part, ...) if isinstance(value, dict) else ...
        if not isinstance(value, kinds) or (isinstance(value, int) and value < 0):
            raise RunFolderError(f"{run / RECORD} is damaged ({name}): copy it anew, or fit again.")
    return record


def _labels(source: str, images: ImageSet) -> Labels:
    """Return the labels that a run was given."""
    if source == _FOLDERS:
        return labels_from_truth(images)
    if not source:
        raise LabelError("The run was given its labels in Python: give their table with --labels.")
    if not os.path.exists(source):  # noqa: PTH110
        raise LabelError(f"The labels {source} are not there any more: give --labels.")
    return read_labels(source, images)


def _changed_images(run: Path, record: dict[str, Any], images: ImageSet) -> list[str]:
    """Say which images are gone, new or otherwise than then."""
    old, new = record["data"]["images"], _of_images(images)
    if (old.get("names"), old.get("contents")) == (new["names"], new["contents"]):
        return []
    names = list(_read_predictions(run))
    before, after = (
        dict(zip(each, _parts(str(of.get("each", ""))), strict=False))
        for each, of in ((names, old), (images.names, new))
    )
    found = [
        _some([n for n in names if n not in after], "gone"),
        _some([n for n in images.names if n not in before], "new"),
        _some([n for n, part in after.items() if before.get(n, part) != part], "changed"),
    ]
    return [f"images: {text}" for text in found if text] or ["images: in another order"]


def _parts(digits: str) -> list[str]:
    return [digits[i : i + _SHORT] for i in range(0, len(digits), _SHORT)]


def _some(names: Sequence[str], what: str) -> str:
    """Say how many there are, and name the first ones; empty where there is none."""
    if not names:
        return ""
    more = ", …" if len(names) > _NAMED else ""
    are = "is" if len(names) == 1 else "are"
    return f"{len(names):,} {are} {what} ({', '.join(names[:_NAMED])}{more})"


def _changed_labels(
    run: Path, record: dict[str, Any], images: ImageSet, labels: Labels
) -> list[str]:
    """Say which labels are gone, new or otherwise than then."""
    if record["data"]["labels"].get("digest") == _of_labels(labels)["digest"]:
        return []
    old = {
        n: row.get("label")
        for n, row in _read_predictions(run).items()
        if row.get("source") == "label"
    }
    texts = labels.task.texts(labels.training_y, labels.classes)
    new = {name: text for name, text in zip(images.names, texts, strict=True) if text}
    found = [
        _some([n for n in old if n not in new], "gone"),
        _some([n for n in new if n not in old], "new"),
        _some([f"{n}: {old[n]} then, {new[n]} now" for n in old if new.get(n, old[n]) != old[n]],
              "changed"),
    ]  # fmt: skip
    rest = ["labels: those of the audit, their purpose, or groups differ"]
    return [f"labels: {text}" for text in found if text] or rest


def _changed_circumstances(record: dict[str, Any], settings: FitSettings) -> list[str]:
    """Say which versions, threads and parts of the machine are not as they were."""
    old, new = _flat(record["circumstances"]), _flat(_circumstances(settings.device))
    texts = [
        f"{name}: {old.get(name, 'none')} then, {new.get(name, 'none')} now"
        for name in old | new
        # What no figure depends on.
        if old.get(name) != new.get(name) and name not in ("system", "cores", "memory_gb")
    ]
    if settings.time_budget:
        texts.append("time: networks train as far as it goes, which differs from run to run")
    return texts


def _flat(found: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in found.items():
        if isinstance(value, dict):
            prefix = "threads of " if name == "threads" else ""
            flat |= {prefix + inner: part for inner, part in value.items()}
        else:
            flat[name] = value
    return flat


def _compare(run: Path, out: Path) -> tuple[int, int, float]:
    """Return how many images two runs share, how many labels agree, and the largest difference."""
    old, new = _read_predictions(run), _read_predictions(out)
    both = [(old[name], new[name]) for name in old if name in new]
    numbers = ["confidence"]
    if both:
        shared = [key for key in both[0][0] if key and key.startswith("p(") and key in both[0][1]]
        numbers = shared or numbers
    try:
        differences = [abs(float(a[n]) - float(b[n])) for a, b in both for n in numbers]
        n_same = sum(a["label"] == b["label"] for a, b in both)
    except (KeyError, TypeError, ValueError) as error:
        raise RunFolderError(f"{run / 'predictions.csv'} is damaged: copy it anew.") from error
    return len(both), n_same, round(max(differences, default=0.0), 6)


def _estimate(record: dict[str, Any]) -> dict[str, Any]:
    found = record.get("audit") or record.get("estimate") or {}
    return {name: found.get(name) for name in ("value", "low", "high")}
