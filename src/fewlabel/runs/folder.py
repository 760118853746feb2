"""Run folders: saved whole, loaded safely, and used to predict and to evaluate."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fewlabel import __version__
from fewlabel.compute import _timed_stage, peak_rss_mb
from fewlabel.data import ImageSet, Labels
from fewlabel.data.tables import _write_table
from fewlabel.errors import LabelError
from fewlabel.evaluate import confusion_matrix, per_class, scores
from fewlabel.features.near_copies import _find_groups
from fewlabel.features.pixels import Progress
from fewlabel.files import atomic_folder
from fewlabel.model import Model, Prediction
from fewlabel.report.html import _now
from fewlabel.report.quality import _Scored
from fewlabel.runs.model import _save_model
from fewlabel.runs.record import MOVED, _write_record
from fewlabel.runs.tables import _keep_rounds, _write_ledger, _write_predictions, _write_suspicious
from fewlabel.texts import _percent_text

if TYPE_CHECKING:
    from fewlabel.fit_result import FitResult


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How well a model does on labeled images.

    Attributes
    ----------
    metrics : dict
        Numbers in a form that JSON takes: ``accuracy`` with its interval, called ``metric``; the
        measures of `fewlabel.evaluate`; ``per_class``, a row a class; ``n_trained_on``, how many
        of the images the model was trained on, and the accuracy on the others in ``unseen``.
    report_html : str
        The same to look at: one self-contained page.
    """

    metrics: dict[str, Any]
    report_html: str


def save_run(
    result: FitResult,
    images: ImageSet,
    out: str | Path,
    *,
    force: bool = False,
    command: str = "",
    name: str | None = None,
    probabilities: bool = False,
    n_explained: int | None = 0,
    progress: Progress | None = None,
) -> Path:
    """Write a run folder, whole or not at all.

    Parameters
    ----------
    result : FitResult
        What `fewlabel.pipeline.fit_images` gave.
    images : ImageSet
        The images it was given.
    out : str or Path
        Folder to make.
    force : bool
        Replace an earlier run there.
    command : str
        The command that makes this run again, for the report.
    name : str, optional
        What the commands in the report call the folder; by default ``out``.
    probabilities : bool
        Write one column a class into predictions.csv.
    n_explained : int or None
        How many predictions the report explains by LIME (needs the extra ``explain``); None
        explains up to six, three where the model looks at images of more than 64 pixels, as far
        as a tenth of the time of the fit goes, and none without the extra.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    RunFolderError
        If it exists and ``force`` is false.
    StorageError
        If the disk is full or cannot be written to.
    """
    from fewlabel.report.card import _render_card
    from fewlabel.report.page import _render_report

    out = Path(out)
    unlike = np.isin(np.arange(len(images)), result.unlike)
    with atomic_folder(out, force=force) as folder:
        _write_predictions(
            folder / "predictions.csv",
            images,
            Prediction(result.task, result.proba, result.classes, {}, unlike=unlike),
            origin=result.origin,
            probabilities=probabilities,
        )
        _write_ledger(folder / "ledger.parquet", result, images)
        _write_suspicious(folder / "suspicious.csv", result, images)
        _write_table(
            folder / "skipped.csv",
            ("path", "reason"),
            [(skipped.path, skipped.reason) for skipped in images.skipped],
        )
        _save_model(result, images, folder / "model")
        with _timed_stage(result.seconds, "report", progress):
            html = _render_report(
                result,
                images,
                command=command,
                created=_now(),
                run=name or str(out),
                n_explained=n_explained,
                progress=progress,
            )
        (folder / "report.html").write_text(html, encoding="utf-8")
        # Last, so that it holds the seconds of the report, too.
        _write_record(
            folder,
            out,
            result,
            images,
            command=command,
            created=_now(),
            probabilities=probabilities,
            n_explained=n_explained,
        )
        found = result.summary()
        card = _render_card(
            result, images, found, command=command, created=_now(), run=name or str(out)
        )
        (folder / "model_card.md").write_text(card, encoding="utf-8")
        summary = {"fewlabel_version": __version__} | found
        summary = {name: value for name, value in summary.items() if name not in MOVED}
        summary["training"] = None if result.training is None else result.training.to_dict()
        (folder / "metrics.json").write_text(json.dumps(summary, indent=1, allow_nan=False))
        _keep_rounds(result.settings.checkpoint, result.method, folder)
    if result.settings.checkpoint is not None:
        # Only now: until the run is whole, the same command goes on from it.
        shutil.rmtree(result.settings.checkpoint, ignore_errors=True)
    return out


def evaluate_run(
    run: Model,
    images: ImageSet,
    labels: Labels,
    *,
    command: str = "",
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a model on labeled images.

    Parameters
    ----------
    run : Model
        The model.
    images : ImageSet
        Images, best ones that it never saw.
    labels : Labels
        Their labels, in the order of ``run.classes``; images without one are left out.
    command : str
        The command that evaluates again, for the report.
    progress : callable, optional
        Called as ``progress(stage, done, total)``.

    Returns
    -------
    Evaluation
        Metrics and a report.

    Raises
    ------
    LabelError
        If no image is labeled, or the classes are not those of the model.
    """
    from fewlabel.report.evaluation import _render_evaluation

    if tuple(labels.classes) != tuple(run.classes):
        raise LabelError(
            f"The labels' classes are {', '.join(labels.classes)}, but the model knows "
            f"{', '.join(run.classes)}: read the labels with classes=run.classes."
        )
    rows = labels.labeled
    if not len(rows):
        raise LabelError("No image is labeled, so there is nothing to evaluate on.")
    if labels.task != run.task:
        raise LabelError(
            f"The model is {run.task.name}, but the labels are {labels.task.name}: read them with "
            "task=run.task."
        )
    labeled = images.subset(rows)
    prediction = run.predict(labeled, progress=progress)
    groups = _find_groups(images, labels).number[rows]
    scored = _Scored(run.task, labels.y[rows], prediction.proba, groups)
    metrics = _measure(scored, run.classes) | _unseen(scored, run, labeled)
    html = _render_evaluation(
        run,
        labeled,
        scored,
        unseen=metrics["unseen"],
        seconds=prediction.seconds,
        warnings=metrics["warnings"],
        command=command,
        created=_now(),
    )
    metrics |= {
        "expected": None if run.expected is None else run.expected.to_dict(),
        "seconds": {name: round(value, 3) for name, value in prediction.seconds.items()},
        "peak_rss_mb": round(peak_rss_mb(), 1),
    }
    return Evaluation(metrics, html)


def _measure(scored: _Scored, classes: tuple[str, ...]) -> dict[str, Any]:
    """Compute all metrics of predictions."""
    task, y, proba = scored.task, scored.y, scored.proba
    measured = scored._measured()
    found: dict[str, Any] = {
        "task": task.name,
        "metric": task.metric,
        "n": len(y),
        "accuracy_low": measured.low,
        "accuracy_high": measured.high,
        **scores(task, y, proba),
        "mean_confidence": float(scored.confidence.mean()),
        "classes": list(classes),
        "per_class": per_class(task, y, proba, classes),
    }
    codes = task.codes(y)
    if codes is not None:
        counts = confusion_matrix(codes, task.predict(proba), len(classes))
        found["confusion_matrix"] = counts.tolist()
    return found


def _unseen(scored: _Scored, run: Model, images: ImageSet) -> dict[str, Any]:
    """Count the images that the model was trained on, and measure it on the others."""
    trained = run._was_trained_on(images)
    unseen, warnings, n = None, list[str](), int(trained.sum())
    if not trained.all():
        unseen = scored._measured(~trained).to_dict()
    if n:
        warnings.append(f"The model was trained on {n:,} of these {len(trained):,} images: ")
        warnings[0] += (
            "use others."
            if unseen is None
            else (
                f"on the {unseen['n']:,} others its {run.task.metric} is "
                f"{_percent_text(unseen['value'])} ({_percent_text(unseen['low'])} to "
                f"{_percent_text(unseen['high'])})."
            )
        )
    return {"n_trained_on": n, "unseen": unseen, "warnings": warnings}
