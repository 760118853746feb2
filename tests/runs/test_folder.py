import json

import numpy as np
import pyarrow.parquet
import pytest

from fewlabel.data import Labels, labels_from_truth, load_images
from fewlabel.errors import LabelError, ModelFormatError, RunFolderError
from fewlabel.pipeline import FitSettings, fit_images
from fewlabel.runs.folder import evaluate_run, load_run, save_run


@pytest.fixture(scope="module")
def images():
    return load_images("digits").subset(range(300))


@pytest.fixture(scope="module", params=["graph", "blend", "student", "supervised"])
def fitted(request, images):
    truth = labels_from_truth(images)
    y = np.where(np.arange(300) < 80, truth.y, -1)
    settings = FitSettings(method=request.param, features="pixels")
    return fit_images(images, Labels(y, truth.classes), settings)


@pytest.fixture(scope="module")
def run(fitted, images, tmp_path_factory):
    return save_run(fitted, images, tmp_path_factory.mktemp("runs") / "run", command="fewlabel fit")


def test_a_saved_model_predicts_as_the_fitted_one(run, fitted, images):
    features = fitted.model.extractor.transform(images)
    expected = fitted.model.classifier.predict_proba(features)
    np.testing.assert_allclose(load_run(run).predict(images).proba, expected, atol=1e-5)


def test_the_folder_is_whole(run, fitted):
    names = {path.name for path in run.iterdir()}
    assert names == {
        "predictions.csv", "ledger.parquet", "metrics.json", "report.html", "skipped.csv", "model",
    }  # fmt: skip
    assert json.loads((run / "metrics.json").read_text())["method"] == fitted.method
    ledger = pyarrow.parquet.read_table(run / "ledger.parquet").to_pydict()
    assert ledger["method"].count("given") == 80
    revoked = np.array([r is not None for r in ledger["revoked_in_round"]])
    given = np.array(ledger["method"]) == "given"
    assert not revoked[given].any()
    shared = np.array(ledger["label"]) == np.array(fitted.classes)[fitted.predicted]
    np.testing.assert_array_equal(revoked[~given], ~shared[~given])


def test_an_existing_run_is_kept_without_force(run, fitted, images):
    with pytest.raises(RunFolderError, match="exists already"):
        save_run(fitted, images, run)


def test_evaluation_needs_the_classes_of_the_model(run, images):
    truth = labels_from_truth(images)
    model = load_run(run)
    metrics = evaluate_run(model, images, truth).to_dict()
    assert metrics["accuracy"] > 0.7
    assert np.sum(metrics["confusion_matrix"]) == 300
    with pytest.raises(LabelError, match="the model knows"):
        evaluate_run(model, images, Labels(truth.y, tuple("abcdefghij")))


def test_what_is_no_run_or_is_damaged_is_refused(run, tmp_path):
    with pytest.raises(RunFolderError, match="is not a run folder"):
        load_run(tmp_path / "absent")
    with pytest.raises(RunFolderError, match="holds no model"):
        load_run(tmp_path)
    arrays = run / "model" / "arrays.safetensors"
    original = arrays.read_bytes()
    try:
        arrays.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
        with pytest.raises(ModelFormatError, match=r"arrays\.safetensors"):
            load_run(run)
    finally:
        arrays.write_bytes(original)
