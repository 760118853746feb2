"""The longer road within the main job: when it is taken, and what is kept of it."""

import functools
import json

import numpy as np
import pyarrow.parquet
import pytest
from fewlabel.semisupervised.graph_student import StudentSettings

from fewlabel.data import Labels, labels_from_truth, load_images
from fewlabel.pipeline import FitSettings, extract_features, fit_images
from fewlabel.runs.folder import load_run, save_run
from fewlabel.semisupervised import search
from fewlabel.semisupervised.one_vs_rest import load_experts

QUICK = functools.partial(StudentSettings, "cnn", n_steps=45, batch_size=64, augment="weak")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(search, "student_settings", lambda base, device: QUICK(device=device))


@pytest.fixture(scope="module")
def digits():
    images = load_images("digits")
    train, test = images.subset(range(900)), images.subset(range(900, 1797))
    truth = labels_from_truth(train)
    y = np.where(np.arange(900) % 5 == 0, truth.y, -1)
    labels = Labels(y, truth.classes, ("random",) * 900)
    return train, test, labels, extract_features(train, features="pixels")


def fit(digits, **settings):
    train, _, labels, prepared = digits
    settings = FitSettings(features="pixels", **settings)
    return fit_images(train, labels, settings, prepared=prepared)


def test_networks_that_were_asked_for_are_saved_and_predict_new_images(digits, tmp_path):
    train, test, _, _ = digits
    result = fit(digits, method="network", time_budget=1.0)
    summary = result.summary()
    assert summary["method"] == "network"
    assert summary["n_networks"] >= 1
    assert {row["name"] for row in summary["candidates"]} > {"network"}
    # Only the labels that the networks were not shown speak for them.
    assert result.estimate.n == 36
    run = load_run(save_run(result, train, tmp_path / "run"))
    predicted = run.predict(test)
    truth = labels_from_truth(test, run.classes).y
    assert np.mean(predicted.label == truth) > 0.9
    again = run.predict(train)
    np.testing.assert_allclose(again.proba.sum(1), 1, rtol=1e-5)
    unlabeled = result.origin != "label"
    assert np.mean(again.label[unlabeled] == result.predicted[unlabeled]) > 0.95


def test_time_opens_the_longer_road_and_the_better_one_is_kept(digits, monkeypatch):
    result = fit(digits, time_budget=400.0)
    said = " ".join(result.warnings)
    assert (result.n_networks > 0) == ("main job's model is kept" not in said)
    assert result.seconds["networks"] > 0.5


def test_without_time_it_stays_with_the_main_job(digits):
    for settings in ({}, {"time_budget": 30.0}, {"method": "graph", "time_budget": 900.0}):
        result = fit(digits, **settings)
        assert result.n_networks == 0
        assert result.summary()["method"] != "network"


def test_too_few_labels_are_told(digits):
    train, _, labels, prepared = digits
    few = Labels(np.where(np.cumsum(labels.y >= 0) <= 45, labels.y, -1), labels.classes)
    settings = FitSettings(features="pixels", method="network", time_budget=1.0)
    result = fit_images(train, few, settings, prepared=prepared)
    assert result.n_networks == 0
    assert "fewer than 50 labels are too few" in result.warnings[-1]


def test_experts_leave_their_rounds_and_their_ledger_in_the_run_folder(digits, tmp_path):
    train, test, _, _ = digits
    checkpoint = tmp_path / ".run.training"
    result = fit(digits, method="experts", time_budget=1.0, checkpoint=checkpoint)
    assert result.method == "experts"
    folder = save_run(result, train, tmp_path / "run")
    assert not checkpoint.exists()
    assert {"round-0", "experts-1"} <= {place.name for place in (folder / "rounds").iterdir()}
    network, scale = load_experts(folder / "rounds" / "experts-1")
    assert network.spec.n_outputs == len(scale.log_odds) == 10
    ledger = pyarrow.parquet.read_table(folder / "ledger.parquet").to_pydict()
    assert set(ledger["method"]) == {"given", "graph", "experts"}
    training = json.loads((folder / "metrics.json").read_text())["training"]
    rounds = training["rounds"]
    assert [record["round"] for record in rounds] == list(range(len(rounds)))
    by_experts = [
        r for m, r in zip(ledger["method"], ledger["round"], strict=True) if m == "experts"
    ]
    kept = max(by_experts, default=0)
    assert [record["kept"] for record in rounds] == [r["round"] <= kept for r in rounds]
    assert training["classes"] == list(result.classes)
    (votes,) = training["votes"]
    assert votes["round"] == max(kept, 1)
    # Most of the labels that no expert was trained on are claimed by the expert of their class.
    assert np.trace(votes["counts"]) > 0.7 * votes["n_images"] > 0
    page = (folder / "report.html").read_text()
    assert f"Votes of the experts of round {max(kept, 1)}" in page
    assert "Pseudo-labels by class." in page
    assert len(by_experts) == sum(record["n_new"] for record in rounds if record["round"] <= kept)
    assert np.mean(load_run(folder).predict(test).label == labels_from_truth(test).y) > 0.85
