"""Measures against hand-made answers, scikit-learn and simulation."""

import json
import math

import numpy as np
import pytest
import sklearn.metrics

from fewlabel.data import MultiLabel, SingleLabel
from fewlabel.errors import UsageError
from fewlabel.evaluate import confusion_matrix, per_class, scores, wilson_interval

TRUE = np.array([0, 0, 0, 1, 1, 2])
PRED = np.array([0, 0, 1, 1, 3, 0])


@pytest.fixture
def tables():
    """Labels of five columns, and probabilities that are mostly right."""
    rng = np.random.default_rng(0)
    y = (rng.random((60, 5)) < 0.3).astype(int)
    proba = np.clip(0.6 * y + 0.4 * rng.random((60, 5)), 0, 1)
    proba[:10] = rng.random((10, 5))
    return y, proba


def test_scores_of_one_label_are_scikit_learns():
    rng = np.random.default_rng(0)
    y, proba = rng.integers(0, 5, 200), rng.dirichlet(np.ones(5), 200)
    found, predicted = scores(SingleLabel(), y, proba), proba.argmax(axis=1)
    assert found["accuracy"] == sklearn.metrics.accuracy_score(y, predicted)
    assert found["balanced_accuracy"] == pytest.approx(
        sklearn.metrics.balanced_accuracy_score(y, predicted)
    )
    assert found["log_loss"] == pytest.approx(sklearn.metrics.log_loss(y, proba))
    assert found["brier_score"] == pytest.approx(((proba - np.eye(5)[y]) ** 2).sum() / 200)
    assert found["macro_f1"] == pytest.approx(
        sklearn.metrics.f1_score(y, predicted, average="macro")
    )
    assert found["micro_f1"] == pytest.approx(found["accuracy"])
    again = scores(SingleLabel(), y, proba.astype(np.float32))
    assert again == pytest.approx(found, rel=1e-5)


def test_scores_of_several_labels_are_scikit_learns_where_all_is_known(tables):
    y, proba = tables
    found, predicted = scores(MultiLabel(), y, proba), (proba >= 0.5).astype(int)
    assert found["accuracy"] == sklearn.metrics.accuracy_score(y, predicted)
    assert found["mean_average_precision"] == pytest.approx(
        sklearn.metrics.average_precision_score(y, proba)
    )
    for average in ("micro", "macro"):
        expected = sklearn.metrics.f1_score(y, predicted, average=average)
        assert found[f"{average}_f1"] == pytest.approx(expected)


def test_unknown_entries_count_for_nothing(tables):
    y, proba = tables
    holes = np.random.default_rng(1).random(y.shape) < 0.4
    holes[3] = True
    known = np.where(holes, -1, y)
    found = scores(MultiLabel(), known, proba)
    # Whatever is predicted of them.
    other = scores(MultiLabel(), known, np.where(holes, 1 - proba, proba))
    assert found == other
    assert found["accuracy"] > scores(MultiLabel(), y, proba)["accuracy"]


def test_a_class_that_is_never_predicted_or_does_not_occur():
    # Class 3 is predicted and does not occur: it has no part in the mean, and no warning.
    found = scores(SingleLabel(), TRUE, np.eye(5)[PRED])
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    rows = per_class(SingleLabel(), TRUE, np.eye(5)[PRED], list("abcde"))
    assert [row["precision"] for row in rows] == [pytest.approx(2 / 3), 0.5, None, 0, None]
    assert [row["recall"] for row in rows] == [pytest.approx(2 / 3), 0.5, 0, None, None]
    assert [row["support"] for row in rows] == [3, 2, 1, 0, 0]
    assert [row["predicted"] for row in rows] == [3, 2, 0, 1, 0]
    assert rows[4]["f1"] is None
    json.dumps([found, rows], allow_nan=False)
    with pytest.raises(UsageError, match=r"must name 5 classes\. Got 2 instead"):
        per_class(SingleLabel(), TRUE, np.eye(5)[PRED], ["a", "b"])
    counts = confusion_matrix(TRUE, PRED, 5)
    assert counts.dtype == np.int64
    assert counts.tolist() == [[2, 1, 0, 0, 0], [0, 1, 0, 1, 0], [1, 0, 0, 0, 0], [0] * 5, [0] * 5]


def test_labels_that_do_not_occur_or_are_unknown():
    y = np.array([[1, 0, -1], [0, 0, -1], [1, 0, -1]])
    proba = np.array([[0.9, 0.1, 0.5], [0.2, 0.1, 0.5], [0.3, 0.2, 0.5]])
    rows = per_class(MultiLabel(), y, proba, list("abc"))
    assert [row["known"] for row in rows] == [3, 3, 0]
    assert [row["average_precision"] for row in rows] == [1, None, None]
    assert [row["calibration_error"] is None for row in rows] == [False, False, True]
    assert scores(MultiLabel(), y, proba)["mean_average_precision"] == 1


def test_calibration_is_measured_class_by_class():
    rng = np.random.default_rng(0)
    honest = rng.random(4_000)
    y = np.column_stack([rng.random(4_000) < honest, rng.random(4_000) < honest**3])
    proba = np.column_stack([honest, honest])
    rows = per_class(MultiLabel(), y.astype(int), proba, ["a", "b"])
    assert rows[0]["calibration_error"] < 0.03
    assert rows[1]["calibration_error"] == pytest.approx(0.25, abs=0.03)


def test_a_certain_mistake_costs_much_and_not_everything():
    found = scores(SingleLabel(), [1], [[1.0, 0.0]])
    assert found["log_loss"] == pytest.approx(36.04, abs=0.01)
    assert found["brier_score"] == 2.0
    found = scores(SingleLabel(), [0, 1], [[0.8, 0.2], [0.6, 0.4]])
    assert found["log_loss"] == pytest.approx(-(math.log(0.8) + math.log(0.4)) / 2)


def test_wilson_holds_the_truth_as_often_as_it_should():
    rng = np.random.default_rng(0)
    p, n = 0.85, 50
    ends = [wilson_interval(k, n) for k in range(n + 1)]
    held = [ends[k][0] <= p <= ends[k][1] for k in rng.binomial(n, p, 20_000)]
    assert 0.93 <= np.mean(held) <= 0.97
    # It narrows with the sample, and holds the fraction.
    widths = [np.diff(wilson_interval(9 * n, 10 * n))[0] for n in (1, 3, 10, 100)]
    assert widths == sorted(widths, reverse=True)
    for k, n in [(0, 3), (3, 3), (1, 2)]:
        low, high = wilson_interval(k, n)
        assert 0 <= low <= k / n <= high <= 1
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("args", "text"),
    [(args, "must be from 0 to n") for args in [(3, 2), (-1, 2), (math.nan, 2), (1, math.inf)]]
    + [((1, 2, level), "'level' parameter must be between 0 and 1") for level in (0, 1, 95)],
)
def test_wilson_refuses_what_is_impossible(args, text):
    with pytest.raises(UsageError, match=text):
        wilson_interval(*args)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: scores(SingleLabel(), [], np.empty((0, 2))), "one-dimensional array"),
        (lambda: scores(SingleLabel(), [0, -1], np.eye(2)), "leave out the unlabeled images"),
        (lambda: scores(SingleLabel(), [0], [[0.5, 0.6]]), "least value 0.5 and the sum 1.1"),
        (lambda: scores(SingleLabel(), [2], [[0.5, 0.5]]), "from 0 to 1. Got 2"),
        (lambda: scores(MultiLabel(), [[2, 0]], [[1, 0]]), "1 .present., 0 .absent."),
        (lambda: scores(MultiLabel(), [[-1, -1]], [[1, 0]]), "at least one label that is known"),
        (lambda: scores(MultiLabel(), [[1, 0]], [[0.5, np.nan]]), "'proba' parameter"),
        (lambda: confusion_matrix([0, 1], [0], 2), "'y_true' and 'y_pred' must describe"),
        (lambda: confusion_matrix([0, 3], [0, 1], 3), "'y_true' .* from 0 to 2. Got 3"),
        (lambda: confusion_matrix([0, 1], [0, 3], 3), "'y_pred' .* from 0 to 2. Got 3"),
    ],
)
def test_bad_input_is_named(call, text):
    with pytest.raises(UsageError, match=text):
        call()
