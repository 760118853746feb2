import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans as SklearnKMeans
from sklearn.exceptions import ConvergenceWarning

from fewlabel.cluster import assignment, topk
from fewlabel.cluster.kmeans import KMeans
from fewlabel.cluster.lloyd import _lloyd
from fewlabel.errors import UsageError


@pytest.fixture
def projected(monkeypatch):
    """Search by projections however small the data are."""
    for name in ("_MIN_ROWS", "_MIN_CENTERS", "_MIN_FEATURES"):
        monkeypatch.setattr(assignment, name, 1)


@pytest.fixture(params=[0, 64])
def plain_below(request, monkeypatch):
    """Search by bounds for any number of clusters, or plainly for few."""
    monkeypatch.setattr(assignment, "_PLAIN_BELOW", request.param)


def blobs(n_blobs, per_blob, n_features, seed=0, spread=0.1):
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(n_blobs, n_features))
    X = np.repeat(middles, per_blob, axis=0)
    X = X + spread * rng.normal(size=X.shape)
    return X.astype(np.float32)


def float64_lloyd(X, centers, n_iter):
    X, centers = X.astype(np.float64), centers.astype(np.float64)
    for i in range(n_iter + 1):
        squared = ((X[:, None] - centers[None]) ** 2).sum(axis=2)
        labels = squared.argmin(axis=1)
        if i < n_iter:
            centers = np.stack([X[labels == j].mean(axis=0) for j in range(len(centers))])
    return centers, labels, squared.min(axis=1).sum()


@pytest.mark.usefixtures("plain_below")
@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_lloyd_agrees_with_float64(offset):
    X = blobs(12, 30, 6, spread=0.6) + np.float32(offset)
    start = X[::30].copy()
    centers, labels, inertia, n_iter = _lloyd(X, start, max_iter=4, tol=0)
    expected_centers, expected_labels, expected_inertia = float64_lloyd(X, start, 4)
    assert n_iter == 4
    np.testing.assert_array_equal(labels, expected_labels)
    np.testing.assert_allclose(centers, expected_centers, atol=1e-6 * (1 + offset) * 10)
    assert inertia == pytest.approx(expected_inertia, rel=1e-3 if offset else 1e-5)


def test_lloyd_agrees_with_scikit_learn_to_convergence():
    X = blobs(40, 25, 10, spread=0.8)
    start = X[::25].copy()
    ours = _lloyd(X, start, max_iter=300, tol=0)
    theirs = SklearnKMeans(40, init=start, n_init=1, max_iter=300, tol=0).fit(X)
    assert ours[2] == pytest.approx(theirs.inertia_, rel=1e-4)
    np.testing.assert_array_equal(ours[1], theirs.labels_)


@pytest.mark.usefixtures("projected")
def test_projected_search_is_exact_in_every_round(monkeypatch):
    rng = np.random.default_rng(1)
    # Few strong directions and a tail, as in images: the projection leaves something over.
    monkeypatch.setattr(assignment, "_PLAIN_BELOW", 0)
    scales = np.concatenate([np.full(12, 1.0), np.full(180, 0.06)])
    X = (rng.normal(size=(1500, 192)) * scales + 2).astype(np.float32)
    search = assignment._CenterSearch(X, 60)
    assert search.basis is not None
    assert search.basis.shape[1] < 96
    labels, squared = np.full(1500, -1), np.full(1500, np.inf, dtype=np.float32)
    centers = X[:60].copy()
    moved = np.ones(60, dtype=bool)
    for _ in range(6):
        search.update(labels, squared, centers, moved)
        truth = ((X[:, None].astype(np.float64) - centers[None]) ** 2).sum(axis=2)
        np.testing.assert_array_equal(labels, truth.argmin(axis=1))
        np.testing.assert_allclose(squared, truth.min(axis=1), rtol=1e-5)
        before = centers.copy()
        some = rng.permutation(60)[:20]
        centers = centers.copy()
        centers[some] += rng.normal(size=(20, 192)).astype(np.float32) * 0.1
        moved = (centers != before).any(axis=1)
        assert 0 < moved.sum() < 60


@pytest.mark.parametrize("projected", [False, True])
@pytest.mark.usefixtures("plain_below")
def test_bfloat16_products_change_nothing(monkeypatch, request, projected):
    if projected:
        request.getfixturevalue("projected")
    scales = np.concatenate([np.full(6, 1.0), np.full(58, 0.05)])
    X = (np.random.default_rng(1).normal(size=(400, 64)) * scales).astype(np.float32)
    expected = _lloyd(X, X[:20], max_iter=5, tol=0)
    for module in (assignment, topk):
        monkeypatch.setattr(module, "matmul_dtype", lambda device: torch.bfloat16)
    found = _lloyd(X, X[:20], max_iter=5, tol=0)
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_array_equal(found[0], expected[0])


@pytest.mark.usefixtures("projected")
def test_a_basis_that_would_not_help_is_not_used():
    X = np.random.default_rng(0).normal(size=(500, 64)).astype(np.float32)
    assert assignment._CenterSearch(X, 10).basis is None


def test_labels_are_what_predict_says_and_transform_measures():
    X = blobs(6, 50, 4, spread=0.5)
    model = KMeans(9, random_state=0).fit(X)
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    distances = model.transform(X)
    truth = np.sqrt(((X[:, None] - model.cluster_centers_[None]) ** 2).sum(axis=2))
    np.testing.assert_allclose(distances, truth, atol=1e-4)
    np.testing.assert_array_equal(distances.argmin(axis=1), model.labels_)
    assert model.inertia_ == pytest.approx(float((truth.min(axis=1) ** 2).sum()), rel=1e-4)


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


@pytest.mark.usefixtures("plain_below")
def test_fewer_different_rows_than_clusters_warns_and_is_exact():
    X = np.repeat(np.eye(3, dtype=np.float32), 5, axis=0)
    with pytest.warns(ConvergenceWarning, match="Only 3 of 6 clusters have members"):
        model = KMeans(6, random_state=0).fit(X)
    assert model.inertia_ == 0
    assert np.isfinite(model.cluster_centers_).all()
    X = blobs(1, 20, 3)
    assert sorted(KMeans(20, random_state=0).fit_predict(X)) == list(range(20))


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


def test_weights_act_like_repeated_rows():
    X = blobs(4, 20, 3, spread=0.8)
    weight = np.random.default_rng(0).integers(0, 4, size=len(X))
    start = X[weight > 0][::14][:5].copy()
    weighted = _lloyd(X, start, sample_weight=weight, tol=0)
    repeated = _lloyd(np.repeat(X, weight, axis=0), start, tol=0)
    np.testing.assert_allclose(weighted[0], repeated[0], atol=1e-5)
    assert weighted[2] == pytest.approx(repeated[2], rel=1e-5)


def test_more_starts_never_raise_the_inertia():
    X = blobs(15, 20, 2)
    single = KMeans(15, init="random", random_state=0).fit(X)
    several = KMeans(15, init="random", n_init=5, random_state=0).fit(X)
    assert several.inertia_ < single.inertia_


def test_rows_and_centers_that_do_not_fit():
    X = np.eye(4)
    with pytest.raises(UsageError, match="'init' parameter of KMeans must have n_clusters=3 rows"):
        KMeans(3, init=X[:2]).fit(X)
    with pytest.raises(UsageError, match=r"as wide as X. Got centers of shape \(2, 3\)"):
        _lloyd(X, np.zeros((2, 3)))
    for call in (lambda: KMeans(5).fit(X), lambda: _lloyd(X, np.zeros((5, 4)))):
        with pytest.raises(UsageError, match="n_samples=4 should be >= n_clusters=5: ask for fe"):
            call()
    with pytest.raises(UsageError, match="'sample_weight' parameter must be 4 finite numbers of"):
        _lloyd(X, X[:2], sample_weight=np.array([1, 1, -1, 1]))
