"""The main job with several labels an image, from table to report."""

import json
import re
from dataclasses import replace

import numpy as np
import pyarrow.parquet
import pytest

from fewlabel.data import Labels, image_set_from_array
from fewlabel.errors import LabelError, ModelFormatError, UsageError
from fewlabel.features.extract import extract_features
from fewlabel.model import Model
from fewlabel.pipeline import FitResult, FitSettings, fit_images
from fewlabel.report.multilabel_run import multilabel_report
from fewlabel.report.run import next_steps
from fewlabel.runs.folder import evaluate_run, load_run, save_run
from fewlabel.selection import select_images, write_picks
from fewlabel.semisupervised import label_road

NAMES = ("bar", "dot", "frame")


def pictures(n, seed):
    """Grey images with a bar, a dot and a frame, or without."""
    rng = np.random.default_rng(seed)
    X = rng.normal(40, 12, (n, 16, 16))
    Y = rng.integers(0, 2, (n, 3)).astype(np.int8)
    for image, (bar, dot, frame) in zip(X, Y, strict=True):
        if bar:
            image[:, 7:9] += 120
        if dot:
            image[2:6, 10:14] += 150
        if frame:
            image[[0, -1]] += 130
    return np.clip(X, 0, 255).astype(np.uint8), Y


@pytest.fixture(scope="module")
def data():
    X, Y = pictures(360, 0)
    y = np.where(np.arange(360)[:, None] < 80, Y, -1).astype(np.int8)
    y[3, 1] = -1
    return image_set_from_array(X), Labels(y, NAMES), Y


@pytest.fixture(scope="module")
def prepared(data):
    return extract_features(data[0], features="pixels")


@pytest.fixture(scope="module", params=["auto", "graph", "blend", "supervised"])
def fitted(request, data, prepared):
    images, labels, _ = data
    settings = FitSettings(method=request.param, features="pixels")
    return fit_images(images, labels, settings, prepared=prepared)


@pytest.fixture(scope="module")
def run(fitted, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    return save_run(fitted, data[0], out, command="fewlabel fit", probabilities=True)


def test_it_learns_what_it_was_not_told(fitted, data):
    assert isinstance(fitted, FitResult)
    Y = data[2]
    reached = (fitted.predicted[80:] == Y[80:]).all(axis=1).mean()
    assert reached > 0.75
    assert fitted.estimate.low - 0.02 <= reached <= fitted.estimate.high + 0.02
    assert fitted.summary()["scores"]["micro_f1"] > 0.9
    json.dumps(fitted.summary(), allow_nan=False)


def test_given_labels_stand_and_unknown_ones_are_predicted(fitted, data):
    known = data[1].y >= 0
    np.testing.assert_array_equal(fitted.proba[known], data[1].y[known])
    assert 0 < fitted.proba[3, 1] < 1
    assert set(np.delete(fitted.origin[:80], 3)) == {"label"}
    assert "label" not in (*fitted.origin[80:], fitted.origin[3])


def test_a_saved_run_predicts_as_the_fit(run, fitted):
    X, Y = pictures(200, 1)
    model = load_run(run)
    assert isinstance(model, Model)
    prediction = model.predict(image_set_from_array(X))
    features = fitted.model.extractor.transform(image_set_from_array(X))
    np.testing.assert_allclose(prediction.proba, fitted.main.predict_proba(features), atol=1e-5)
    assert (prediction.label == Y).all(axis=1).mean() > 0.75
    assert prediction.texts[int(Y.sum(axis=1).argmax())].count("|") == 2
    counted = prediction.by_class()["dot"]
    assert counted["n_images"] == int(prediction.label[:, 1].sum())


def test_the_tables_of_a_run(run, fitted, data):
    lines = (run / "predictions.csv").read_text("utf-8").splitlines()
    assert lines[0] == "index,label,confidence,source,p(bar),p(dot),p(frame)"
    assert len(lines) == 361
    first = lines[1].split(",")
    said = "|".join(np.array(NAMES)[fitted.predicted[0] == 1])
    assert first[1] == (said or "|")
    ledger = pyarrow.parquet.read_table(run / "ledger.parquet").to_pydict()
    assert ledger["method"].count("given") == int((data[1].y == 1).sum())
    final = {
        (str(row), NAMES[column]) for row, column in zip(*np.nonzero(fitted.predicted), strict=True)
    }
    for image, label, revoked in zip(
        ledger["image"], ledger["label"], ledger["revoked_in_round"], strict=True
    ):
        assert ((image, label) in final) == (revoked is None)


def test_the_report_shows_labels_and_measures(run):
    page = (run / "report.html").read_text("utf-8")
    text = re.sub(r"<[^>]*>", " ", page)
    for expected in ("Exact match", "macro F1", "Label by label", "frame", "What to label next"):
        assert expected in text
    assert "<script" not in page
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["task"] == "several labels an image"


def test_evaluation_measures_labels_and_images(run):
    X, Y = pictures(150, 2)
    truth = Labels(Y, NAMES)
    found = evaluate_run(load_run(run), image_set_from_array(X), truth)
    metrics = found.to_dict()
    right = (load_run(run).predict(image_set_from_array(X)).label == Y).all(axis=1)
    assert metrics["exact_match"] == pytest.approx(right.mean())
    assert 0.6 < metrics["accuracy_low"] < metrics["exact_match"] <= metrics["accuracy_high"]
    assert [row["name"] for row in metrics["per_label"]] == list(NAMES)
    assert "Exact match on 150 images" in found.report_html
    json.dumps(metrics, allow_nan=False)


def test_evaluation_leaves_out_what_is_not_known(run):
    X, Y = pictures(60, 3)
    holes = Y.copy()
    holes[:30] = -1
    holes[30:, 0] = -1
    metrics = evaluate_run(load_run(run), image_set_from_array(X), Labels(holes, NAMES))
    assert metrics.to_dict()["n"] == 30
    assert metrics.to_dict()["per_label"][0]["known"] == 0
    assert metrics.to_dict()["per_label"][0]["average_precision"] is None


def test_labels_of_the_other_kind_are_refused(run, data):
    from fewlabel.data import Labels

    with pytest.raises(LabelError, match="model is multi-label, but the labels are single-label"):
        evaluate_run(load_run(run), data[0], Labels(np.zeros(360, np.int64), NAMES))


def test_the_audit_is_measured_and_never_learnt(data, prepared):
    images, labels, Y = data
    y = labels.y.copy()
    y[300:340] = Y[300:340]
    y[300:310] = 1 - Y[300:310]  # wrong on purpose: the audit must see them, the fit must not
    purpose = tuple("audit" if 300 <= i < 340 else "" for i in range(360))
    settings = FitSettings(method="graph", features="pixels")
    result = fit_images(images, Labels(y, NAMES, purpose), settings, prepared=prepared)
    assert result.audit.n == 40
    assert result.audit.value <= 0.76
    plain = fit_images(images, labels, settings, prepared=prepared)
    np.testing.assert_allclose(result.proba, plain.proba)


def test_what_cannot_be_learnt_is_said(data, prepared):
    images, labels, _ = data
    y = np.column_stack([labels.y, np.where(labels.y[:, 0] >= 0, 0, -1), np.full(360, -1)])
    y = y.astype(np.int8)
    y[5, :4] = 0
    y[6, :3] = 0
    named = Labels(y, (*NAMES, "ghost", "spirit"))
    result = fit_images(images, named, FitSettings(features="pixels"), prepared=prepared)
    told = " ".join(result.warnings)
    assert "No image has the label ghost (always 0). It cannot be learnt" in told
    assert "The label spirit is never known" in told
    assert "have none of the labels: they teach absence" in told
    assert not result.predicted[80:, 3:].any()


def test_copies_with_other_labels_are_named(prepared, data):
    X, Y = pictures(60, 5)
    X[1] = X[0]
    Y[0], Y[1] = [1, 0, 0], [0, 0, 0]
    labels = Labels(Y, NAMES)
    result = fit_images(image_set_from_array(X), labels, FitSettings(features="pixels"))
    assert any("0 and 1 are the same image, labelled 'bar' and '|'" in w for w in result.warnings)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.full((360, 3), -1), "no label is left among"),
        (np.where(np.arange(360)[:, None] < 9, [[1, 0, -1]], -1), "every image has the same"),
    ],
)
def test_nothing_to_learn_is_an_error(data, prepared, y, message):
    labels = Labels(y.astype(np.int8), NAMES)
    with pytest.raises(LabelError, match=message):
        fit_images(data[0], labels, FitSettings(features="pixels"), prepared=prepared)


def test_one_labelled_image_is_too_few(data, prepared):
    y = np.full((360, 3), -1, np.int8)
    y[0] = [1, 0, 1]
    y[1] = [0, 1, -1]
    X = data[0].read(slice(None), size=(16, 16))
    X[1] = X[0]
    with pytest.raises(LabelError, match="two different images"):
        fit_images(image_set_from_array(X), Labels(y, NAMES), FitSettings(features="pixels"))


def test_methods_for_one_label_are_refused(data, prepared):
    with pytest.raises(UsageError, match=r"'student' is for one label an image.*self-training"):
        fit_images(data[0], data[1], FitSettings(method="student"), prepared=prepared)


def test_a_damaged_model_is_refused(run, tmp_path):
    import shutil

    copied = tmp_path / "run"
    shutil.copytree(run, copied)
    manifest = copied / "model" / "manifest.json"
    text = json.loads(manifest.read_text())
    text["meta"]["classifier"]["labels"] = ["one"]
    manifest.write_text(json.dumps(text))
    with pytest.raises(ModelFormatError):
        load_run(copied)


def test_what_is_labelled_is_not_selected_again(data, prepared, tmp_path):
    images, labels, _ = data
    selection = select_images(images, 4, labels=labels, prepared=prepared)
    assert not set(selection.indices) & set(labels.labeled)
    single = Labels(np.where(labels.y >= 0, [1, 0, 0], -1).astype(np.int8), NAMES)
    write_picks(selection, images, tmp_path / "more.csv", labels=single)
    assert (
        '"bar|"' in (tmp_path / "more.csv").read_text()
        or "bar|" in (tmp_path / "more.csv").read_text()
    )
    assert "--audit 50" in next_steps(images, labels, has_audit=False)[0]


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


@pytest.mark.parametrize("n_rounds", [0, 1])
def test_only_pseudo_labels_make_networks_learn_from_unlabelled_images(network, data, n_rounds):
    changed = replace(network, road=replace(network.road, n_rounds=n_rounds))
    page = multilabel_report(changed, data[0], command="fewlabel fit", created="today")
    assert ("With unlabelled images" in page) == (n_rounds > 0)
    assert ("Kept, on the labels alone" in page) == (n_rounds == 0)


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


def test_colours_and_sizes_may_be_mixed(tmp_path):
    from PIL import Image

    from fewlabel.data import load_images

    X, Y = pictures(60, 9)
    for number, pixels in enumerate(X):
        image = Image.fromarray(pixels)
        if number % 3 == 0:
            image = Image.merge("RGB", [image, image, Image.new("L", (16, 16))]).resize((40, 30))
        image.save(tmp_path / f"{number:02}.png")
    Image.new("L", (16, 16)).save(tmp_path / "empty.png")
    images = load_images(tmp_path)
    labels = Labels(np.vstack([Y, [[-1] * 3]]).astype(np.int8), NAMES)
    result = fit_images(images, labels, FitSettings(features="pixels"))
    assert result.proba.shape == (61, 3)
    assert result.origin[-1] != "label"
    assert label_road._reader_for(images).size == (64, 64)
    assert label_road._reader_for(images).transform(images).shape == (61, 64, 64, 3)


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
