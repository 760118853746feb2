import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from fewlabel import KMeans
from fewlabel.errors import ModelFormatError, UsageError
from fewlabel_experiments.clusters import models

X, Y = (array[:400] for array in load_digits(return_X_y=True))
X = X.astype(np.float32) / 16


def test_logistic_regression_comes_back_as_it_was(tmp_path):
    model = LogisticRegression(C=0.5, max_iter=200).fit(X[:300], Y[:300])
    models.save_logistic(model, tmp_path / "lr")
    # No pickle is written.
    found = {file.name for file in (tmp_path / "lr").iterdir()}
    assert found == {"arrays.safetensors", "manifest.json"}
    again = models.load_logistic(tmp_path / "lr")
    np.testing.assert_array_equal(again.predict_proba(X[300:]), model.predict_proba(X[300:]))
    assert (again.C, again.max_iter, again.n_features_in_) == (0.5, 200, 64)


def test_kmeans_comes_back_as_it_was(tmp_path):
    with threadpool_limits(1):
        model = KMeans(12, random_state=3).fit(X)
        models.save_kmeans(model, tmp_path / "kmeans")
        again = models.load_kmeans(tmp_path / "kmeans")
        np.testing.assert_array_equal(again.transform(X), model.transform(X))
        np.testing.assert_array_equal(again.predict(X), model.predict(X))
    np.testing.assert_array_equal(again.labels_, model.labels_)
    assert (again.inertia_, again.n_iter_) == (model.inertia_, model.n_iter_)
    assert again.get_params() == model.get_params()
    assert list(again.get_feature_names_out()) == list(model.get_feature_names_out())


def test_another_kind_of_model_is_refused(tmp_path):
    models.save_kmeans(KMeans(3, random_state=0).fit(X), tmp_path / "m")
    with pytest.raises(ModelFormatError, match="holds a model of the kind 'kmeans'"):
        models.load_logistic(tmp_path / "m")


def test_arrays_that_do_not_fit_together_are_refused(tmp_path):
    model = LogisticRegression().fit(X, Y)
    model.intercept_ = model.intercept_[:3]
    models.save_logistic(model, tmp_path / "lr")
    with pytest.raises(ModelFormatError, match="shapes of the arrays do not fit"):
        models.load_logistic(tmp_path / "lr")


def test_nothing_is_written_where_nothing_is_to_be_saved(tmp_path):
    store = models.ModelStore()
    store.save("x", models.LOGISTIC, object())
    assert store.is_saved("x")
    assert not store.loading


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("{", ModelFormatError, "is damaged"),
        ("[]", ModelFormatError, "is not a list of models"),
        ('{"a": 1}', ModelFormatError, "is not a list"),
        (None, UsageError, r"holds no saved models \(models.json is missing\)"),
        ("{}", UsageError, r"holds no model 'lr-all-seed0': save it"),
    ],
)
def test_models_that_are_not_there_are_named(tmp_path, content, error, message):
    if content is not None:
        (tmp_path / "models.json").write_text(content)
    with pytest.raises(error, match=message):
        models.ModelStore(load_from=tmp_path).load("lr-all-seed0", models.LOGISTIC)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "photo.jpg").write_text("mine")
    with pytest.raises(UsageError, match="holds no models of a study"):
        models.ModelStore(save_to=tmp_path)
