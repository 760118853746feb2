import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits

from fewlabel.errors import UsageError
from fewlabel.graph.propagation import GraphPropagation, _chord, _neighbor_average


def two_islands():
    """Two far groups in the plane; the labels are all in the first one."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1, (20, 2)), rng.normal(100, 1, (20, 2))])
    y = np.full(40, -1)
    y[:4] = 0, 1, 0, 1
    return X, y


@pytest.mark.parametrize("method", ["spreading", "poisson"])
def test_digits_from_twenty_labels(method):
    X, truth = load_digits(return_X_y=True)
    X, truth = X[:600], truth[:600]
    y = np.full(600, -1)
    for label in range(10):
        y[np.flatnonzero(truth == label)[:2]] = label
    model = GraphPropagation(alpha=0.98, method=method, random_state=0).fit(X, y)
    assert (model.transduction_ == truth).mean() > 0.85
    assert (model.predict(X[:100] * 1.5) == truth[:100]).mean() > 0.85
    np.testing.assert_allclose(model.label_distributions_.sum(axis=1), 1)
    np.testing.assert_allclose(model.predict_proba(X[:50]).sum(axis=1), 1)


@pytest.mark.parametrize("method", ["spreading", "poisson"])
@pytest.mark.parametrize("class_prior", ["uniform", "labels"])
def test_rows_that_no_label_reaches_are_flagged_and_hold_the_prior(method, class_prior):
    X, y = two_islands()
    y[4] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = GraphPropagation(5, method=method, class_prior=class_prior, metric="euclidean").fit(
            X, y
        )
    assert model.unreached_.tolist() == [False] * 20 + [True] * 20
    prior = [0.5, 0.5] if class_prior == "uniform" else [0.6, 0.4]
    np.testing.assert_allclose(model.label_distributions_[20:], [prior] * 20)
    assert np.isfinite(model.label_distributions_).all()
    np.testing.assert_allclose(model.label_distributions_.sum(axis=1), 1)


@pytest.mark.parametrize("alpha", [0.2, 0.5, 0.9])
def test_a_far_row_of_a_long_chain_is_reached_whatever_the_tolerance(alpha):
    # Points on a line, two neighbors each: the solver stops long before the middle.
    X = np.arange(600.0)[:, None]
    y = np.full(600, -1)
    y[0], y[-1] = 0, 1
    model = GraphPropagation(2, alpha=alpha, metric="euclidean").fit(X, y)
    assert not model.unreached_.any()
    assert np.isfinite(model.label_distributions_).all()
    assert (model.transduction_[:299] == 0).all()
    assert (model.transduction_[301:] == 1).all()


@pytest.mark.filterwarnings("ignore:.*takes -1 for unlabeled, which leaves one class")
def test_one_class_one_row_and_texts():
    model = GraphPropagation(2, method="poisson").fit(np.eye(4), [3, -1, -1, 3])
    assert model.transduction_.tolist() == [3] * 4
    assert not model.unreached_.any()
    model = GraphPropagation().fit([[1.0, 2.0]], [4])
    assert model.transduction_.tolist() == model.predict([[2.0, 1.0]]).tolist() == [4]
    X = np.array([[1, 0.0], [1, 0.1], [0, 1], [0.1, 1]])
    model = GraphPropagation(1).fit(X, ["ant", "-1", "bee", "-1"])
    assert model.transduction_.tolist() == ["ant", "ant", "bee", "bee"]
    assert model.predict([[0.9, 0]]).tolist() == ["ant"]
    with pytest.raises(UsageError, match=r"'metric' .* must be one of cosine, euclidean"):
        GraphPropagation(metric="manhattan").fit(X, [0, 1, -1, -1])


def test_the_chord_is_the_distance_of_unit_vectors():
    a, b = np.random.default_rng(0).normal(size=(2, 10, 6))
    a, b = (m / np.linalg.norm(m, axis=1, keepdims=True) for m in (a, b))
    cosine_distance = 1 - (a * b).sum(axis=1)
    np.testing.assert_allclose(_chord(cosine_distance), np.linalg.norm(a - b, axis=1))


def test_the_average_of_neighbors_follows_the_formula():
    rng = np.random.default_rng(2)
    proba = rng.dirichlet(np.ones(3), size=9)
    indices = rng.integers(9, size=(5, 4))
    distances = np.sort(rng.random((5, 4)), axis=1)
    weights = np.exp(-4 * (distances / distances[:, -1:]) ** 2)
    expected = np.einsum("mk,mkc->mc", weights, proba[indices]) / weights.sum(1, keepdims=True)
    np.testing.assert_allclose(_neighbor_average(indices, distances, proba), expected)
    equal = _neighbor_average(np.array([[0, 1]]), np.zeros((1, 2)), np.eye(2))
    assert equal.tolist() == [[0.5, 0.5]]
