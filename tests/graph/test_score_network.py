import numpy as np
import pytest

from fewlabel.graph.refined import _Discriminant


@pytest.fixture
def rings():
    """Rows that no line tells apart: near the origin of two features, or far from it."""
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=2_000)
    angle = rng.uniform(0, 2 * np.pi, len(y))
    # A third feature that is the same for all keeps the lengths of the others apart.
    X = np.c_[np.cos(angle) * (0.3 + y), np.sin(angle) * (0.3 + y), np.ones(len(y))]
    return X.astype(np.float32), y


def rows_of(X):
    return X / np.sqrt((X**2).mean(axis=1, keepdims=True))


def test_learns_what_a_regression_cannot(rings):
    X, y = rings
    found, proba = _Discriminant(X[:1_000]), np.eye(2)[y[:1_000]]
    rows, truth = rows_of(X[1_000:]), y[1_000:]
    right = (found.train(proba, 0).scores(rows).argmax(axis=1) == truth).mean()
    assert right > 0.95
    assert (found.regress(proba).scores(rows).argmax(axis=1) == truth).mean() < 0.8


def test_the_seed_decides_and_scale_does_not(rings):
    X, y = rings
    proba = np.eye(2)[y]
    network = _Discriminant(X).train(proba, 3)
    for same in (_Discriminant(X).train(proba, 3), _Discriminant(4 * X).train(proba, 3)):
        for one, other in zip(network, same, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    assert not np.allclose(network.hidden, _Discriminant(X).train(proba, 4).hidden)
    assert {layer.dtype for layer in network} == {np.dtype(np.float32)}
