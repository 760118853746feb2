"""Nearest centers by bounds and projections: exact in every round."""

import numpy as np
import pytest

from fewlabel.cluster import assignment


@pytest.fixture(autouse=True)
def projected(monkeypatch):
    """Search by projections however small the data are."""
    for name in ("_MIN_ROWS", "_MIN_CENTERS", "_MIN_FEATURES"):
        monkeypatch.setattr(assignment, name, 1)
    monkeypatch.setattr(assignment, "_PLAIN_BELOW", 0)


def test_projected_search_is_exact_in_every_round():
    rng = np.random.default_rng(1)
    # Few strong directions and a tail, as in images: the projection leaves something over.
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
        centers[some] += rng.normal(size=(20, 192)).astype(np.float32) * 0.1
        moved = (centers != before).any(axis=1)
        assert 0 < moved.sum() < 60


def test_a_basis_that_would_not_help_is_not_used():
    X = np.random.default_rng(0).normal(size=(500, 64)).astype(np.float32)
    assert assignment._CenterSearch(X, 10).basis is None
