"""Heads on a shared trunk: balance, solution, calibration."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression

from fewlabel.nets import NetworkClassifier
from fewlabel.semisupervised import binary_heads
from fewlabel.semisupervised.binary_heads import (
    _balance_weights,
    _HeadScale,
    _HeadSettings,
    _make_experts,
    _solve_heads,
)

CODES = np.repeat([0, 1, 2], [5, 15, 40])


@pytest.fixture(scope="module")
def trained():
    X, y = make_blobs(300, centers=4, n_features=6, cluster_std=2.0, random_state=0)
    X = X.astype(np.float32)
    network = NetworkClassifier(options={"widths": (32, 16)}, min_steps=80, random_state=0)
    return X, y, network.fit(X[:100], y[:100]).network_


@pytest.mark.parametrize("balance", ["loss", "over-sampling", "under-sampling"])
def test_both_sides_of_a_head_weigh_alike(balance):
    weights = _balance_weights(CODES, 3, balance, np.random.default_rng(0))
    for head in range(3):
        mine = head == CODES
        assert weights[mine, head].sum() == pytest.approx(weights[~mine, head].sum())
    np.testing.assert_allclose(weights.mean(axis=0), 1, rtol=1e-5)
    # Under-sampling leaves most of the many out.
    assert (weights[:, 0] > 0).sum() == (10 if balance == "under-sampling" else 60)
    assert (_balance_weights(CODES, 3, "none", np.random.default_rng(0)) == 1).all()


def test_heads_are_those_of_logistic_regressions(monkeypatch):
    X, y = make_blobs(120, centers=3, n_features=4, cluster_std=4.0, random_state=1)
    targets = np.eye(3)[y]
    # Two heads at once: the third is solved apart, as with a thousand classes.
    monkeypatch.setattr(binary_heads, "_HEADS_AT_ONCE", 2)
    coef, intercept = _solve_heads(X.astype(np.float32), targets, np.ones((120, 3)))
    scale = X.std(axis=0)
    for head in range(3):
        reference = LogisticRegression(C=1 / (1e-3 * 120), tol=1e-8, max_iter=1000)
        reference.fit((X - X.mean(axis=0)) / scale, y == head)
        np.testing.assert_allclose(coef[head] * scale, reference.coef_[0], atol=0.02)
    logits = X @ coef.T + intercept
    assert (logits.argmax(axis=1) == y).mean() > 0.8


@pytest.mark.parametrize("trunk", ["frozen", "fine-tuned"])
def test_experts_share_a_trunk_and_leave_the_network_as_it_was(trained, trunk):
    X, y, network = trained
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    experts = _make_experts(network, X[:100], y[:100], _HeadSettings(trunk, n_epochs=3), seed=0)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    body = {k: v for k, v in experts.state_dict().items() if k.startswith("body.")}
    changed = [name for name, tensor in body.items() if not torch.equal(tensor, before[name])]
    assert bool(changed) == (trunk == "fine-tuned")
    with torch.inference_mode():
        logits = experts(torch.from_numpy(X[100:])).numpy()
    assert (logits.argmax(axis=1) == y[100:]).mean() > 0.8


def test_the_scale_undoes_the_balance():
    rng = np.random.default_rng(0)
    codes = rng.integers(10, size=2_000)
    shares = np.full(10, 0.1)
    # Balanced heads: logits as if every class were half of all.
    evidence = np.where(np.eye(10)[codes] > 0, 2.0, -2.0) + rng.normal(0, 2, (2_000, 10))
    scale = _HeadScale.fit(evidence[:1_000], codes[:1_000], shares, balanced=True)
    scores = scale(evidence[1_000:])
    truth = np.eye(10)[codes[1_000:]]
    assert scores.mean() == pytest.approx(0.1, abs=0.02)
    sure = scores > 0.6
    assert truth[sure].mean() == pytest.approx(scores[sure].mean(), abs=0.08)
    assert _HeadScale(np.zeros(10))(evidence[1_000:]).mean() > 0.2
    # No held-out label: nothing is scaled.
    alone = _HeadScale.fit(evidence[:0], codes[:0], shares, balanced=True)
    assert (alone.slope, alone.offset) == (1.0, 0.0)
