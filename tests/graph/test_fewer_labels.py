"""The points of a learning curve are what refitting with fewer labels gives."""

import numpy as np
import pytest

from fewlabel.data import SingleLabel
from fewlabel.errors import UsageError
from fewlabel.evaluate import label_folds
from fewlabel.graph import FewLabelClassifier, fewer_labels
from fewlabel.graph.fewer_labels import _measure_fewer_labels

# The last two are for one label a row.
METHODS = ("graph", "blend", "supervised", "propagated", "refined")


def problem(n=150, n_labeled=60, n_classes=3, seed=0, overlap=2.0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(n_classes, size=n)
    X = rng.normal(size=(n, 6)) + overlap * np.eye(n_classes, 6)[truth]
    y = np.full(n, -1)
    y[:n_labeled] = truth[:n_labeled]
    return X.astype(np.float32), y


def test_each_size_is_what_refitting_on_these_labels_alone_gives(monkeypatch):
    X, y = problem()
    model = FewLabelClassifier(method="graph", random_state=0, alphas=(0.9,)).fit(X, y)
    monkeypatch.setattr(model.main_.shared, "best", lambda proba, **options: "0.9 uniform")
    points = _measure_fewer_labels(model.main_)
    graph = model.main_.shared.graph
    right = np.zeros(60)
    part = fewer_labels._deal_folds(model.main_.shared.y[:60], model.folds_.number)
    parts = [model.folds_.labeled[part == k] for k in range(10)]
    for start in range(10):
        train = np.concatenate([parts[(start + i) % 10] for i in range(4)])
        held = np.setdiff1d(model.folds_.labeled, train)
        few = np.full(len(y), -1)
        few[train] = y[train]
        few_folds = label_folds(SingleLabel(), few, None, 2, np.random.default_rng(0))
        alone = graph.solve(SingleLabel(), few, few_folds, 3, 0.9)
        right[held] += alone.full("uniform").argmax(axis=1)[held] == y[held]
    assert points.n_labeled.tolist() == [6, 12, 24, 57]
    # The solver stops at a tolerance, so a prediction on the brink may differ.
    assert np.abs(points.right[:, 2] - right / 6).mean() < 0.02


@pytest.mark.parametrize("method", METHODS)
def test_labels_that_mean_nothing_are_not_predicted(method):
    """No model is tested on a label that it was trained on."""
    right = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(400, 5)).astype(np.float32)
        y = np.full(400, -1)
        y[:300] = rng.integers(2, size=300)
        model = FewLabelClassifier(method=method, random_state=0).fit(X, y)
        right.append(_measure_fewer_labels(model.main_).right.mean(axis=0))
    assert np.abs(np.mean(right, axis=0) - 0.5).max() < 0.06


@pytest.mark.parametrize(
    ("method", "several"),
    [*((m, False) for m in METHODS), *((m, True) for m in METHODS[:-2])],
)
def test_more_labels_do_better_and_the_last_size_is_that_of_the_fit(method, several):
    X, y = problem(n=400, n_labeled=150, n_classes=5, overlap=2.5)
    if several:
        rng = np.random.default_rng(0)
        truth = (rng.random((400, 3)) < 0.4).astype(int)
        X = rng.normal(size=(400, 8)) + 2 * truth @ np.eye(3, 8)
        y = np.where(np.arange(400)[:, None] < 150, truth, -1)
    model = FewLabelClassifier(method=method, random_state=0).fit(X, y)
    points = _measure_fewer_labels(model.main_)
    assert points.n_labeled[-1] == pytest.approx(142.5)
    assert (np.diff(points.n_labeled) > 0).all()
    assert points.right.shape == (150, len(points.n_labeled))
    accuracy = points.right.mean(axis=0)
    assert accuracy[-1] > accuracy[0]
    expected = model.task_.correct(y[:150], model.cross_fitted_)
    np.testing.assert_array_equal(points.right[:, -1], expected)
    again = _measure_fewer_labels(model.main_)
    np.testing.assert_array_equal(again.right, points.right)


def test_leave_one_out_is_dealt_into_parts_and_copies_stay_together():
    X, y = problem(n=80, n_labeled=24)
    X[1], y[1] = X[0], y[0]
    groups = np.arange(80)
    groups[1] = 0
    model = FewLabelClassifier(random_state=0).fit(X, y, groups=groups)
    assert len(model.folds_.folds) == 23
    study = fewer_labels._Study(model.main_)
    assert study.n_parts == 10
    assert study.part_of[0] == study.part_of[1]
    assert np.bincount(study.part_of).max() <= 4
    assert study.sizes() == [1, 2, 4, 9]
    assert _measure_fewer_labels(model.main_).n_labeled[-1] == pytest.approx(24 * 22 / 23)


def test_a_label_alone_in_its_class_is_not_tested():
    X, y = problem()
    y[5] = 3
    model = FewLabelClassifier(random_state=0).fit(X, y)
    points = _measure_fewer_labels(model.main_)
    assert 5 not in points.tested
    assert len(points.right) == len(points.tested) == 59


def test_without_folds_there_is_nothing_to_measure():
    model = FewLabelClassifier().fit(np.eye(3, 2), [0, 1, -1], groups=[0, 0, 1])
    with pytest.raises(UsageError, match="at least two different images"):
        _measure_fewer_labels(model.main_)
