"""Measures against hand-made answers, scikit-learn and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics
from scipy.stats import binomtest

from fewlabel.errors import UsageError
from fewlabel.evaluate import (
    accuracy,
    balanced_accuracy,
    brier_score,
    confusion_matrix,
    log_loss,
    per_class,
    wilson_interval,
)

TRUE = np.array([0, 0, 0, 1, 1, 2])
PRED = np.array([0, 0, 1, 1, 3, 0])


def random_proba(n=200, k=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, k, n), rng.dirichlet(np.ones(k), n)


def test_accuracy_and_balanced_accuracy():
    assert accuracy(TRUE, PRED) == 0.5
    # Class 3 is predicted and does not occur: it has no part in the mean, and no warning.
    assert balanced_accuracy(TRUE, PRED) == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)


def test_confusion_matrix_has_every_class():
    counts = confusion_matrix(TRUE, PRED, 5)
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(
        counts,
        [[2, 1, 0, 0, 0], [0, 1, 0, 1, 0], [1, 0, 0, 0, 0], [0] * 5, [0] * 5],
    )


def test_per_class_leaves_undefined_values_undefined():
    table = per_class(TRUE, PRED, 5)
    np.testing.assert_allclose(table.precision, [2 / 3, 1 / 2, np.nan, 0, np.nan])
    np.testing.assert_allclose(table.recall, [2 / 3, 1 / 2, 0, np.nan, np.nan])
    np.testing.assert_array_equal(table.support, [3, 2, 1, 0, 0])
    assert np.isnan(table.f1[4])
    rows = table.rows(list("abcde"))
    assert rows[4] == {"class": "e", "precision": None, "recall": None, "f1": None, "support": 0}
    assert all(type(row["support"]) is int for row in rows)
    with pytest.raises(UsageError, match=r"must name 5 classes\. Got 2 instead"):
        table.rows(["a", "b"])


def test_log_loss_and_brier_by_hand():
    y, proba = [0, 1], [[0.8, 0.2], [0.6, 0.4]]
    assert log_loss(y, proba) == pytest.approx(-(math.log(0.8) + math.log(0.4)) / 2)
    assert brier_score(y, proba) == pytest.approx((0.04 + 0.04 + 0.36 + 0.36) / 2)


def test_a_certain_mistake_costs_much_and_not_everything():
    assert log_loss([1], [[1.0, 0.0]]) == pytest.approx(36.04, abs=0.01)
    assert brier_score([1], [[1.0, 0.0]]) == 2.0


def test_scores_take_float32_and_leave_their_input_alone():
    y, proba = random_proba()
    before = proba.copy()
    assert brier_score(y, proba.astype(np.float32)) == pytest.approx(brier_score(y, proba))
    assert log_loss(y, proba.astype(np.float32)) == pytest.approx(log_loss(y, proba), rel=1e-5)
    np.testing.assert_array_equal(proba, before)


@pytest.mark.skipif(
    tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 7),
    reason="scikit-learn has the multi-class Brier score from 1.7 on",
)
def test_brier_agrees_with_scikit_learn():
    y, proba = random_proba()
    theirs = sklearn.metrics.brier_score_loss(y, proba, labels=np.arange(5), scale_by_half=False)
    assert brier_score(y, proba) == pytest.approx(theirs)


@pytest.mark.parametrize("n", [1, 7, 50, 1000])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_wilson_agrees_with_scipy(n, level):
    for k in {0, 1, n // 2, n}:
        theirs = binomtest(k, n).proportion_ci(level, method="wilson")
        assert wilson_interval(k, n, level) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_wilson_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    p, n = 0.85, 50
    ends = [wilson_interval(k, n) for k in range(n + 1)]
    held = [ends[k][0] <= p <= ends[k][1] for k in rng.binomial(n, p, 20_000)]
    assert 0.93 <= np.mean(held) <= 0.97


def test_wilson_narrows_with_the_sample_and_holds_the_share():
    widths = [np.diff(wilson_interval(0.9 * n, n))[0] for n in (10, 33.5, 100, 1000)]
    assert widths == sorted(widths, reverse=True)
    for k, n in [(0, 3), (3, 3), (0.7, 2.5)]:
        low, high = wilson_interval(k, n)
        assert 0 <= low <= k / n <= high <= 1
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("args", [(3, 2), (-1, 2), (float("nan"), 2), (1, float("inf"))])
def test_wilson_refuses_impossible_counts(args):
    with pytest.raises(UsageError, match="must be from 0 to n"):
        wilson_interval(*args)


@pytest.mark.parametrize("level", [0, 1, 95])
def test_wilson_refuses_impossible_levels(level):
    with pytest.raises(UsageError, match="'level' parameter must be between 0 and 1"):
        wilson_interval(1, 2, level)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: accuracy([], []), "'y_true' parameter must be a one-dimensional array"),
        (lambda: accuracy([0.0], [0]), "type float64 instead"),
        (lambda: accuracy([0, -1], [0, 1]), "leave out the unlabelled images first"),
        (lambda: accuracy([0, 1], [0]), "'y_true' and 'y_pred' must describe the same images"),
        (lambda: confusion_matrix([0, 3], [0, 1], 3), "'y_true' .* from 0 to 2. Got 3"),
        (lambda: confusion_matrix([0, 1], [0, 3], 3), "'y_pred' .* from 0 to 2. Got 3"),
        (lambda: log_loss([0], [[0.5, 0.6]]), "Row 0 has the least value 0.5 and the sum 1.1"),
        (lambda: log_loss([0], [[1.5, -0.5]]), "Row 0 has the least value -0.5"),
        (lambda: log_loss([0, 0], [[1, 0], [np.nan, 1]]), "Row 1 has the least value nan"),
        (lambda: log_loss([0], [1.0]), r"Got \(1,\) instead"),
        (lambda: brier_score([2], [[0.5, 0.5]]), "from 0 to 1. Got 2"),
        (lambda: brier_score([0, 1], [[0.5, 0.5]]), "Got 2 and 1 instead"),
    ],
)
def test_bad_input_is_named(call, text):
    with pytest.raises(UsageError, match=text):
        call()
