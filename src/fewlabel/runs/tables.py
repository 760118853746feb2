"""The tables of a run folder: predictions, the ledger, and the networks of every round."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from fewlabel.data import ImageSet
from fewlabel.data.tables import write_table
from fewlabel.pipeline import FitResult, MultiLabelFit
from fewlabel.runs.model import MultiLabelPrediction, Prediction
from fewlabel.semisupervised.kept_networks import ROUNDS


def write_predictions(
    path: str | Path,
    images: ImageSet,
    prediction: Prediction | MultiLabelPrediction,
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
    prediction : Prediction or MultiLabelPrediction
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
    confidence = [f"{value:.4f}" for value in prediction.confidence.tolist()]
    rows = zip(images.names, prediction.texts, confidence, sources, strict=True)
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


def write_ledger(path: Path, result: FitResult | MultiLabelFit, images: ImageSet) -> None:
    """Write every label that was ever assumed, as a Parquet table.

    Columns: ``image``, ``label``, ``confidence``, ``method`` (``"given"``, ``"graph"``, or the way
    in which networks were trained, such as ``"experts"``), ``round``, and ``revoked_in_round``
    (null where the label still holds). A spread label that the final model does not share counts
    as revoked. Where an image may have several labels, there is a row for each that was believed
    present.

    Parameters
    ----------
    path : Path
        File to write.
    result : FitResult or MultiLabelFit
        The outcome of a fit.
    images : ImageSet
        The images.
    """
    parts = _several_parts(result) if isinstance(result, MultiLabelFit) else _one_parts(result)
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


def _one_parts(result: FitResult) -> list[dict[str, np.ndarray]]:
    known = np.asarray(result.classifier.classes_)
    spread = result.classifier.propagated_
    assumed = known[spread.argmax(axis=1)]
    given = result.labels.training_y
    labeled = given >= 0
    label = np.where(labeled, given, assumed)
    final = result.predicted
    parts = [
        {
            "row": np.arange(len(result.proba)),
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
    return parts


def _several_parts(result: MultiLabelFit) -> list[dict[str, np.ndarray]]:
    """Labels that are present: given ones, those of the graph, and those that a network learnt."""
    given = result.labels.training_y
    rows, labels = np.nonzero(given == 1)
    ones = np.ones(len(rows))
    parts = [_entries(rows, labels, ones, "given", 0 * rows, 0 * rows - 1)]
    # Where the labels alone were asked for, nothing was spread.
    has_graph = "alpha" in result.main.settings_
    spread = np.where(given < 0, result.main.propagated_, 0) * has_graph
    rows, labels = np.nonzero(spread >= 0.5)
    revoked = np.where(result.predicted[rows, labels] == 1, -1, 1)
    parts.append(_entries(rows, labels, spread[rows, labels], "graph", np.ones_like(rows), revoked))
    if result.road is not None and len(result.road.ledger):
        kept = result.road.ledger.columns()
        parts.append(kept | {"method": np.full(len(kept["row"]), result.method)})
    return parts


def _entries(
    rows: np.ndarray,
    labels: np.ndarray,
    confidence: np.ndarray,
    method: str,
    number: np.ndarray,
    revoked: np.ndarray,
) -> dict[str, np.ndarray]:
    return {
        "row": rows,
        "label": labels,
        "confidence": confidence,
        "method": np.full(len(rows), method),
        "round": number,
        "revoked": revoked,
    }


def keep_rounds(checkpoint: Path | None, folder: Path) -> None:
    """Copy the networks of every round, where the training has left any.

    Parameters
    ----------
    checkpoint : Path or None
        Folder of the training.
    folder : Path
        The run folder.
    """
    rounds = None if checkpoint is None else checkpoint / ROUNDS
    if rounds is not None and rounds.is_dir():
        unfinished = shutil.ignore_patterns("*.training.safetensors")
        shutil.copytree(rounds, folder / ROUNDS, ignore=unfinished)
