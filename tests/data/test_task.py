"""The functions that differ between one label an image and several."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewlabel.data import MultiLabel, SingleLabel, task_of
from fewlabel.data.task import TASKS
from fewlabel.errors import UsageError

SINGLE, MULTI = SingleLabel(), MultiLabel()
CASES = {
    "single": (SINGLE, np.array([0, 2, -1, 1]), 3),
    "multi": (MULTI, np.array([[1, 0, 1], [0, 0, 0], [-1, -1, -1], [1, -1, 0]], np.int8), 3),
}


@pytest.fixture(params=CASES, name="case")
def fixture_case(request):
    return CASES[request.param]


@pytest.fixture(name="proba")
def fixture_proba(case):
    rows = np.random.default_rng(0).random((4, 3))
    return rows / rows.sum(axis=1, keepdims=True) if case[0] == SINGLE else rows


def test_the_form_of_the_labels_says_which_task_it_is(case):
    task, y, _ = case
    assert task_of(y) == task
    assert TASKS[task.name] == task
    assert hash(task) == hash(type(task)())
    assert SINGLE != MULTI


def test_names_are_those_that_stand_in_a_cell():
    for names in ((), ("cat",), ("cat", "dog"), ("cat", "?dog"), ("?cat",)):
        assert MULTI.names(MULTI.cell(names)) == names
        MULTI.check_names(names)
    assert SINGLE.names(SINGLE.cell(("cat|dog",))) == ("cat|dog",)
    SINGLE.check_names(("cat",))
    for names in ((), ("cat", "dog")):
        with pytest.raises(UsageError, match=f"one label here. Got {len(names)} instead"):
            SINGLE.check_names(names)


def test_rows_of_classes_alone_are_rescaled(case):
    task, _, n_classes = case
    rows = np.full((2, n_classes), 0.5)
    assert task.rescale(rows).sum() == pytest.approx(2.0 if task == SINGLE else 3.0)
    assert task.min_classes == (2 if task == SINGLE else 1)


def test_labeled_rows_can_be_taken_away(case):
    task, y, n_classes = case
    assert task.labeled(y).tolist() == [0, 1, 3]
    assert task.labeled(task.without(y, np.array([0]))).tolist() == [1, 3]
    assert not len(task.labeled(task.empty(4, n_classes)))
    assert task.empty(4, n_classes).shape == y.shape


def test_what_is_predicted_from_the_labels_themselves_is_right(case):
    task, y, n_classes = case
    present, known = task.evidence(y, n_classes)
    assert known.any(axis=1).tolist() == [True, True, False, True]
    assert task.correct(y, present.astype(float)).all()
    np.testing.assert_array_equal(task.decided(present)[known], present[known] == 1)
    labeled = task.labeled(y)
    assert task.loss(y[labeled], present[labeled].astype(float)).max() < 1e-4


def test_given_labels_are_certain(case, proba):
    task, y, n_classes = case
    kept = task.keep_given(proba, y)
    present, known = task.evidence(y, n_classes)
    np.testing.assert_array_equal(kept[known], present[known])
    np.testing.assert_array_equal(kept[2], proba[2])


def test_a_prediction_combined_with_itself_stays(case, proba):
    np.testing.assert_allclose(case[0].combine(proba, proba), proba, atol=1e-9)


def test_probabilities_of_logits_are_calibrated_by_the_identity(case):
    task, _, _ = case
    proba = task.activate(np.random.default_rng(1).normal(size=(5, 3)))
    np.testing.assert_allclose(task.calibration().apply(proba), proba, atol=1e-9)
    fitted = task.calibrate(task.predict(proba), proba)
    assert type(fitted)(**fitted.to_dict()) == fitted == task.calibration(fitted.to_dict())


def test_confidence_and_entropy():
    even = np.array([[0.5, 0.5]])
    assert SINGLE.confidence(even).tolist() == [0.5]
    assert MULTI.confidence(even).tolist() == [0.25]
    assert SINGLE.entropy(even)[0] == pytest.approx(np.log(2))
    assert MULTI.entropy(even)[0] == pytest.approx(2 * np.log(2))


def test_what_does_not_fit_together_is_refused(case, proba):
    task, y, _ = case
    labeled = task.labeled(y)
    checked, rows = task.check(y[labeled], proba[labeled])
    assert checked.dtype == np.int64
    assert rows.dtype == np.float64
    with pytest.raises(UsageError, match="'proba' parameter must"):
        task.check(y[labeled], proba[labeled] + np.nan)


@given(st.lists(st.integers(-1, 4), min_size=1, max_size=20).filter(lambda y: max(y) >= 0))
def test_one_label_is_right_where_the_most_probable_class_is_it(codes):
    y = np.array(codes)
    proba = np.random.default_rng(2).dirichlet(np.ones(5), len(y))
    assert SINGLE.correct(y, proba).tolist() == ((proba.argmax(1) == y) | (y < 0)).tolist()


def test_folds_of_several_labels_are_dealt_by_the_rarest_label():
    assert MULTI.stratify(np.array([[1, 1], [1, 0], [0, 0], [-1, -1]])).tolist() == [1, 0, 2, -1]


@pytest.mark.parametrize("values", [[1, -1], [1.0, np.nan], [True, None]])
def test_a_table_without_an_absent_label_is_warned_of(values):
    with pytest.warns(UserWarning, match="To Example, -1 means not known"):
        _, table = MultiLabel().encode([values, values[::-1]], 2, "Example")
    assert table.tolist() == [[1, -1], [-1, 1]]
