import json
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils import estimator_checks

from fewlabel import FewLabelImageClassifier, fit_images, load_images
from fewlabel.errors import ModelFormatError, RunFolderError, UsageError
from fewlabel.model_selection import LabeledKFold, labeled_scorer
from tests.cli.conftest import cli, draw

MODEL = FewLabelImageClassifier(features="pixels", random_state=0)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    truth = np.array(draw(folder, 60))
    paths = [str(path) for path in sorted(folder.iterdir())]
    return folder, paths, load_images(paths).read(slice(None)), truth


@pytest.fixture(scope="module")
def fitted(drawn):
    _, paths, _, truth = drawn
    return clone(MODEL).fit(paths, few(truth))


def few(truth):
    y = truth.astype(object)
    y[24:] = None
    return y


@pytest.mark.parametrize("form", ["folder", "pixels", "frame", "images"])
def test_every_form_of_images_gives_the_same_model(form, drawn, fitted):
    folder, paths, pixels, truth = drawn
    frame = pd.DataFrame({"path": paths, "label": few(truth)})
    X = {"folder": folder, "pixels": pixels, "frame": frame, "images": load_images(paths)}[form]
    model = clone(MODEL).fit(X, None if form == "frame" else few(truth))
    assert model.predict(X).tolist() == fitted.predict(paths).tolist() == truth.tolist()
    np.testing.assert_array_equal(model.predict_proba(paths), fitted.predict_proba(pixels))
    assert model.score(X, truth) == model.score(X, few(truth)) == 1
    assert model.transduction_.tolist() == truth.tolist()


def test_it_is_what_fit_images_gives(drawn, fitted):
    folder, paths, _, truth = drawn
    result = fit_images(paths, few(truth), fitted.result_.settings)
    np.testing.assert_array_equal(result.proba, fitted.result_.proba)
    np.testing.assert_array_equal(result.model.predict(folder).proba, fitted.predict_proba(paths))


@pytest.mark.parametrize("form", ["paths", "array", "pixels", "frame", "images"])
def test_it_is_cross_validated_in_every_form(form, drawn):
    _, paths, pixels, truth = drawn
    X = {
        "paths": paths, "array": np.array(paths), "pixels": pixels,
        "frame": pd.DataFrame({"path": paths}), "images": load_images(paths),
    }[form]  # fmt: skip
    scoring = labeled_scorer("balanced_accuracy")
    scores = cross_val_score(MODEL, X, few(truth), cv=LabeledKFold(2), scoring=scoring)
    assert scores.tolist() == [1, 1]


def test_its_settings_are_searched(drawn):
    _, paths, _, truth = drawn
    found = GridSearchCV(MODEL, {"method": ["graph", "supervised"]}, cv=LabeledKFold(2))
    found.fit(paths, few(truth))
    assert found.best_score_ == 1
    assert set(found.best_estimator_.get_params()) == set(MODEL.get_params())


@pytest.mark.parametrize("kind", ["numbers", "names", "several"])
def test_a_saved_model_predicts_as_the_fitted_one(kind, drawn, tmp_path):
    _, paths, pixels, truth = drawn
    light = np.where(np.arange(60) < 24, truth == "light", -1)
    table = np.column_stack([light, np.where(light < 0, -1, 1 - light)])
    y = {"numbers": light, "names": few(truth), "several": table}[kind]
    model = clone(MODEL).fit(pixels, y)
    loaded = FewLabelImageClassifier.load(model.save(tmp_path / "model"))
    assert loaded.classes_.tolist() == model.classes_.tolist()
    assert loaded.classes_.dtype.kind == model.classes_.dtype.kind
    assert loaded.predict(paths).tolist() == model.predict(pixels).tolist()
    np.testing.assert_allclose(loaded.predict_proba(paths), model.predict_proba(paths), atol=1e-5)
    assert loaded.score(pixels, y) == deepcopy(model).score(pixels, y) == 1
    assert cli("predict", tmp_path / "model", drawn[0], "--out", tmp_path / "p.csv").exit_code == 0
    with pytest.raises(RunFolderError, match="exists"):
        model.save(tmp_path / "model")
    with pytest.raises(NotFittedError, match="that was fitted here"):
        loaded.save(tmp_path / "other")
    manifest = tmp_path / "model" / "model" / "manifest.json"
    forged = json.loads(manifest.read_text())
    forged["meta"]["labels"] = [1]
    manifest.write_text(json.dumps(forged))
    with pytest.raises(ModelFormatError, match="labels"):
        FewLabelImageClassifier.load(tmp_path / "model")


@pytest.mark.parametrize(
    "check",
    [
        "estimator_cloneable",
        "estimator_repr",
        "estimator_tags_renamed",
        "get_params_invariance",
        "no_attributes_set_in_init",
        "parameters_default_constructible",
        "set_params",
        "valid_tag_types",
    ],
)
def test_scikit_learns_contract(check):
    # The other checks give rows of features, as which no images come.
    getattr(estimator_checks, f"check_{check}")("FewLabelImageClassifier", MODEL)


@pytest.mark.parametrize("name", MODEL._parameter_constraints)
def test_a_wrong_parameter_is_named(name, drawn):
    message = f"The '{name}' parameter of FewLabelImageClassifier must be .* Got <object"
    with pytest.raises(UsageError, match=message):
        clone(MODEL).set_params(**{name: object()}).fit(drawn[2], drawn[3])


def test_a_label_that_it_does_not_know_is_wrong_and_unlabeled_ones_do_not_count(fitted, drawn):
    y = few(drawn[3])
    y[0] = "dusk"
    assert fitted.score(drawn[1], y) == pytest.approx(23 / 24)
    assert np.isnan(fitted.score(drawn[1], [None] * 60))
    with pytest.raises(NotFittedError):
        clone(fitted).predict(drawn[1])
