"""Run folders: saved whole, loaded safely, and used to predict and to evaluate."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from fewlabel import __version__
from fewlabel.classifier.state import classifier_from_state, classifier_state
from fewlabel.compute import peak_rss_mb
from fewlabel.data import ImageSet, Labels
from fewlabel.data.tables import write_table
from fewlabel.errors import LabelError, ModelFormatError, RunFolderError
from fewlabel.evaluate import (
    AccuracyEstimate,
    accuracy,
    balanced_accuracy,
    brier_score,
    confusion_matrix,
    expected_calibration_error,
    log_loss,
    per_class,
    top_label,
    wilson_interval,
)
from fewlabel.features.choose import FeatureExtractor, extractor_from_state
from fewlabel.files import atomic_folder
from fewlabel.network_road.kept import ROUNDS
from fewlabel.persist import load_bundle, save_bundle
from fewlabel.pipeline import FitResult, Progress

MODEL_KIND = "classifier"


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of some images.

    Attributes
    ----------
    label : ndarray of shape (n,), dtype int64
        Position in ``classes`` of the most probable class.
    confidence : ndarray of shape (n,)
        Its probability.
    proba : ndarray of shape (n, K)
        Probability of each class.
    classes : tuple of str
        Names of the classes.
    seconds : dict of str to float
        Time of each stage.
    """

    label: np.ndarray
    confidence: np.ndarray
    proba: np.ndarray
    classes: tuple[str, ...]
    seconds: dict[str, float]


class Run:
    """A trained model, ready to predict.

    Parameters
    ----------
    extractor : FeatureExtractor
        What turns images into features.
    classifier : FewLabelClassifier
        What turns features into probabilities.
    classes : tuple of str
        Names of the classes.
    meta : dict
        What was saved beside the model: the estimate, the white level of 16-bit images.
    """

    def __init__(
        self,
        extractor: FeatureExtractor,
        classifier: Any,
        classes: tuple[str, ...],
        meta: dict[str, Any],
    ) -> None:
        self.extractor = extractor
        self.classifier = classifier
        self.classes = classes
        self.meta = meta

    @property
    def white_level(self) -> int | None:
        """Value that 16-bit training images had as white; give it to ``load_images``."""
        level = self.meta.get("white_level")
        return None if level is None else int(level)

    @property
    def expected(self) -> AccuracyEstimate | None:
        """The accuracy that ``fit`` expected, if it could be estimated."""
        saved = self.meta.get("estimate")
        if not saved or saved.get("value") is None:
            return None
        return AccuracyEstimate(**saved)

    def predict(self, images: ImageSet, *, progress: Progress | None = None) -> Prediction:
        """Predict the classes of images.

        Parameters
        ----------
        images : ImageSet
            Any images.
        progress : callable, optional
            Called as ``progress(stage, done, total)``.

        Returns
        -------
        Prediction
            Classes and calibrated probabilities.
        """
        start = time.perf_counter()
        features = self.extractor.transform(images, progress=progress)
        middle = time.perf_counter()
        proba = np.zeros((len(images), len(self.classes)))
        proba[:, self.classifier.classes_] = self.classifier.predict_proba(features)
        seconds = {"features": middle - start, "predict": time.perf_counter() - middle}
        return Prediction(proba.argmax(axis=1), proba.max(axis=1), proba, self.classes, seconds)


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
        explains a few where that takes seconds, see `fewlabel.run_sheet.how_many_explained`.
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
    from fewlabel.run_report import run_report

    out = Path(out)
    with atomic_folder(out, force=force) as folder:
        write_predictions(
            folder / "predictions.csv",
            images,
            Prediction(result.predicted, result.confidence, result.proba, result.classes, {}),
            origin=result.origin,
            probabilities=probabilities,
        )
        write_ledger(folder / "ledger.parquet", result, images)
        write_table(
            folder / "skipped.csv",
            ("path", "reason"),
            [(skipped.path, skipped.reason) for skipped in images.skipped],
        )
        _save_model(result, images, folder / "model")
        summary: dict[str, Any] = {
            "fewlabel_version": __version__,
            "created": now(),
            "command": command,
        }
        summary |= result.summary()
        summary["training"] = None if result.training is None else result.training.to_dict()
        (folder / "metrics.json").write_text(json.dumps(summary, indent=1, allow_nan=False))
        html = run_report(
            result,
            images,
            command=command,
            created=summary["created"],
            n_explained=n_explained,
            progress=progress,
        )
        (folder / "report.html").write_text(html, encoding="utf-8")
        if result.way == "experts":
            _keep_rounds(result.settings.checkpoint, folder)
    if result.settings.checkpoint is not None:
        shutil.rmtree(result.settings.checkpoint, ignore_errors=True)
    return out


def _keep_rounds(checkpoint: Path | None, folder: Path) -> None:
    """Copy the networks of every round, where the training has left any."""
    rounds = None if checkpoint is None else checkpoint / ROUNDS
    if rounds is not None and rounds.is_dir():
        unfinished = shutil.ignore_patterns("*.training.safetensors")
        shutil.copytree(rounds, folder / ROUNDS, ignore=unfinished)


def write_predictions(
    path: str | Path,
    images: ImageSet,
    prediction: Prediction,
    *,
    origin: np.ndarray | None = None,
    probabilities: bool = False,
) -> None:
    """Write predictions as a CSV table.

    Parameters
    ----------
    path : str or Path
        File to write.
    images : ImageSet
        The images.
    prediction : Prediction
        What a model says of them.
    origin : ndarray of shape (n,), optional
        Where each prediction comes from; ``"model"`` by default.
    probabilities : bool
        Add one column a class.
    """
    key = "index" if images.by_index else "path"
    header = [key, "label", "confidence", "source"]
    if probabilities:
        header += [f"p({name})" for name in prediction.classes]
    sources = ["model"] * len(images) if origin is None else origin.tolist()
    names = [prediction.classes[i] for i in prediction.label.tolist()]
    confidence = [f"{value:.4f}" for value in prediction.confidence.tolist()]
    rows = zip(images.names, names, confidence, sources, strict=True)
    if not probabilities:
        write_table(path, header, rows)
        return
    write_table(
        path,
        header,
        (
            (*row, *(f"{value:.5f}" for value in proba))
            for row, proba in zip(rows, prediction.proba.tolist(), strict=True)
        ),
    )


def write_ledger(path: Path, result: FitResult, images: ImageSet) -> None:
    """Write every label that was ever assumed, as a Parquet table.

    Columns: ``image``, ``label``, ``confidence``, ``method`` (``"given"``, ``"graph"``, or the way
    in which networks were trained, such as ``"experts"``), ``round``, and ``revoked_in_round``
    (null where the label still holds). A spread label that the final model does not share counts
    as revoked.

    Parameters
    ----------
    path : Path
        File to write.
    result : FitResult
        The outcome of a fit.
    images : ImageSet
        The images.
    """
    known = np.asarray(result.classifier.classes_)
    spread = result.classifier.propagated_
    assumed = known[spread.argmax(axis=1)]
    given = result.labels.training_y
    labeled = given >= 0
    label = np.where(labeled, given, assumed)
    final = result.predicted
    parts = [
        {
            "row": np.arange(len(images)),
            "label": label,
            "confidence": np.where(labeled, 1.0, spread.max(axis=1)),
            "method": np.where(labeled, "given", "graph"),
            "round": np.where(labeled, 0, 1),
            "revoked": np.where(~labeled & (final != label), 1, -1),
        }
    ]
    if result.ledger is not None and len(result.ledger):
        entries = result.ledger.columns()
        entries["label"] = known[entries["label"]]
        parts.append(entries | {"method": np.full(len(result.ledger), result.way)})
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    revoked = columns["revoked"]
    table = pa.table(
        {
            "image": pa.array([images.names[row] for row in columns["row"].tolist()], pa.string()),
            "label": pa.array([result.classes[i] for i in columns["label"].tolist()], pa.string()),
            "confidence": pa.array(columns["confidence"], pa.float32()),
            "method": pa.array(columns["method"].tolist(), pa.string()),
            "round": pa.array(columns["round"], pa.int32()),
            "revoked_in_round": pa.array(revoked, pa.int32(), mask=revoked < 0),
        }
    )
    pyarrow.parquet.write_table(table, path, compression="zstd")


def load_run(path: str | Path) -> Run:
    """Load the model of a run folder; nothing in it is executed.

    Parameters
    ----------
    path : str or Path
        A run folder, or its ``model`` folder.

    Returns
    -------
    Run
        The model.

    Raises
    ------
    RunFolderError
        If there is no run there.
    ModelFormatError
        If the model is damaged, or newer than this version of fewlabel.
    """
    path = Path(path)
    folder = path / "model" if (path / "model").is_dir() else path
    if not path.is_dir():
        raise RunFolderError(f"{path} is not a run folder: give the folder that `fit` wrote.")
    if not (folder / "manifest.json").is_file():
        raise RunFolderError(
            f"{path} holds no model (model/manifest.json is missing): give the folder that "
            "`fewlabel fit --out` wrote."
        )
    bundle = load_bundle(folder, kind=MODEL_KIND)
    try:
        parts = {
            part: {
                name.removeprefix(f"{part}."): array
                for name, array in bundle.arrays.items()
                if name.startswith(f"{part}.")
            }
            for part in ("features", "classifier")
        }
        extractor = extractor_from_state(parts["features"], bundle.meta["features"])
        classifier = classifier_from_state(parts["classifier"], bundle.meta["classifier"])
        return Run(extractor, classifier, tuple(bundle.meta["classes"]), bundle.meta)
    except (KeyError, TypeError, IndexError) as error:
        raise ModelFormatError(
            f"The model in {folder} does not hold together ({error!r}): copy it anew, or fit again."
        ) from error


def evaluate_run(
    run: Run,
    images: ImageSet,
    labels: Labels,
    *,
    command: str = "",
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a model on labelled images.

    Parameters
    ----------
    run : Run
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
    from fewlabel.run_report import evaluation_report

    if tuple(labels.classes) != tuple(run.classes):
        raise LabelError(
            f"The labels' classes are {', '.join(labels.classes)}, but the model knows "
            f"{', '.join(run.classes)}: read the labels with classes=run.classes."
        )
    rows = labels.labeled
    if not len(rows):
        raise LabelError("No image is labelled, so there is nothing to evaluate on.")
    labeled = images.subset(rows)
    prediction = run.predict(labeled, progress=progress)
    y = labels.y[rows]
    metrics = measure(y, prediction.proba, run.classes)
    metrics |= {
        "expected": None if run.expected is None else run.expected.to_dict(),
        "seconds": {name: round(value, 3) for name, value in prediction.seconds.items()},
        "peak_rss_mb": round(peak_rss_mb(), 1),
    }
    html = evaluation_report(run, labeled, y, prediction, command=command, created=now())
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


def now() -> str:
    """Tell the time in UTC.

    Returns
    -------
    str
        ISO form, to the second.
    """
    return datetime.now(UTC).replace(microsecond=0).isoformat()


def _save_model(result: FitResult, images: ImageSet, folder: Path) -> None:
    feature_arrays, feature_meta = result.extractor.to_state()
    arrays = {f"features.{name}": array for name, array in feature_arrays.items()}
    classifier_arrays, classifier_meta = classifier_state(result.classifier, result.features)
    arrays |= {f"classifier.{name}": array for name, array in classifier_arrays.items()}
    best = result.audit or result.estimate
    save_bundle(
        folder,
        kind=MODEL_KIND,
        arrays=arrays,
        meta={
            "classes": list(result.classes),
            "features": feature_meta,
            "classifier": classifier_meta,
            "estimate": best.to_dict(),
            "white_level": images.white_level,
        },
    )
