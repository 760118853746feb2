"""Run folders: saved whole, loaded safely, and used to predict and to evaluate."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fewlabel import __version__
from fewlabel.compute import peak_rss_mb
from fewlabel.data import ImageSet, Labels, MultiLabel
from fewlabel.data.tables import write_table
from fewlabel.errors import LabelError
from fewlabel.evaluate import (
    accuracy,
    balanced_accuracy,
    brier_score,
    confusion_matrix,
    exactly_right,
    expected_calibration_error,
    log_loss,
    multilabel_scores,
    per_class,
    top_label,
    wilson_interval,
)
from fewlabel.features.pixels import Progress
from fewlabel.files import atomic_folder
from fewlabel.model import Model, Prediction
from fewlabel.report.multilabel import label_rows
from fewlabel.report.multilabel_inputs import MultiLabelScored
from fewlabel.runs.model import load_run, save_model
from fewlabel.runs.tables import keep_rounds, write_ledger, write_predictions

if TYPE_CHECKING:
    from fewlabel.fit_result import FitResult

__all__ = [
    "Evaluation",
    "evaluate_run",
    "load_run",
    "measure",
    "measure_multilabel",
    "save_run",
    "write_predictions",
]

SCORES = (
    "exact_match",
    "mean_average_precision",
    "micro_f1",
    "macro_f1",
    "calibration_error",
)
"""Measures of several labels that a report shows."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How well a model does on labelled images.

    Attributes
    ----------
    metrics : dict
        Accuracy with its interval, calibration, confusion, a row a class.
    report_html : str
        The same to look at: one self-contained page.
    """

    metrics: dict[str, Any]
    report_html: str

    def to_dict(self) -> dict[str, Any]:
        """Give the metrics in a form that JSON takes.

        Returns
        -------
        dict
            Metrics.
        """
        return self.metrics


def save_run(
    result: FitResult,
    images: ImageSet,
    out: str | Path,
    *,
    force: bool = False,
    command: str = "",
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
    probabilities : bool
        Write one column a class into predictions.csv.
    n_explained : int or None
        How many predictions the report explains by LIME (needs the extra ``explain``); None
        explains a few where that takes seconds, see `fewlabel.explain.sheets.how_many_explained`.
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
    out = Path(out)
    with atomic_folder(out, force=force) as folder:
        write_predictions(
            folder / "predictions.csv",
            images,
            Prediction(result.task, result.proba, result.classes, {}),
            origin=result.origin,
            probabilities=probabilities,
        )
        write_ledger(folder / "ledger.parquet", result, images)
        write_table(
            folder / "skipped.csv",
            ("path", "reason"),
            [(skipped.path, skipped.reason) for skipped in images.skipped],
        )
        save_model(result, images, folder / "model")
        summary: dict[str, Any] = {
            "fewlabel_version": __version__,
            "created": now(),
            "command": command,
        }
        summary |= result.summary()
        summary["training"] = None if result.training is None else result.training.to_dict()
        (folder / "metrics.json").write_text(json.dumps(summary, indent=1, allow_nan=False))
        html = _report_of(
            result,
            images,
            command=command,
            created=summary["created"],
            n_explained=n_explained,
            progress=progress,
        )
        (folder / "report.html").write_text(html, encoding="utf-8")
        if result.method == "experts":
            keep_rounds(result.settings.checkpoint, folder)
    if result.settings.checkpoint is not None:
        shutil.rmtree(result.settings.checkpoint, ignore_errors=True)
    return out


def _report_of(result: FitResult, images: ImageSet, **settings: Any) -> str:
    from fewlabel.report.multilabel_run import multilabel_report
    from fewlabel.report.run import run_report

    report = multilabel_report if result.task == MultiLabel() else run_report
    return report(result, images, **settings)


def evaluate_run(
    run: Model,
    images: ImageSet,
    labels: Labels,
    *,
    command: str = "",
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a model on labelled images.

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
        If no image is labelled, or the classes are not those of the model.
    """
    if tuple(labels.classes) != tuple(run.classes):
        raise LabelError(
            f"The labels' classes are {', '.join(labels.classes)}, but the model knows "
            f"{', '.join(run.classes)}: read the labels with classes=run.classes."
        )
    rows = labels.labeled
    if not len(rows):
        raise LabelError("No image is labelled, so there is nothing to evaluate on.")
    if labels.task != run.task:
        raise LabelError(
            f"The model is {run.task.name}, but the labels are {labels.task.name}: read them with "
            "task=run.task."
        )
    labeled = images.subset(rows)
    prediction = run.predict(labeled, progress=progress)
    y, told = labels.y[rows], {"command": command, "created": now()}
    if run.task == MultiLabel():
        from fewlabel.report.multilabel_run import multilabel_evaluation_report

        metrics = measure_multilabel(y, prediction.proba, run.classes)
        scores = {name: metrics[name] for name in SCORES}
        html = multilabel_evaluation_report(run, labeled, y, prediction, scores, **told)
    else:
        from fewlabel.report.run import evaluation_report

        metrics = measure(y, prediction.proba, run.classes)
        html = evaluation_report(run, labeled, y, prediction, **told)
    metrics |= {
        "expected": None if run.expected is None else run.expected.to_dict(),
        "seconds": {name: round(value, 3) for name, value in prediction.seconds.items()},
        "peak_rss_mb": round(peak_rss_mb(), 1),
    }
    return Evaluation(metrics, html)


def measure(y: np.ndarray, proba: np.ndarray, classes: tuple[str, ...]) -> dict[str, Any]:
    """Compute all metrics of predictions.

    Parameters
    ----------
    y : ndarray of shape (n,)
        True classes.
    proba : ndarray of shape (n, K)
        Class probabilities.
    classes : tuple of str
        Names of the classes.

    Returns
    -------
    dict
        Numbers, in a form that JSON takes.
    """
    predicted = proba.argmax(axis=1)
    correct, confidence = top_label(y, proba)
    low, high = wilson_interval(float(correct.sum()), len(y))
    return {
        "n": len(y),
        "accuracy": accuracy(y, predicted),
        "accuracy_low": low,
        "accuracy_high": high,
        "balanced_accuracy": balanced_accuracy(y, predicted),
        "log_loss": log_loss(y, proba),
        "brier_score": brier_score(y, proba),
        "expected_calibration_error": expected_calibration_error(correct, confidence),
        "mean_confidence": float(confidence.mean()),
        "classes": list(classes),
        "confusion_matrix": confusion_matrix(y, predicted, len(classes)).tolist(),
        "per_class": per_class(y, predicted, len(classes)).rows(classes),
    }


def measure_multilabel(
    y: np.ndarray, proba: np.ndarray, classes: tuple[str, ...]
) -> dict[str, Any]:
    """Compute all metrics of predictions of several labels.

    Parameters
    ----------
    y : ndarray of shape (n, K)
        1 present, 0 absent, -1 not known.
    proba : ndarray of shape (n, K)
        Probability of each label.
    classes : tuple of str
        Names of the labels.

    Returns
    -------
    dict
        Numbers, in a form that JSON takes; ``accuracy`` is the exact match.
    """
    predicted = (proba >= 0.5).astype(np.int64)
    right = exactly_right(y, predicted)
    low, high = wilson_interval(float(right.sum()), len(y))
    scores = multilabel_scores(y, predicted, proba)
    return {
        "task": "several labels an image",
        "n": len(y),
        "accuracy": float(right.mean()),
        "accuracy_low": low,
        "accuracy_high": high,
        **{name: None if np.isnan(value) else float(value) for name, value in scores.items()},
        "mean_confidence": float(MultiLabel().confidence(proba).mean()),
        "classes": list(classes),
        "per_label": label_rows(MultiLabelScored(y, proba), classes),
    }


def now() -> str:
    """Tell the time in UTC.

    Returns
    -------
    str
        ISO form, to the second.
    """
    return datetime.now(UTC).replace(microsecond=0).isoformat()
