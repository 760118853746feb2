"""k-means as an estimator, beyond the contract of tests/test_estimators.py."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from fewlabel.cluster import kmeans
from fewlabel.cluster.kmeans import KMeans, _kmeans_plus_plus
from fewlabel.cluster.lloyd import _lloyd
from fewlabel.errors import UsageError
from tests.cluster.examples import blobs


def test_labels_are_what_predict_says_and_transform_measures():
    X = blobs(6, 50, 4, spread=0.5)
    model = KMeans(9, random_state=0).fit(X)
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    distances = model.transform(X)
    truth = np.sqrt(((X[:, None] - model.cluster_centers_[None]) ** 2).sum(axis=2))
    np.testing.assert_allclose(distances, truth, atol=1e-4)
    np.testing.assert_array_equal(distances.argmin(axis=1), model.labels_)
    assert model.inertia_ == pytest.approx(float((truth.min(axis=1) ** 2).sum()), rel=1e-4)


def test_the_seed_and_the_starts_decide():
    X = blobs(1, 600, 5)
    one, other = (KMeans(20, random_state=seed).fit(X) for seed in (3, 4))
    assert not np.array_equal(one.cluster_centers_, other.cluster_centers_)
    # More starts never raise the inertia.
    X = blobs(15, 20, 2)
    single, several = (KMeans(15, init="random", n_init=n, random_state=0).fit(X) for n in (1, 5))
    assert several.inertia_ < single.inertia_


def test_fewer_different_rows_than_clusters_warns_and_is_exact():
    X = np.repeat(np.eye(3, dtype=np.float32), 5, axis=0)
    with pytest.warns(ConvergenceWarning, match="Only 3 of 6 clusters have members"):
        model = KMeans(6, random_state=0).fit(X)
    assert model.inertia_ == 0
    assert np.isfinite(model.cluster_centers_).all()
    assert sorted(KMeans(20, random_state=0).fit_predict(blobs(1, 20, 3))) == list(range(20))


def test_spherical_centers_have_unit_length_and_scale_does_not_matter():
    X = blobs(5, 40, 8)
    scale = np.random.default_rng(2).uniform(0.1, 10, size=(len(X), 1)).astype(np.float32)
    one = KMeans(5, spherical=True, random_state=0).fit(X)
    two = KMeans(5, spherical=True, random_state=0).fit(X * scale)
    np.testing.assert_allclose(np.linalg.norm(one.cluster_centers_, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(one.labels_, two.labels_)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    np.testing.assert_array_equal(one.labels_, (unit @ one.cluster_centers_.T).argmax(axis=1))
    # It ends when nothing changes.
    assert _lloyd(unit, unit[::40], max_iter=200, tol=0, spherical=True)[3] < 50


def test_rows_and_centers_that_do_not_fit():
    X = np.eye(4)
    with pytest.raises(UsageError, match="'init' parameter of KMeans must have n_clusters=3 rows"):
        KMeans(3, init=X[:2]).fit(X)
    with pytest.raises(UsageError, match=r"as wide as X. Got centers of shape \(2, 3\)"):
        KMeans(2, init=np.zeros((2, 3))).fit(X)
    with pytest.raises(UsageError, match="n_samples=4 should be >= n_clusters=5: ask for fewer"):
        KMeans(5).fit(X)


@pytest.mark.parametrize(("n_features", "at_least"), [(5, 20_000), (8, 400), (300, 400)])
def test_one_center_falls_into_each_far_cluster(monkeypatch, n_features, at_least):
    # Of more rows a sample is looked at, and its projections where it has many features.
    monkeypatch.setattr(kmeans, "_SAMPLE_AT_LEAST", at_least)
    X = 100 * blobs(10, 100, n_features, spread=0.01)
    for seed in range(5):
        chosen = _kmeans_plus_plus(X, 10, np.random.default_rng(seed))
        assert sorted(chosen // 100) == list(range(10))


@pytest.mark.parametrize(("n_different", "copies", "n_clusters"), [(6, 50, 6), (1, 10, 10)])
def test_different_rows_are_taken_before_equal_ones(n_different, copies, n_clusters):
    rows = np.arange(n_different, dtype=np.float32)[:, None] / 7 + 1000
    X = np.repeat(rows, copies, axis=0)
    for seed in range(10):
        chosen = _kmeans_plus_plus(X, n_clusters, np.random.default_rng(seed))
        assert len(np.unique(X[chosen])) == n_different
        assert len(np.unique(chosen)) == n_clusters
