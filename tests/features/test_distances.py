import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fewlabel.errors import UsageError
from fewlabel.features.distances import ClusterDistances


@pytest.mark.parametrize("spherical", [False, True])
def test_are_the_distances_to_the_centers(spherical):
    X = np.random.default_rng(0).normal(size=(300, 7)).astype(np.float32)
    model = ClusterDistances(12, spherical=spherical, random_state=0).fit(X)
    rows = X / np.linalg.norm(X, axis=1, keepdims=True) if spherical else X
    features = model.transform(X)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, cdist(rows, model.kmeans_.cluster_centers_), atol=1e-4)
    np.testing.assert_array_equal(features.argmin(axis=1), model.kmeans_.labels_)


def test_in_a_pipeline_and_a_grid_search_on_digits():
    X, y = load_digits(return_X_y=True)
    X = X / 16
    pipeline = make_pipeline(
        ClusterDistances(random_state=0), StandardScaler(), LogisticRegression(max_iter=500)
    )
    grid = GridSearchCV(pipeline, {"clusterdistances__n_clusters": [10, 60]}, cv=2)
    grid.fit(X[:600], y[:600])
    assert grid.best_params_ == {"clusterdistances__n_clusters": 60}
    assert len(grid.best_estimator_[0].get_feature_names_out()) == 60
    assert grid.score(X[600:], y[600:]) > 0.9


def test_deterministic():
    X = np.random.default_rng(1).normal(size=(200, 5))
    one, two = (ClusterDistances(9, random_state=5).fit_transform(X) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_bad_input():
    with pytest.raises(UsageError, match="n_samples=4 should be >= n_clusters=5: ask for fewer"):
        ClusterDistances(5).fit(np.eye(4))
    with pytest.raises(UsageError, match="'n_clusters' parameter of KMeans must be an int of at"):
        ClusterDistances(0).fit(np.eye(4))
    X = np.eye(4)
    X[0, 0] = np.inf
    with pytest.raises(ValueError, match="Input X contains infinity"):
        ClusterDistances(2).fit(X)
