"""The tables of a run folder: predictions, the ledger, and the networks of every round."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from fewlabel.data import ImageSet
from fewlabel.data.columns import _unguarded
from fewlabel.data.tables import _write_table
from fewlabel.errors import RunFolderError
from fewlabel.features.pixels import Progress
from fewlabel.model import Model, Prediction
from fewlabel.semisupervised.network_inputs import ROUNDS

if TYPE_CHECKING:
    from fewlabel.fit_result import FitResult

_COLUMNS = ("row", "label", "confidence", "method", "round", "revoked")


def _write_predictions(
    path: str | Path,
    images: ImageSet,
    prediction: Prediction,
    *,
    origin: np.ndarray | None = None,
    probabilities: bool = False,
) -> None:
    """Write predictions as a CSV table; ``origin`` says where each comes from."""
    key = "index" if images.by_index else "path"
    sources = ["model"] * len(images) if origin is None else origin.tolist()
    confidence = map("{:.4f}".format, prediction.confidence)
    marks = np.zeros(len(images), bool) if prediction.unlike is None else prediction.unlike
    unlike = np.where(marks, "yes", "").tolist()
    columns: list[Iterable[str]] = [images.names, prediction.texts, confidence, sources, unlike]
    header = [key, "label", "confidence", "source", "unlike"]
    if probabilities:
        header += [f"p({name})" for name in prediction.classes]
        # Lazily: as text, the probabilities of many images and classes would fill the memory.
        columns += [map("{:.5f}".format, column) for column in prediction.proba.T]
    _write_table(path, header, zip(*columns, strict=True))


def _read_predictions(run: Path) -> dict[str, dict[str, str]]:
    """Return the rows of the predictions of a run by the name of the image."""
    path = run / "predictions.csv"
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = csv.DictReader(file)
            key = (rows.fieldnames or [""])[0]
            whole = [
                {n: _unguarded(c) for n, c in row.items() if isinstance(c, str)} for row in rows
            ]
            return {row[key]: row for row in whole}
    except (OSError, KeyError, csv.Error) as error:
        raise RunFolderError(f"{path} cannot be read ({error}).") from error


def _write_suspicious(path: Path, result: FitResult, images: ImageSet) -> None:
    """Write the tested labels, the most suspicious first, with what is predicted without each."""
    task, proba = result.task, result.label_probability
    order = np.argsort(proba, kind="stable")
    rows = result.tested[order]
    header = ["index" if images.by_index else "path", "label", "label_probability", "predicted"]
    columns: list[Iterable[str]] = [
        [images.names[row] for row in rows],
        task.texts(result.labels.training_y[rows], result.classes),
        map("{:.5f}".format, proba[order]),
        task.texts(task.predict(result.tested_proba[order]), result.classes),
        np.where(np.isin(rows, result.suspicious), "yes", "").tolist(),
    ]
    _write_table(path, [*header, "suspicious"], zip(*columns, strict=True))


def _write_ledger(path: Path, result: FitResult, images: ImageSet) -> None:
    """Write every label ever assumed, as Parquet; one with a null ``revoked_in_round`` holds."""
    parts = _ledger_parts(result)
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


def _ledger_parts(result: FitResult) -> list[dict[str, np.ndarray]]:
    """Return the labels that were given, those of the graph, and those of networks."""
    present, known = result.task.evidence(result.labels.training_y, len(result.classes))
    rows, labels = np.nonzero(present)
    parts = [_entries("given", rows, labels, 1.0, 0, -1)]
    # Where the baseline was asked for, nothing was propagated.
    if "alpha" in result.chosen_settings:
        propagated, final = result.propagated, result.task.decided(result.proba)
        rows, labels = np.nonzero(result.task.decided(propagated) & ~known)
        # A spread label that the final model does not share counts as revoked.
        revoked = np.where(final[rows, labels], -1, 1)
        parts.append(_entries("graph", rows, labels, propagated[rows, labels], 1, revoked))
    if result.ledger is not None and len(result.ledger):
        columns = result.ledger.columns()
        names = {"label": result.model.columns[columns["label"]]}
        parts.append(columns | names | {"method": np.full(len(columns["row"]), result.method)})
    return parts


def _entries(method: str, *values: np.ndarray | float) -> dict[str, np.ndarray]:
    """Return a part of the ledger; a value that is the same in all rows stands once."""
    rows, labels, confidence, number, revoked = values
    columns = np.broadcast_arrays(rows, labels, confidence, method, number, revoked)
    return dict(zip(_COLUMNS, columns, strict=True))


def _keep_rounds(checkpoint: Path | None, method: str, folder: Path) -> None:
    """Copy the networks of every round, where the training of a method has left any."""
    rounds = None if checkpoint is None else checkpoint / ROUNDS / method
    if rounds is not None and rounds.is_dir():
        # Beside finished networks lie the states from which a training would have gone on.
        unfinished = shutil.ignore_patterns("*.training.safetensors")
        shutil.copytree(rounds, folder / ROUNDS, ignore=unfinished)


def _confidence_of(
    run: Path, model: Model, images: ImageSet, progress: Progress | None = None
) -> np.ndarray:
    """Return how confident a run is in its predictions (n,); what is new to it is predicted."""
    trained = set(model.meta.get("trained_on", ()))
    # Names say which images are meant only where these are the images of the run.
    known = _saved(run) if trained and trained <= set(images.content_digests()) else {}
    found = np.array([known.get(name, np.nan) for name in images.names], dtype=np.float64)
    new = np.flatnonzero(np.isnan(found))
    if len(new):
        found[new] = model.predict(images.subset(new), progress=progress).confidence
    return np.clip(found, 0, 1)


def _saved(run: Path) -> dict[str, float]:
    """Return the confidence in each image that a run has predicted; none where it is damaged."""
    try:
        return {name: float(row["confidence"]) for name, row in _read_predictions(run).items()}
    except (LookupError, ValueError):
        return {}
