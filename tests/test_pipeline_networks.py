"""Networks within the main job, for both tasks: when they are trained, and what is kept of them."""

import json

import numpy as np
import pyarrow.parquet
import pytest

from fewlabel.fit_settings import FitSettings
from fewlabel.pipeline import fit_images
from fewlabel.runs.folder import save_run
from fewlabel.runs.model import load_run
from fewlabel.semisupervised.network_inputs import NetworkSettings
from fewlabel.semisupervised.one_vs_rest import load_experts

QUICK = NetworkSettings("cnn", n_steps=45, batch_size=64, augment="weak")


@pytest.fixture(autouse=True, scope="module")
def quick():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NetworkSettings, "for_features", lambda extractor, device: QUICK)
        yield


@pytest.fixture(scope="module")
def network(example, tmp_path_factory):
    """A fit with networks, whose checkpoints are still there."""
    checkpoint = tmp_path_factory.mktemp("kept") / "training"
    return example.fit(method="graph-distillation", time_budget=0.01, checkpoint=checkpoint)


def test_networks_that_were_asked_for_are_trained_and_tested_on_held_out_labels(network, example):
    summary = network.summary()
    assert summary["method"] == "graph-distillation"
    assert summary["n_networks"] >= 1
    compared = {"graph-distillation", "supervised", network.main.name}
    assert {row["name"] for row in summary["candidates"]} == compared
    assert 16 <= network.estimate.n <= 40
    task, truth = network.task, example.truth.y
    assert task.correct(truth[80:], network.proba[80:]).mean() > 0.7
    known = np.flatnonzero(network.origin == "label")
    assert task.correct(truth[known], network.proba[known]).all()
    table = {row.name: row for row in network.choice.table}
    estimate = network.estimate
    assert estimate.low < estimate.value < estimate.high
    assert network.confidence[80:].mean() == pytest.approx(estimate.value, abs=0.01)
    assert network.supervised_accuracy == pytest.approx(table["supervised"].accuracy)
    assert table["graph-distillation"].why == "asked for"


def test_a_run_of_networks_is_saved_whole(network, example, tmp_path):
    checkpoint = network.settings.checkpoint
    assert checkpoint.is_dir()
    out = save_run(network, example.images, tmp_path / "run")
    assert not checkpoint.exists()
    run = load_run(out)
    unlabeled = network.origin != "label"
    again = run.predict(example.images)
    same = run.task.correct(network.predicted[unlabeled], again.proba[unlabeled])
    assert same.mean() > 0.95
    predicted = run.predict(example.new)
    assert run.task.correct(example.new_truth.y, predicted.proba).mean() > 0.7
    methods = pyarrow.parquet.read_table(out / "ledger.parquet").to_pydict()["method"]
    assert set(methods) <= {"given", "graph", "graph-distillation"}
    assert "graph-distillation" in (out / "report.html").read_text("utf-8")


def test_time_opens_the_search_and_the_better_one_is_kept(example):
    result = example.fit(time_budget=400.0)
    assert (result.n_networks > 0) == (not any("is kept." in text for text in result.warnings))
    assert result.seconds["networks"] > 0.5
    assert {row.name for row in result.choice.table} >= {"graph-distillation", "supervised"}
    for settings in ({}, {"method": "graph", "time_budget": 900.0}):
        assert example.fit(**settings).n_networks == 0


@pytest.mark.parametrize(
    ("seconds", "n_labeled", "step"),
    [
        (30.0, 80, "they need about 39 minutes on this machine: give --time 39m or more"),
        (300.0, 80, "they need about 39 minutes on this machine: give --time 39m or more"),
        (900.0, 45, "the 45 labels are too few for it: label 50 images or more"),
    ],
)
def test_time_that_trains_no_network_is_said_before_it_is_spent(
    digits, monkeypatch, seconds, n_labeled, step
):
    monkeypatch.setattr(
        "fewlabel.semisupervised.network_problem._seconds_per_step", lambda *_: 13.0
    )
    # Warnings are errors here: the first one ends the fit, before there are features.
    with pytest.raises(UserWarning, match=step):
        digits.fit(digits.known(range(n_labeled)), time_budget=seconds)


def test_time_fetches_no_pretrained_network_for_small_images(digits, monkeypatch):
    steps = "fewlabel.semisupervised.network_problem._seconds_per_step"
    monkeypatch.setattr(steps, lambda *_: 13.0)
    monkeypatch.setattr("fewlabel.features.backbone.Backbone._load", None)
    said = "The 300 seconds go to other patch features, and no networks are trained, since they"
    with pytest.raises(UserWarning, match=said):
        fit_images(digits.images, digits.known(range(80)), FitSettings(time_budget=300.0))


def test_why_no_network_was_trained_is_a_warning(example):
    few = example.known(range(45))
    result = example.fit(few, method="graph-distillation", time_budget=1.0)
    assert result.n_networks == 0
    assert any("45 labels are too few" in text for text in result.warnings)


def test_experts_leave_their_rounds_and_their_ledger_in_the_run_folder(digits, tmp_path):
    checkpoint = tmp_path / ".run.training"
    result = digits.fit(digits.known(range(180)), method="experts", time_budget=1.0,
                        checkpoint=checkpoint)  # fmt: skip
    assert result.method == "experts"
    folder = save_run(result, digits.images, tmp_path / "run")
    assert not checkpoint.exists()
    assert {"round-0", "experts-1"} <= {place.name for place in (folder / "rounds").iterdir()}
    network, scale = load_experts(folder / "rounds" / "experts-1")
    assert network.spec.n_outputs == len(scale.log_odds) == 10
    ledger = pyarrow.parquet.read_table(folder / "ledger.parquet").to_pydict()
    assert {"given", "graph"} <= set(ledger["method"]) <= {"given", "graph", "experts"}
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
    # Most of the labels that no expert was trained on get the vote of the expert of their class.
    assert np.trace(votes["counts"]) > 0.7 * votes["n_images"] > 0
    assert len(by_experts) == sum(record["n_new"] for record in rounds if record["round"] <= kept)


@pytest.mark.parametrize("method", ["self-training", "teacher-student"])
def test_one_name_is_one_algorithm_for_both_tasks(example, method):
    result = example.fit(method=method, time_budget=1.0)
    assert result.method == method
    assert {row["network"].split(" ")[0] for row in result.training.rounds} == {method}
