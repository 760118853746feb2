import json
import re
from dataclasses import replace

import numpy as np
import pytest

from fewlabel.data import Labels
from fewlabel.errors import LabelError, RunFolderError
from fewlabel.runs.folder import evaluate_run, save_run
from fewlabel.runs.model import load_run


def test_the_folder_is_whole(run, fitted):
    assert {path.name for path in run.iterdir()} == {
        "predictions.csv", "ledger.parquet", "metrics.json", "report.html", "skipped.csv", "model",
        "suspicious.csv", "run.json", "model_card.md",
    }  # fmt: skip
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["method"] == fitted.method
    assert metrics["task"] == fitted.task.name
    page = (run / "report.html").read_text("utf-8")
    text = re.sub(r"<[^>]*>", " ", page)
    for expected in (fitted.task.metric, fitted.classes[0], "What to label next"):
        assert expected.lower() in text.lower()
    assert "<script" not in page


def test_an_existing_run_is_kept_without_force(run, fitted, example):
    with pytest.raises(RunFolderError, match="exists already"):
        save_run(fitted, example.images, run)


def test_evaluation_measures_images_and_classes(run, example):
    model, truth = load_run(run), example.new_truth
    found = evaluate_run(model, example.new, truth)
    metrics = found.metrics
    json.dumps(metrics, allow_nan=False)
    right = model.task.correct(truth.y, model.predict(example.new).proba)
    assert metrics["metric"] == model.task.metric
    assert metrics["accuracy"] == pytest.approx(right.mean())
    assert 0.6 < metrics["accuracy_low"] < metrics["accuracy"] <= metrics["accuracy_high"]
    assert [row["class"] for row in metrics["per_class"]] == list(truth.classes)
    present, _ = model.task.evidence(truth.y, len(truth.classes))
    assert [row["support"] for row in metrics["per_class"]] == present.sum(axis=0).tolist()
    assert f"{len(right)} images" in found.report_html


def test_evaluation_leaves_out_what_is_not_known(run, example):
    truth = example.new_truth
    y = truth.task.without(truth.y, np.arange(30))
    if y.ndim == 2:
        y[:, 0] = -1
    metrics = evaluate_run(load_run(run), example.new, Labels(y, truth.classes)).metrics
    assert metrics["n"] == len(example.new) - 30
    if y.ndim == 2:
        assert metrics["per_class"][0]["known"] == 0
        assert metrics["per_class"][0]["average_precision"] is None


def test_evaluation_counts_the_images_that_were_trained_on(run, example):
    model, truth = load_run(run), example.truth
    found = evaluate_run(model, example.images, truth)
    metrics, page = found.metrics, re.sub(r"<[^>]*>", " ", found.report_html)
    n_others = len(example.images) - 80
    assert metrics["n_trained_on"] == 80
    right = truth.task.correct(truth.y, model.predict(example.images).proba)[80:]
    assert metrics["unseen"]["value"] == pytest.approx(right.mean())
    (warning,) = metrics["warnings"]
    assert f"on 80 of these {80 + n_others} images: on the {n_others} others its" in warning
    assert warning.split(":")[0] in page
    only = evaluate_run(model, example.images, example.labels).metrics
    assert (only["unseen"], len(only["warnings"])) == (None, 1)
    # By content: new images have the same names.
    assert evaluate_run(model, example.new, example.new_truth).metrics["n_trained_on"] == 0


def test_images_of_few_groups_say_less_than_as_many_by_themselves(run, example):
    wrong = np.repeat(np.arange(20) < 8, 10)
    labels = example.known(range(200))
    y = labels.y.copy()
    model, task = load_run(run), labels.task
    proba = model.predict(example.images.subset(range(200))).proba
    y[:200] = task.predict(np.where(wrong.reshape(-1, 1), 1 - proba, proba))
    spans = []
    for groups in ((), tuple(str(i // 10) for i in range(len(y)))):
        found = evaluate_run(model, example.images, replace(labels, y=y, groups=groups))
        spans.append(found.metrics["accuracy_high"] - found.metrics["accuracy_low"])
        assert found.metrics["accuracy"] == pytest.approx(0.6)
    assert spans[1] > 2 * spans[0]


def test_evaluation_needs_labels_that_the_model_knows(run, example):
    model, truth = load_run(run), example.new_truth
    names = tuple("abcdefghij"[: len(truth.classes)])
    with pytest.raises(LabelError, match="the model knows"):
        evaluate_run(model, example.new, Labels(truth.y, names))
    other = np.zeros((300, 10), np.int8) if truth.y.ndim == 1 else np.zeros(200, np.int64)
    with pytest.raises(LabelError, match=f"model is {model.task.name}, but the labels are"):
        evaluate_run(model, example.new, Labels(other, truth.classes))
