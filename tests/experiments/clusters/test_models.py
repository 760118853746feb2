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


def test_models_come_back_as_they_were(tmp_path):
    with threadpool_limits(1):
        logistic = LogisticRegression(C=0.5, max_iter=200).fit(X[:300], Y[:300])
        kmeans = KMeans(12, random_state=3).fit(X)
        models.save_logistic(logistic, tmp_path / "lr")
        models.save_kmeans(kmeans, tmp_path / "kmeans")
        again = models.load_logistic(tmp_path / "lr"), models.load_kmeans(tmp_path / "kmeans")
        for model, loaded in zip((logistic, kmeans), again, strict=True):
            assert loaded.get_params() == model.get_params()
            assert loaded.n_features_in_ == 64
            np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
        np.testing.assert_array_equal(again[0].predict_proba(X), logistic.predict_proba(X))
        np.testing.assert_array_equal(again[1].transform(X), kmeans.transform(X))
    np.testing.assert_array_equal(again[1].labels_, kmeans.labels_)
    assert (again[1].inertia_, again[1].n_iter_) == (kmeans.inertia_, kmeans.n_iter_)
    assert list(again[1].get_feature_names_out()) == list(kmeans.get_feature_names_out())
    # No pickle is written.
    found = {file.name for file in (tmp_path / "lr").iterdir()}
    assert found == {"arrays.safetensors", "manifest.json"}
    logistic.intercept_ = logistic.intercept_[:3]
    models.save_logistic(logistic, tmp_path / "lr")
    with pytest.raises(ModelFormatError, match="shapes of the arrays do not fit"):
        models.load_logistic(tmp_path / "lr")


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
    if content is None:
        (tmp_path / "photo.jpg").write_text("mine")
        with pytest.raises(UsageError, match="holds no models of a study"):
            models.ModelStore(save_to=tmp_path)
