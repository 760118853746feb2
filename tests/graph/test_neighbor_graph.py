import warnings

import numpy as np
import pytest
from scipy import sparse

from fewlabel.cluster.neighbors import nearest_neighbors
from fewlabel.graph import neighbor_graph as graph_module
from fewlabel.graph.neighbor_graph import (
    _affinity_graph,
    _class_mass_normalize,
    _normalize_graph,
    _spread_clamped,
    poisson,
    spread,
)


def random_graph(n, seed, density=0.2):
    """Symmetric non-negative weights with an empty diagonal."""
    rng = np.random.default_rng(seed)
    weights = np.triu(rng.random((n, n)) * (rng.random((n, n)) < density), 1)
    return (weights + weights.T).astype(np.float32)


def one_hot_seeds(n, labels, n_classes):
    seeds = np.zeros((n, n_classes), dtype=np.float32)
    for row, label in labels.items():
        seeds[row, label] = 1
    return seeds


def clamped(graph, seeds, alpha):
    return _spread_clamped(_normalize_graph(graph), graph.sum(axis=1), seeds, alpha)


def dense_normalized(weights):
    degree = weights.astype(np.float64).sum(axis=1)
    inverse = np.where(degree > 0, 1 / np.sqrt(np.where(degree > 0, degree, 1)), 0)
    return weights * inverse[:, None] * inverse


def dense_spread(weights, seeds, alpha):
    matrix = np.eye(len(weights)) - alpha * dense_normalized(weights)
    return np.linalg.solve(matrix, (1 - alpha) * seeds.astype(np.float64))


def test_affinities_follow_the_formula_and_are_symmetric():
    X = np.random.default_rng(0).normal(size=(30, 4))
    indices, distances = nearest_neighbors(X, 5, metric="euclidean")
    expected = np.zeros((30, 30))
    for i in range(30):
        scale = distances[i].max()
        for j, distance in zip(indices[i], distances[i], strict=True):
            weight = np.exp(-4 * distance**2 / scale**2) / 2
            expected[i, j] += weight
            expected[j, i] += weight
    graph = _affinity_graph(indices, distances)
    assert graph.dtype == np.float32
    np.testing.assert_allclose(graph.toarray(), expected, rtol=1e-5)
    np.testing.assert_array_equal(graph.toarray(), graph.toarray().T)
    # Duplicates have no distance, and full weight.
    graph = _affinity_graph(*nearest_neighbors(np.ones((4, 2)), 2, metric="euclidean")).toarray()
    assert np.isfinite(graph).all()
    assert graph.max() == 1
    assert (graph.sum(axis=1) > 0).all()


def test_normalization_is_that_of_float64_and_leaves_isolated_rows_empty():
    weights = random_graph(25, seed=1)
    weights[7] = weights[:, 7] = 0
    graph = sparse.csr_array(weights)
    normalized = _normalize_graph(graph)
    assert normalized.dtype == np.float32
    np.testing.assert_allclose(normalized.toarray(), dense_normalized(weights), atol=1e-6)
    assert not normalized.toarray()[7].any()
    np.testing.assert_array_equal(graph.toarray(), weights)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("alpha", [0.1, 0.9, 0.99, 0.999])
def test_spreading_agrees_with_a_dense_float64_solve(seed, alpha):
    weights = random_graph(60, seed)
    seeds = one_hot_seeds(60, {3: 0, 17: 1, 40: 2, 41: 0}, 3)
    graph = _normalize_graph(sparse.csr_array(weights))
    exact = dense_spread(weights, seeds, alpha)
    tight = spread(graph, seeds, alpha, tol=1e-6, max_iter=2_000)
    np.testing.assert_allclose(tight, exact, atol=1e-4 * exact.max())
    loose = spread(graph, seeds, np.float64(alpha))
    assert loose.dtype == np.float32
    # The default tolerance bounds the residual; the error can be 1 / (1 - alpha) times larger.
    np.testing.assert_allclose(loose, exact, atol=0.02 * exact.max())


def test_alpha_close_to_one_stays_finite_and_right():
    weights = random_graph(40, seed=5)
    seeds = one_hot_seeds(40, {0: 0, 20: 1}, 2)
    graph = _normalize_graph(sparse.csr_array(weights))
    scores = spread(graph, seeds, 1 - 1e-6, tol=1e-6, max_iter=5_000)
    exact = dense_spread(weights, seeds, 1 - 1e-6)
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores, exact, rtol=0.01)


def test_spreading_is_linear_in_the_seeds_and_may_go_in_parts(monkeypatch):
    graph = _normalize_graph(sparse.csr_array(random_graph(50, seed=3)))
    seeds = one_hot_seeds(50, {0: 0, 10: 1, 20: 2, 30: 3}, 4)
    apart = spread(graph, seeds, 0.95, tol=1e-6)
    together = spread(graph, seeds.sum(axis=1, keepdims=True), 0.95, tol=1e-6)
    np.testing.assert_allclose(apart.sum(axis=1), together.ravel(), rtol=1e-3)
    monkeypatch.setattr(graph_module, "_VALUES_A_SOLVE", 3 * 50)
    parts = spread(graph, seeds, 0.95, tol=1e-6)
    np.testing.assert_allclose(parts, apart, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("n_columns", [4, 40])
def test_a_start_saves_iterations_and_changes_no_answer(n_columns):
    weights, rng = random_graph(60, seed=7), np.random.default_rng(7)
    graph = _normalize_graph(sparse.csr_array(weights))
    seeds = (rng.random((60, n_columns)) < 0.1).astype(np.float32)
    exact = dense_spread(weights, seeds, 0.95)
    start = exact.astype(np.float32)
    np.testing.assert_allclose(
        spread(graph, seeds, 0.95, start=start, max_iter=0), exact, rtol=1e-5
    )
    near = (start * rng.uniform(0.8, 1.2, start.shape)).astype(np.float32)
    given = near.copy()
    found = spread(graph, seeds, 0.95, start=near, tol=1e-6)
    np.testing.assert_allclose(found, exact, atol=1e-4 * exact.max())
    np.testing.assert_array_equal(near, given)


def test_parts_without_seeds_and_isolated_rows_get_nothing():
    weights = np.zeros((12, 12), dtype=np.float32)
    weights[:5, :5] = random_graph(5, seed=4, density=1)
    weights[5:10, 5:10] = random_graph(5, seed=5, density=1)
    # Row 10 is isolated and holds a seed, row 11 is isolated and holds none.
    seeds = one_hot_seeds(12, {0: 0, 10: 1}, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = spread(_normalize_graph(sparse.csr_array(weights)), seeds, 0.9)
    assert np.isfinite(scores).all()
    assert (scores >= 0).all()
    assert (scores[:5, 0] > 0).all()
    assert not scores[5:10].any()
    assert scores[10].tolist() == [0, pytest.approx(0.1)]
    assert not scores[11].any()
    seeds = one_hot_seeds(3, {1: 0}, 1)
    empty = _normalize_graph(sparse.csr_array((3, 3), dtype=np.float32))
    np.testing.assert_allclose(spread(empty, seeds, 0.25), 0.75 * seeds)


def dense_poisson(weights, seeds):
    weights = weights.astype(np.float64)
    labeled = seeds.sum(axis=1) > 0
    source = np.where(labeled[:, None], seeds - seeds[labeled].mean(axis=0), 0)
    degree = weights.sum(axis=1)
    u = np.linalg.pinv(np.diag(degree) - weights) @ source
    return u - degree @ u / degree.sum()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_poisson_agrees_with_a_dense_pseudo_inverse(seed):
    weights = random_graph(50, seed, density=0.3)
    seeds = one_hot_seeds(50, {0: 0, 5: 0, 11: 1, 30: 2}, 3)
    exact = dense_poisson(weights, seeds)
    u = poisson(sparse.csr_array(weights), seeds, tol=1e-6, max_iter=1_000)
    np.testing.assert_allclose(u, exact, atol=1e-3 * np.abs(exact).max())
    np.testing.assert_allclose(u.sum(axis=1), 0, atol=1e-3 * np.abs(exact).max())
    np.testing.assert_array_equal(
        poisson(sparse.csr_array(weights), seeds).argmax(axis=1), exact.argmax(axis=1)
    )


def test_poisson_solves_each_part_of_the_graph_for_itself():
    first, second = random_graph(20, 7, density=0.5), random_graph(20, 8, density=0.5)
    weights = np.zeros((45, 45), dtype=np.float32)
    weights[:20, :20], weights[20:40, 20:40] = first, second
    weights[40, 41] = weights[41, 40] = 1
    # Both classes in the first part, unevenly; one in the second; none in the third; two
    # isolated rows, of which one is labeled.
    labels = {0: 0, 1: 0, 2: 0, 3: 1, 25: 1, 42: 0}
    seeds = one_hot_seeds(45, labels, 2)
    u = poisson(sparse.csr_array(weights), seeds, tol=1e-6, max_iter=1_000)
    assert np.isfinite(u).all()
    exact = dense_poisson(first, seeds[:20])
    np.testing.assert_allclose(u[:20], exact, atol=1e-3 * np.abs(exact).max())
    assert set(u[:20].argmax(axis=1)) == {0, 1}
    np.testing.assert_allclose(u[20:40], [[-0.5, 0.5]] * 20)
    assert not u[40:42].any()
    np.testing.assert_allclose(u[42], [0.5, -0.5])
    assert not u[43:].any()


@pytest.mark.parametrize("seed", range(5))
def test_classes_are_scaled_to_the_prior_and_rows_sum_to_one(seed):
    rng = np.random.default_rng(seed)
    scores = (rng.random((30, 4)) * (rng.random((30, 4)) < 0.4)).astype(np.float32)
    prior = rng.dirichlet(np.ones(4))
    proba = _class_mass_normalize(scores, prior)
    assert proba.dtype == np.float64
    assert (proba >= 0).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    unreached = scores.sum(axis=1) == 0
    assert unreached.any()
    np.testing.assert_allclose(proba[unreached], np.tile(prior, (unreached.sum(), 1)))
    scaled = scores[~unreached] * (prior / scores.sum(axis=0, dtype=np.float64))
    expected = scaled / scaled.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(proba[~unreached], expected)


def test_a_class_of_no_mass_or_no_share_is_harmless():
    scores = np.array([[1.0, 0, 2], [3, 0, 0], [0, 0, 5]])
    proba = _class_mass_normalize(scores, np.array([0.5, 0.5, 0]))
    assert proba.tolist() == [[1, 0, 0], [1, 0, 0], [0.5, 0.5, 0]]
    # Near the end of float32.
    scores = np.array([[1e-38, 3e-38], [2e-38, 2e-38]], dtype=np.float32)
    proba = _class_mass_normalize(scores, np.array([0.5, 0.5]))
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert proba[0, 1] > proba[0, 0]


def test_clamped_labels_stay_and_each_row_is_the_mean_of_its_neighbors():
    weights = random_graph(40, 3)
    labels = {row: row % 3 for row in range(9)}
    seeds = one_hot_seeds(40, labels, 3)
    found = clamped(sparse.csr_array(weights), seeds, 0.9999)
    np.testing.assert_array_equal(found[:9], seeds[:9])
    mean = weights @ found / weights.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found[9:], mean[9:], atol=3e-3)
    chain = sparse.csr_array(np.array([[0, 1, 0], [1, 0, 1.0], [0, 1, 0]], np.float32))
    least = clamped(chain, one_hot_seeds(3, {0: 0}, 1), 0.5).ravel()
    # With a leak, row 1 is half the mean of 1 and row 2, and row 2 half of row 1: 2/7 and 1/7.
    np.testing.assert_allclose(least, [1, 2 / 7, 1 / 7], rtol=1e-3)


def test_a_part_without_labels_is_empty_and_long_chains_are_reached():
    n = 900
    chain = sparse.diags_array([np.ones(n - 1, np.float32)] * 2, offsets=[-1, 1]).tocsr()
    found = clamped(chain, one_hot_seeds(n, {0: 0, 5: 1}, 2), 0.97)
    assert (found.sum(axis=1) > 0).all()
    parts = sparse.block_diag([chain, chain], format="csr")
    seeds = one_hot_seeds(2 * n, {0: 0, 5: 1}, 2)
    assert not clamped(sparse.csr_array(parts), seeds, 0.97)[n:].any()
