import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score

from fewlabel.errors import UsageError
from fewlabel.graph import FewLabelClassifier, GraphPropagation
from fewlabel.model_selection import LabeledKFold, labeled_scorer

GRAPH = GraphPropagation()


@pytest.fixture(scope="module")
def table():
    X, truth = load_digits(return_X_y=True)
    return X[:240], np.where(np.arange(240) % 4 == 0, truth[:240], -1)


def test_every_label_is_tested_once_and_unlabeled_rows_are_always_trained_on(table):
    X, y = table
    groups = np.arange(240) // 2
    tested = []
    for train, test in LabeledKFold(4).split(X, y, groups):
        assert (y[test] >= 0).all()
        assert not set(groups[train]) & set(groups[test])
        assert len(train) == 240 - 2 * len(test)
        tested += test.tolist()
    assert sorted(tested) == np.flatnonzero(y >= 0).tolist()


@pytest.mark.parametrize("form", [lambda y: y, lambda y: np.where(y < 0, "", y.astype(str))])
def test_cross_validation_and_search_count_labels_alone(table, form):
    X, y = table[0], form(table[1])
    settings = {"cv": LabeledKFold(3), "scoring": labeled_scorer("f1_macro")}
    assert cross_val_score(GRAPH, X, y, **settings).min() > 0.7
    found = GridSearchCV(GRAPH, {"n_neighbors": [2, 10]}, **settings).fit(X, y)
    assert found.best_score_ > 0.7
    # The folds alone are enough for a plain measure, and the scorer alone for plain folds.
    assert cross_val_score(GRAPH, X, y, cv=LabeledKFold(3), scoring="accuracy").min() > 0.7
    folds = StratifiedKFold(2)
    assert cross_val_score(GRAPH, X, y, cv=folds, scoring=labeled_scorer()).min() > 0.7


def test_several_labels_count_where_all_are_known():
    y = np.array([[1, 0], [0, 1], [1, -1], [1, 1], [0, 0], [-1, -1], [1, 0], [0, 1]])
    tested = np.concatenate([test for _, test in LabeledKFold(3).split(y, y)])
    assert sorted(tested) == [0, 1, 2, 3, 4, 6, 7]

    counted = []
    scorer = labeled_scorer(lambda estimator, X, y: counted.append(len(y)) or 1.0)
    assert scorer(None, y, y) == 1.0
    assert counted == [6]


@pytest.mark.parametrize("scoring", ["accuracy", ["accuracy", "f1_macro"]])
def test_plain_folds_with_a_plain_measure_are_warned_of(table, scoring):
    X, y = table
    for estimator in (GRAPH, FewLabelClassifier(method="graph", alphas=(0.9,))):
        with pytest.warns(UserWarning, match=r"counts them as wrong: use cv=LabeledKFold\(\)"):
            GridSearchCV(estimator, {}, cv=2, scoring=scoring, refit=False).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Its own score leaves them out.
        cross_val_score(GRAPH, X, y, cv=2)


def test_too_few_labels_for_the_folds():
    y = [0, 1, 0, -1, -1]
    with pytest.raises(UsageError, match="3 different rows are labeled, too few for 4 folds"):
        list(LabeledKFold(4).split(y, y))
    assert np.isnan(labeled_scorer()(GRAPH, [[1], [2]], [-1, -1]))
