import numpy as np
import pytest
import threadpoolctl
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression

from fewlabel.data import MultiLabel, SingleLabel
from fewlabel.graph import linear_model
from fewlabel.graph.linear_model import _confident_targets, _labeled_rows, _unit_rows


def blobs(n_classes=4, n=120):
    X, codes = make_blobs(n, 6, centers=n_classes, cluster_std=4, random_state=0)
    return X.astype(np.float32), codes


def fit(X, codes, n_classes, *, C, sample_weight=None):
    rows = _labeled_rows(SingleLabel(), X, codes, n_classes)
    return rows.fit(np.arange(len(X)), C, sample_weight)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_it_predicts_as_scikit_learn_does(n_classes):
    X, codes = blobs(n_classes)
    ours = fit(X, codes, n_classes, C=1.0)
    theirs = LogisticRegression(C=1.0, max_iter=200, tol=1e-3).fit(_unit_rows(X), codes)
    np.testing.assert_allclose(
        ours.predict_proba(X), theirs.predict_proba(_unit_rows(X)), atol=1e-4
    )
    assert ours.coef.dtype == ours.intercept.dtype == np.float32


def test_classes_without_rows_have_probability_zero():
    X, codes = blobs(2)
    model = fit(X, codes * 2 + 1, 5, C=1.0)
    proba = model.predict_proba(X)
    assert not proba[:, [0, 2, 4]].any()
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert ((proba[:, 3] > 0.5) == codes).mean() > 0.9
    # A single class is certain.
    proba = fit(X, np.full(len(X), 2), 3, C=1.0).predict_proba(X)
    assert proba.tolist() == [[0, 0, 1]] * len(X)


def test_weights_count_as_copies_and_a_weak_penalty_fits_closer():
    X, codes = blobs(3, n=40)
    weights = np.where(np.arange(40) < 10, 3.0, 1.0)
    copies = np.concatenate([np.arange(40), np.arange(10), np.arange(10)])
    weighted = fit(X, codes, 3, C=1.0, sample_weight=weights)
    copied = fit(X[copies], codes[copies], 3, C=1.0)
    np.testing.assert_allclose(weighted.predict_proba(X), copied.predict_proba(X), atol=0.01)
    X, codes = blobs()
    loss = [
        -np.log(fit(X, codes, 4, C=C).predict_proba(X)[np.arange(120), codes]).mean()
        for C in linear_model.PENALTIES
    ]
    assert loss == sorted(loss, reverse=True)


def test_rows_of_zeros_and_huge_rows_are_predicted_and_scale_does_not_matter():
    X, codes = blobs()
    model = fit(X, codes, 4, C=1.0)
    rows = np.concatenate([np.zeros((1, 6)), np.full((1, 6), 1e30)]).astype(np.float32)
    proba = model.predict_proba(rows)
    assert np.isfinite(proba).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_allclose(_unit_rows(X * 7), _unit_rows(X), rtol=1e-5)
    np.testing.assert_allclose((_unit_rows(X) ** 2).mean(axis=1), 1, rtol=1e-5)
    assert not _unit_rows(np.zeros((2, 3), np.float32)).any()


def test_small_problems_stay_on_one_thread(monkeypatch):
    seen = []

    class Spy(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            seen.append({pool["num_threads"] for pool in threadpoolctl.threadpool_info()})
            return super().fit(X, y, sample_weight)

    monkeypatch.setattr(linear_model, "LogisticRegression", Spy)
    X, codes = blobs()
    fit(X, codes, 4, C=1.0)
    assert seen == [{1}]


def test_given_labels_come_first_and_the_most_confident_follow():
    proba = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.95, 0.05], [0.3, 0.7], [0.8, 0.2]])
    codes = np.array([-1, -1, -1, -1, -1, 1])
    rows, targets, weights = _confident_targets(proba, codes, fraction=0.5, at_most=100)
    # Class 0: rows 0, 2, 3, of which two; class 1: rows 1, 4, of which one.
    assert rows.tolist() == [5, 3, 0, 1]
    assert targets.tolist() == [1, 0, 0, 1]
    assert weights[0] == 1
    # Together the propagated labels weigh as much as the given one.
    assert weights[1:].sum() == pytest.approx(1)
    np.testing.assert_allclose(weights[1:] / weights[1], np.array([0.95, 0.9, 0.8]) / 0.95)
    # Nothing is left to label.
    found = _confident_targets(np.eye(2), np.array([0, 1]), fraction=0.5, at_most=10)
    assert [each.tolist() for each in found] == [[0, 1], [0, 1], [1, 1]]


def test_the_number_of_propagated_labels_is_bounded_and_spans_the_confidences():
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.ones(4), size=2_000)
    codes = np.full(2_000, -1)
    codes[:4] = range(4)
    rows, targets, _ = _confident_targets(proba, codes, fraction=0.5, at_most=200)
    assert 100 < len(rows) - 4 <= 200 + 4
    assert len(set(rows.tolist())) == len(rows)
    extra = rows[4:]
    np.testing.assert_array_equal(targets[4:], proba[extra].argmax(axis=1))
    for label in range(4):
        confidence = np.sort(proba[4:].max(axis=1)[proba[4:].argmax(axis=1) == label])[::-1]
        taken = proba[extra[targets[4:] == label], label]
        assert taken[0] == confidence[0]
        assert taken[-1] >= confidence[len(confidence) // 2]


@pytest.mark.parametrize("n", [5, 100])  # fewer rows than columns, and more
def test_regressions_of_several_labels_are_those_of_scikit_learn(n):
    X, codes = blobs(n=140)
    y = np.column_stack([codes >= 2, codes % 2]).astype(np.int8)
    y[:4] = [[0, 0], [1, 1], [0, 1], [1, 0]]
    rows = _labeled_rows(MultiLabel(), X[:n], y[:n], 2)
    found = rows.fit(np.arange(n), 1.0).predict_proba(X[100:])
    for column in range(2):
        peer = LogisticRegression(C=1.0, max_iter=5000, tol=1e-6)
        peer.fit(_unit_rows(X[:n]), y[:n, column])
        expected = peer.predict_proba(_unit_rows(X[100:]))[:, 1]
        # scikit-learn leaves the intercept free; here it is drawn to the frequency, a little.
        assert np.abs(found[:, column] - expected).mean() < 0.02
