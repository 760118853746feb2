"""Fitted candidates are compared on the labels that all of them were tested on, and on no other."""

from types import SimpleNamespace

import numpy as np
import pytest

from fewlabel.data import MultiLabel, SingleLabel
from fewlabel.errors import UsageError
from fewlabel.evaluate import Problem, calibrate_apart, choose_fitted, label_folds

TASK = SingleLabel()


def make_problem(task=TASK, n=60, n_labeled=40):
    y = np.arange(n) % 3
    if not task.exclusive:
        y = (y[:, None] == np.arange(3)).astype(int)
    y = task.without(y, np.arange(n_labeled, n))
    folds = label_folds(task, y, None, 5, np.random.default_rng(0))
    return Problem(task, None, None, np.zeros((n, 2), np.float32), y, n_classes=3, folds=folds)


def candidate(name, problem, wrong=(), tested=None):
    """Return what was fitted: it is wrong about some images."""
    tested = np.arange(40) if tested is None else np.asarray(tested)
    right = np.eye(3)[tested % 3]
    right[np.isin(tested, wrong)] = np.roll(right[np.isin(tested, wrong)], 1, axis=1)
    return SimpleNamespace(name=name, tested=tested, oof_proba=0.9 * right + 0.1 / 3)


@pytest.mark.parametrize("task", [SingleLabel(), MultiLabel()])
def test_only_labels_that_all_were_tested_on_count(task):
    problem = make_problem(task)
    graph = candidate("graph", problem, wrong=range(20))
    network = candidate("network", problem, wrong=range(20, 24), tested=range(20, 40))
    baseline = candidate("supervised", problem, wrong=range(18, 30))
    found = choose_fitted(problem, [network, baseline, graph, graph])
    # Of all labels the graph has half wrong, of those that the network was tested on none.
    assert found.kept is graph
    assert found.baseline is baseline
    assert found.tested.tolist() == list(range(20, 40))
    assert {name: len(proba) for name, proba in found.oof_proba.items()} == {
        "network": 20, "supervised": 20, "graph": 20,
    }  # fmt: skip
    np.testing.assert_array_equal(found.y, problem.y[20:40])
    accuracy = {row.name: row.accuracy for row in found.choice.table}
    calibrated = found.calibrated("network")
    assert accuracy["network"] == task.correct(found.y, calibrated).mean() == 0.8
    expected = calibrate_apart(task, found.y, network.oof_proba, found.part)
    np.testing.assert_array_equal(calibrated, expected)
    assert len(np.unique(found.part)) == 5


def test_all_labels_are_calibrated_fold_by_fold_and_copies_together():
    problem = make_problem()
    both = [candidate("a", problem), candidate("b", problem, wrong=[3])]
    np.testing.assert_array_equal(choose_fitted(problem, both).part, problem.folds.number)
    groups = np.arange(60) // 2
    copies = Problem(**{**vars(problem), "groups": groups})
    some = choose_fitted(copies, [both[0], candidate("b", problem, tested=range(10, 30))])
    assert (some.part[::2] == some.part[1::2]).all()


def test_what_no_model_could_predict_is_left_out():
    problem = make_problem()
    problem.y[7] = 3
    folds = label_folds(SingleLabel(), problem.y, None, 5, np.random.default_rng(0))
    problem = Problem(**{**vars(problem), "folds": folds})
    found = choose_fitted(problem, [candidate("a", problem), candidate("b", problem, wrong=[7])])
    assert found.tested[found.unseen].tolist() == [7]
    assert [row.accuracy for row in found.choice.table] == [1, 1]


def test_where_nothing_was_tested_the_last_is_kept_or_what_was_asked_for():
    problem = make_problem()
    none = [candidate(name, problem, tested=np.empty(0, int)) for name in "ab"]
    found = choose_fitted(problem, none)
    assert (found.kept.name, found.choice.table) == ("b", ())
    assert found.calibration().to_dict() == SingleLabel().calibration().to_dict()
    assert choose_fitted(problem, none, asked="a").kept is none[0]
    with pytest.raises(UsageError, match="one of a"):
        choose_fitted(problem, [candidate("a", problem)], asked="b")
