"""Networks with several labels an image, from the fit to the report."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet
import pytest

from fewlabel.data import Labels, image_set_from_array
from fewlabel.features.extract import extract_features
from fewlabel.pipeline import FitSettings, fit_images
from fewlabel.runs.folder import load_run, save_run
from fewlabel.semisupervised import label_road
from tests.conftest import NAMES, pictures


@pytest.fixture(scope="module")
def data():
    X, Y = pictures(360, 0)
    y = np.where(np.arange(360)[:, None] < 80, Y, -1).astype(np.int8)
    y[3, 1] = -1
    return image_set_from_array(X), Labels(y, NAMES), Y


@pytest.fixture(scope="module")
def prepared(data):
    return extract_features(data[0], features="pixels")


@pytest.fixture(scope="module")
def network(data, prepared, tmp_path_factory):
    images, labels, _ = data
    checkpoint = tmp_path_factory.mktemp("kept") / "training"
    settings = FitSettings(
        method="self-training", features="pixels", time_budget=1.0, checkpoint=checkpoint
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(label_road, "_LEAST_STEPS", 25)
        patch.setattr(label_road, "_MEMBERS", 2)
        return fit_images(images, labels, settings, prepared=prepared)


def test_networks_are_trained_where_they_are_asked_for(network, data):
    assert network.method == "self-training"
    assert network.road.choice.table[0].name == "self-training"
    assert len(network.tested) == len(network.road.held) == 16
    assert (network.predicted[80:] == data[2][80:]).all(axis=1).mean() > 0.6
    rounds = network.training.rounds
    assert [record["round"] for record in rounds] == list(range(len(rounds)))
    assert sum(record["kept"] for record in rounds) == 1


def test_summary_and_report_name_the_same_figures(network, data):
    table = {row.name: row.accuracy for row in network.choice.table}
    assert network.estimate.value == pytest.approx(table["self-training"])
    assert network.supervised_accuracy == table["supervised"]


def test_an_interrupted_fit_trains_no_finished_network_again(network, data, prepared, monkeypatch):
    from fewlabel.nets import NetworkClassifier

    def never(*args, **settings):
        raise AssertionError("trained again")

    monkeypatch.setattr(NetworkClassifier, "_train", never)
    monkeypatch.setattr(label_road, "_LEAST_STEPS", 25)
    monkeypatch.setattr(label_road, "_MEMBERS", 2)
    images, labels, _ = data
    again = fit_images(images, labels, network.settings, prepared=prepared)
    np.testing.assert_allclose(again.proba, network.proba, atol=1e-6)
    with pytest.raises(AssertionError, match="trained again"):
        fit_images(images, labels, replace(network.settings, seed=5), prepared=prepared)


def test_a_run_of_networks_is_saved_whole(network, data, tmp_path):
    checkpoint = network.settings.checkpoint
    assert checkpoint.is_dir()
    out = save_run(network, data[0], tmp_path / "run")
    assert not checkpoint.exists()
    again = load_run(out).predict(data[0])
    unlabeled = slice(80, None)
    np.testing.assert_allclose(again.proba[unlabeled], network.proba[unlabeled], atol=1e-5)
    methods = pyarrow.parquet.read_table(out / "ledger.parquet").to_pydict()["method"]
    assert set(methods) <= {"given", "graph", "self-training"}
    assert "Accuracy by round" in (out / "report.html").read_text("utf-8")


def test_too_few_labels_or_too_little_time_close_the_road(data, prepared):
    images, labels, _ = data
    few = np.where(np.arange(360)[:, None] < 20, labels.y, -1).astype(np.int8)
    settings = FitSettings(features="pixels", time_budget=3_000.0)
    result = fit_images(images, Labels(few, NAMES), settings, prepared=prepared)
    assert any("fewer than 50 labels" in text for text in result.warnings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(label_road, "_seconds_per_step", lambda *rest: 60.0)
        result = fit_images(images, labels, settings, prepared=prepared)
    assert any("they need more time. Give --time" in text for text in result.warnings)
    assert not result.n_networks
