import csv

import numpy as np
import pyarrow.parquet

from fewlabel.data.tables import _write_table
from fewlabel.runs.tables import _keep_rounds, _read_predictions


def test_predictions_have_a_row_an_image(run, fitted, example):
    with (run / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = [f"p({name})" for name in fitted.classes]
    assert list(rows[0]) == ["index", "label", "confidence", "source", "unlike", *names]
    assert [row["label"] for row in rows] == fitted.task.texts(fitted.predicted, fitted.classes)
    assert [row["source"] for row in rows] == fitted.origin.tolist()
    marked = [n for n, row in enumerate(rows) if row["unlike"] == "yes"]
    assert marked == sorted(fitted.unlike)
    proba = [[float(row[name]) for name in names] for row in rows]
    np.testing.assert_allclose(proba, fitted.proba, atol=1e-5)


def test_predictions_are_read_without_the_guard_of_their_cells(tmp_path):
    table = tmp_path / "predictions.csv"
    _write_table(table, ("path", "label"), [("=a.png", "-x")])
    assert table.read_text().endswith("'=a.png,'-x\n")
    assert _read_predictions(tmp_path) == {"=a.png": {"path": "=a.png", "label": "-x"}}


def test_suspicious_labels_come_first(run, fitted, example):
    with (run / "suspicious.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(fitted.tested)
    probability = [float(row["label_probability"]) for row in rows]
    assert probability == sorted(probability)
    flags = [row["suspicious"] for row in rows]
    assert flags == ["yes" if p < 0.05 else "" for p in probability]
    given = dict(zip(example.images.names, example.labels.cells(), strict=True))
    assert all(given[row["index"]] == row["label"] for row in rows)


def test_the_ledger_revokes_what_the_model_does_not_share(run, fitted, example):
    ledger = pyarrow.parquet.read_table(run / "ledger.parquet").to_pydict()
    present, _ = fitted.task.evidence(example.labels.y, len(fitted.classes))
    assert ledger["method"].count("given") == present.sum()
    final = {
        (example.images.names[row], fitted.classes[column])
        for row, column in zip(*np.nonzero(fitted.task.decided(fitted.proba)), strict=True)
    }
    rows = zip(ledger["image"], ledger["label"], ledger["revoked_in_round"], strict=True)
    for image, label, revoked in rows:
        assert ((image, label) in final) == (revoked is None)


def test_the_networks_of_every_round_are_kept(tmp_path):
    _keep_rounds(None, "experts", tmp_path)
    training = tmp_path / "training"
    (training / "rounds" / "experts" / "round-0").mkdir(parents=True)
    (training / "rounds" / "experts" / "round-0" / "a.safetensors").touch()
    (training / "rounds" / "experts" / "round-0" / "b.training.safetensors").touch()
    _keep_rounds(training, "experts", tmp_path / "run")
    kept = [path.name for path in (tmp_path / "run" / "rounds" / "round-0").iterdir()]
    assert kept == ["a.safetensors"]
