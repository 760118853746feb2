"""The choice between methods, and honest probabilities, for several labels an image."""

import numpy as np
import pytest

from fewlabel.errors import UsageError
from fewlabel.evaluate import (
    LabelScaling,
    choose_label_candidate,
    exactly_right,
    expected_calibration_error,
    fit_scaling,
    scale_apart,
)


def problem(n=400, k=4, seed=0, sure=1.0, shift=0.0):
    """Labels, and probabilities that are off by a scale and a shift."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(-1, 2, (n, k))
    truth = (rng.random((n, k)) < 1 / (1 + np.exp(-odds))).astype(int)
    return truth, 1 / (1 + np.exp(-(sure * odds + shift)))


@pytest.mark.parametrize(("sure", "shift"), [(3.0, 0.0), (0.4, 0.0), (1.0, 2.0), (2.0, -1.0)])
def test_scaling_undoes_what_is_off(sure, shift):
    truth, proba = problem(n=2000, sure=sure, shift=shift)
    scaling = fit_scaling(truth[:1000], proba[:1000])
    before = expected_calibration_error(truth[1000:].ravel() == 1, proba[1000:].ravel())
    after = scaling.apply(proba[1000:]).ravel()
    assert expected_calibration_error(truth[1000:].ravel() == 1, after) < min(before, 0.03)
    assert scaling.scale == pytest.approx(1 / sure, rel=0.15)


def test_entries_that_are_not_known_do_not_count():
    truth, proba = problem()
    masked = truth.copy()
    masked[:, 1] = -1
    others = np.delete(proba, 1, axis=1), np.delete(truth, 1, axis=1)
    assert fit_scaling(masked, proba) == fit_scaling(others[1], others[0])


def test_few_labels_leave_probabilities_near_what_they_were():
    scaling = fit_scaling([[1, 0]], [[0.9, 0.1]])
    assert 0.5 < scaling.scale < 3
    assert abs(scaling.shift) < 0.5
    assert LabelScaling().apply([[0.3]])[0, 0] == pytest.approx(0.3)


def test_the_best_exact_match_is_chosen():
    truth, good = problem(sure=4.0)
    rng = np.random.default_rng(1)
    choice = choose_label_candidate({"noise": rng.random(good.shape), "good": good}, truth)
    assert choice.name == "good"
    table = {row.name: row for row in choice.table}
    assert table["good"].chosen
    assert table["good"].accuracy > table["noise"].accuracy
    assert "less accurate than good" in table["noise"].why


def test_among_equals_the_preferred_one_wins():
    truth, proba = problem()
    both = {"first": proba, "second": proba.copy()}
    assert choose_label_candidate(both, truth, prefer=("second",)).name == "second"
    assert choose_label_candidate(both, truth).name == "first"


def test_images_that_nothing_could_predict_are_left_out():
    truth, good = problem(sure=5.0)
    wrong = 1 - good
    unseen = np.arange(len(truth)) < 300
    mixed = np.where(unseen[:, None], wrong, good)
    choice = choose_label_candidate({"mixed": mixed, "wrong": wrong}, truth, unseen=unseen)
    assert choice.name == "mixed"
    alone = choose_label_candidate({"mixed": mixed}, truth, unseen=np.ones(400, dtype=bool))
    assert alone.name == "mixed"


def test_each_part_is_scaled_by_the_others():
    truth, proba = problem()
    parts = np.arange(len(truth)) % 4
    choice = choose_label_candidate({"graph": proba}, truth, parts=parts)
    apart = scale_apart(truth, proba, parts)
    assert choice.table[0].accuracy == exactly_right(truth, (apart >= 0.5).astype(int)).mean()
    unseen = np.arange(len(truth)) < 100
    rest = choose_label_candidate({"graph": proba}, truth, parts=parts, unseen=unseen)
    right = exactly_right(truth, (apart >= 0.5).astype(int))[~unseen]
    assert rest.table[0].accuracy == right.mean()


def test_no_candidates_is_an_error():
    with pytest.raises(UsageError, match="at least one candidate"):
        choose_label_candidate({}, np.zeros((2, 2)))
