import json
import shutil

import numpy as np
import pytest

from fewlabel.errors import ModelFormatError, RunFolderError
from fewlabel.runs.model import _save_model, load_run


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
