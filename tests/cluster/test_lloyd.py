"""Lloyd's iterations: as in float64 and in scikit-learn, with clusters that run empty."""

import numpy as np
import pytest
from sklearn.cluster import KMeans as SklearnKMeans

from fewlabel.cluster import assignment
from fewlabel.cluster.lloyd import _lloyd
from tests.cluster.examples import blobs


@pytest.fixture(params=[0, 64])
def plain_below(request, monkeypatch):
    """Search by bounds for any number of clusters, or plainly for few."""
    monkeypatch.setattr(assignment, "_PLAIN_BELOW", request.param)


@pytest.mark.usefixtures("plain_below")
@pytest.mark.parametrize(("n_clusters", "spread", "max_iter"), [(12, 0.6, 4), (40, 0.8, 300)])
@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_it_agrees_with_scikit_learn_in_float64(n_clusters, spread, max_iter, offset):
    X = blobs(n_clusters, 30, 6, spread) + np.float32(offset)
    start = X[::30].copy()
    centers, labels, inertia, n_iter = _lloyd(X, start, max_iter=max_iter, tol=0)
    theirs = SklearnKMeans(n_clusters, init=start, n_init=1, max_iter=max_iter, tol=0)
    theirs.fit(X.astype(np.float64))
    assert n_iter == theirs.n_iter_
    np.testing.assert_array_equal(labels, theirs.labels_)
    np.testing.assert_allclose(centers, theirs.cluster_centers_, atol=1e-6 * (1 + offset) * 10)
    assert inertia == pytest.approx(theirs.inertia_, rel=1e-3 if offset else 1e-5)


@pytest.mark.usefixtures("plain_below")
def test_empty_clusters_take_the_farthest_rows_but_never_the_only_member_of_another():
    X = np.concatenate([blobs(1, 50, 2), [[50, 50]], [[-80, 0]]]).astype(np.float32)
    start = np.concatenate([X[:1], np.full((2, 2), 1000.0)]).astype(np.float32)
    assert np.bincount(_lloyd(X, start)[1], minlength=3).tolist() == [50, 1, 1]
    X = np.array([[0.0], [1.0], [100.0], [1.5]], dtype=np.float32)
    start = np.array([[0.5], [90.0], [1e6]], dtype=np.float32)
    _, labels, inertia, _ = _lloyd(X, start, tol=0)
    assert len(np.unique(labels)) == 3
    assert inertia == 0.5
