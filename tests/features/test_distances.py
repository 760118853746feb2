import numpy as np
import pytest
from scipy.spatial.distance import cdist

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
