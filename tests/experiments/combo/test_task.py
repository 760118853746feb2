"""Labels in groups of which an image has exactly one: two digits side by side."""

import numpy as np
import pytest
import torch

from fewlabel import NetworkClassifier
from fewlabel.errors import UsageError
from fewlabel_experiments.combo.task import GroupedLabels, masked_group_cross_entropy
from tests.nets.examples import QUICK, pairs

TWO = GroupedLabels(((0, 5), (5, 10)))


def _one_of_each(n, seed):
    X, Y = pairs(3 * n, seed)
    rows = np.flatnonzero((Y[:, :5].sum(axis=1) == 1) & (Y[:, 5:].sum(axis=1) == 1))[:n]
    return X[rows], Y[rows]


@pytest.fixture(scope="module")
def data():
    return *_one_of_each(400, 0), *_one_of_each(200, 1)


def test_one_of_each_group_is_predicted_and_that_helps(data):
    X, Y, test, truth = data
    network = NetworkClassifier("cnn", **QUICK).fit(X, Y)
    knowing = NetworkClassifier("cnn", task=TWO, **QUICK).fit(X, Y)
    predicted, proba = knowing.predict(test), knowing.predict_proba(test)
    for start, stop in TWO.groups:
        assert (predicted[:, start:stop].sum(axis=1) == 1).all()
        np.testing.assert_allclose(proba[:, start:stop].sum(axis=1), 1)
    assert knowing.score(test, truth) > network.score(test, truth)
    assert 0 < TWO.confidence(proba).mean() < 1
    right = TWO.correct(truth, proba)
    assert TWO.loss(truth, proba)[right].mean() < TWO.loss(truth, proba)[~right].mean()
    known = np.where(np.random.default_rng(0).random(Y.shape) < 0.5, Y, -1)
    # Unknown entries teach nothing. Taken as absent, half of the present ones would mislead.
    zeros = network.fit(X, np.maximum(known, 0)).score(test, truth)
    assert knowing.fit(X, known).score(test, truth) > zeros + 0.1


def test_labels_must_fit_the_groups(data):
    X, Y, _, _ = data
    empty = Y.copy()
    empty[:200] = 0
    with pytest.raises(UsageError, match=r"labels 0 to 4, but row 0 has 0 \(200"):
        NetworkClassifier("cnn", task=TWO, **QUICK).fit(X, empty)
    with pytest.raises(UsageError, match=r"for 10 columns of labels\. Got 9"):
        NetworkClassifier("cnn", task=TWO, **QUICK).fit(X, Y[:, :9])
    for groups in (((0, 1),), ((1, 3),), ((0, 2), (1, 3))):
        with pytest.raises(UsageError, match="one after the other"):
            GroupedLabels(groups)


def test_the_loss_of_a_table_counts_what_is_not_ruled_out():
    proba = np.array([[0.5, 0.3, 0.2, 0.25, 0.75]] * 3)
    y = np.array([[1, 0, 0, -1, -1], [-1, -1, 0, 0, 1], [0, -1, -1, 1, -1]])
    task = GroupedLabels(((0, 3), (3, 5)))
    expected = [-np.log(0.5), -np.log(0.8 * 0.75), -np.log(0.5 * 0.25)]
    np.testing.assert_allclose(task.loss(y, proba), expected)


def test_a_group_of_known_labels_has_torchs_cross_entropy():
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    codes = torch.tensor([0, 1, 2, 3, 3])
    targets = torch.nn.functional.one_hot(codes, 4).float()
    expected = torch.nn.functional.cross_entropy(logits, codes, reduction="none")
    torch.testing.assert_close(
        masked_group_cross_entropy(logits, targets, torch.ones(5, 4)), expected
    )
    # One that is known to be present says all; nothing known says nothing.
    torch.testing.assert_close(masked_group_cross_entropy(logits, targets, targets), expected)
    nothing = masked_group_cross_entropy(logits, targets, torch.zeros(5, 4))
    torch.testing.assert_close(nothing, torch.zeros(5))


def test_a_label_known_to_be_absent_spreads_to_the_others():
    logits = torch.zeros(1, 3, requires_grad=True)
    known = torch.tensor([[1.0, 0.0, 0.0]])
    loss = masked_group_cross_entropy(logits, torch.zeros(1, 3), known)
    loss.sum().backward()
    assert loss.item() == pytest.approx(np.log(1.5), abs=1e-5)
    assert logits.grad[0, 0] > 0
    assert logits.grad[0, 1] == logits.grad[0, 2] < 0
    assert torch.isfinite(logits.grad).all()
