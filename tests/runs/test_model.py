import json
import shutil
import warnings

import numpy as np
import pytest

from fewlabel.errors import ModelFormatError, RunFolderError
from fewlabel.model import Model
from fewlabel.persist import load_bundle
from fewlabel.runs.model import _save_model, load_run
from tests.hostile import copied, forged_arrays, forged_manifests, model_with, not_refused


@pytest.mark.parametrize("method", ["graph", "blend", "supervised"])
def test_a_saved_model_predicts_as_the_fitted_one(example, method, tmp_path):
    result = example.fit(method=method)
    _save_model(result, example.images, tmp_path / "model")
    expected = result.model.predict(example.new).proba
    np.testing.assert_allclose(load_run(tmp_path).predict(example.new).proba, expected, atol=1e-5)


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match="is not a run folder"):
        load_run(tmp_path / "absent")
    with pytest.raises(RunFolderError, match="holds no model"):
        load_run(tmp_path)


def test_a_damaged_model_is_refused(run, tmp_path):
    shutil.copytree(run / "model", tmp_path / "model")
    arrays = tmp_path / "model" / "arrays.safetensors"
    original = arrays.read_bytes()
    arrays.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
    with pytest.raises(ModelFormatError, match=r"arrays\.safetensors"):
        load_run(tmp_path)
    arrays.write_bytes(original)
    manifest = tmp_path / "model" / "manifest.json"
    found = json.loads(manifest.read_text())
    del found["meta"]["classes"]
    manifest.write_text(json.dumps(found))
    with pytest.raises(ModelFormatError, match=r"was written by fewlabel .* and cannot be read"):
        load_run(tmp_path)


def test_no_forged_manifest_gets_through_or_fails_late(run, example, tmp_path):
    folder, manifest = copied(run, tmp_path)
    few = example.new.subset(range(2))

    def use(forged):
        # What still has a meaning is a model: it predicts as any other.
        model = load_run(model_with(folder, forged[1]))
        assert np.isfinite(model.predict(few).proba).all()
        assert model.expected is None or model.expected.n >= 0
        raise ModelFormatError("fits")

    forged = dict(forged_manifests(manifest))
    assert len(forged) > 500
    assert not_refused(forged.items(), use) == []


def test_no_forged_arrays_get_through_or_fail_late(run, example, tmp_path):
    bundle = load_bundle(run / "model")

    def use(forged):
        with warnings.catch_warnings():
            # Of numbers that are finite and near the largest there are.
            warnings.simplefilter("ignore", RuntimeWarning)
            model = Model.from_state(forged[1], bundle.meta)
            assert np.isfinite(model.predict(example.new.subset(range(2))).proba).all()
        raise ModelFormatError("fits")

    forged = dict(forged_arrays(bundle.arrays))
    assert not_refused(forged.items(), use) == []
