"""Measures of several labels an image, some of which are not known."""

import numpy as np
import pytest
import sklearn.metrics

from fewlabel.errors import UsageError
from fewlabel.evaluate import (
    average_precisions,
    exact_match,
    label_calibration_errors,
    mean_average_precision,
    multilabel_f1,
    multilabel_scores,
)


@pytest.fixture
def tables():
    rng = np.random.default_rng(0)
    truth = (rng.random((60, 5)) < 0.3).astype(int)
    proba = np.clip(0.6 * truth + 0.4 * rng.random((60, 5)), 0, 1)
    proba[:10] = rng.random((10, 5))
    return truth, proba, (proba >= 0.5).astype(int)


def test_where_all_is_known_they_are_scikit_learns(tables):
    truth, proba, predicted = tables
    assert exact_match(truth, predicted) == sklearn.metrics.accuracy_score(truth, predicted)
    assert mean_average_precision(truth, proba) == pytest.approx(
        sklearn.metrics.average_precision_score(truth, proba)
    )
    for average in ("micro", "macro"):
        assert multilabel_f1(truth, predicted, average) == pytest.approx(
            sklearn.metrics.f1_score(truth, predicted, average=average)
        )


def test_unknown_entries_count_for_nothing(tables):
    truth, proba, predicted = tables
    holes = np.random.default_rng(1).random(truth.shape) < 0.4
    holes[3] = True
    known = np.where(holes, -1, truth)
    # Whatever is said of them.
    other = np.where(holes, 1 - predicted, predicted)
    wild = np.where(holes, 1 - proba, proba)
    assert multilabel_scores(known, predicted, proba) == multilabel_scores(known, other, wild)
    assert exact_match(known, predicted) > exact_match(truth, predicted)


def test_labels_that_do_not_occur_are_left_out():
    truth = np.array([[1, 0, -1], [0, 0, -1], [1, 0, -1]])
    proba = np.array([[0.9, 0.1, 0.5], [0.2, 0.1, 0.5], [0.3, 0.2, 0.5]])
    assert np.isnan(average_precisions(truth, proba)).tolist() == [False, True, True]
    assert mean_average_precision(truth, proba) == 1
    assert np.isnan(label_calibration_errors(truth, proba)).tolist() == [False, False, True]
    assert multilabel_f1(truth, (proba > 0.25).astype(int) * [1, 0, 1], "macro") == 1


def test_calibration_is_told_label_by_label():
    rng = np.random.default_rng(0)
    honest = rng.random(4_000)
    truth = np.column_stack([rng.random(4_000) < honest, rng.random(4_000) < honest**3])
    errors = label_calibration_errors(truth.astype(int), np.column_stack([honest, honest]))
    assert errors[0] < 0.03
    assert errors[1] == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: exact_match([1, 0], [1, 0]), r"table of shape \(images, labels\)"),
        (lambda: exact_match([[2, 0]], [[1, 0]]), "1 .present., 0 .absent."),
        (lambda: exact_match([[-1, -1]], [[1, 0]]), "all are -1"),
        (lambda: exact_match([[1, 0]], [[1]]), "'y_pred' parameter"),
        (lambda: exact_match([[1, 0]], [[1, -1]]), "'y_pred' parameter"),
        (lambda: mean_average_precision([[1, 0]], [[0.5, 1.5]]), "'proba' parameter"),
        (lambda: mean_average_precision([[1, 0]], [[0.5, np.nan]]), "'proba' parameter"),
        (lambda: multilabel_f1([[1, 0]], [[1, 0]], "samples"), "one of micro, macro"),
    ],
)
def test_tables_that_do_not_fit_are_refused(call, message):
    with pytest.raises(UsageError, match=message):
        call()
