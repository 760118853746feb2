"""What is accepted of what an ensemble predicts: agreement, confidence, thresholds by label."""

import numpy as np
import pytest

from fewlabel.data.task import MultiLabel, SingleLabel
from fewlabel.semisupervised.ensemble import (
    Thresholds,
    _accept_agreed,
    _choose_thresholds,
    _combine,
)

ONE, SEVERAL = SingleLabel(), MultiLabel()


def test_members_that_predict_the_same_do_not_disagree():
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.ones(4), 30)
    same = _combine(ONE, [proba, proba, proba])
    np.testing.assert_allclose(same.proba, proba)
    np.testing.assert_allclose(same.disagreement, 0, atol=1e-12)
    other = _combine(ONE, [proba, proba[::-1]])
    assert other.disagreement.mean() > 0.1
    # Two that contradict each other with certainty: one bit.
    sure = _combine(ONE, [np.array([[1.0, 0]]), np.array([[0.0, 1]])])
    assert sure.disagreement[0] == pytest.approx(np.log(2))
    assert sure.votes.tolist() == [[0.5, 0.5]]


def test_one_label_a_row_needs_votes_and_confidence():
    first = np.array([[0.95, 0.05], [0.95, 0.05], [0.45, 0.55], [0.05, 0.95]])
    second = np.array([[0.95, 0.05], [0.65, 0.35], [0.99, 0.01], [0.05, 0.95]])
    view = _combine(ONE, [first, second])
    sure = Thresholds(np.array([0.9, 0.96]), np.zeros(2))
    found = _accept_agreed(ONE, view, sure, 1)
    # Row 1 is not confident, row 2 not agreed, row 3 not confident enough for its class.
    assert found.rows.tolist() == [0]
    assert found.mask.all()
    np.testing.assert_allclose(found.targets, [[0.95, 0.05]])


def test_several_labels_are_accepted_one_by_one():
    first = np.array([[0.97, 0.01, 0.5], [0.6, 0.01, 0.02], [0.01, 0.02, 0.01]])
    view = _combine(SEVERAL, [first, first])
    sure = Thresholds(np.array([0.9, 0.9, 0.9]), np.array([0.1, 0.1, 0.1]))
    found = _accept_agreed(SEVERAL, view, sure, 1)
    # Row 1 has only absences, and not all: passed over. Row 2 is empty for sure.
    assert found.rows.tolist() == [0, 2]
    assert found.mask.tolist() == [[True, True, False], [True, True, True]]
    assert found.present.tolist() == [[True, False, False], [False, False, False]]
    # Absence needs agreement too.
    view = _combine(SEVERAL, [np.array([[0.95, 0.55]]), np.array([[0.95, 0.0]])])
    sure = Thresholds(np.full(2, 0.9), np.full(2, 0.4))
    for agreement, mask in ((1, [True, False]), (0.5, [True, True])):
        assert _accept_agreed(SEVERAL, view, sure, agreement).mask.tolist() == [mask]


def test_thresholds_reach_the_precision_asked_for_label_by_label():
    rng = np.random.default_rng(0)
    proba = rng.random((4_000, 2))
    # The first label is predicted well; the second is there only half as often as predicted.
    targets = rng.random((4_000, 2)) < proba * [1, 0.5]
    known = np.ones(targets.shape, bool)
    found = _choose_thresholds(SEVERAL, proba, targets, known, precision=0.9)
    above = proba[:, 0] >= found.positive[0]
    assert targets[above, 0].mean() >= 0.9
    assert 0.75 < found.positive[0] < 0.9
    assert found.positive[1] == 0.99
    below = proba[:, 0] <= found.negative[0]
    assert targets[below, 0].mean() <= 0.1 * targets[:, 0].mean() + 1e-9
    # A lower precision lets more through.
    loose = _choose_thresholds(SEVERAL, proba, targets, known, precision=0.7)
    assert loose.positive[0] < found.positive[0]
    assert loose.negative[0] > found.negative[0]
    # Three known rows choose nothing: careful thresholds.
    known[3:] = False
    found = _choose_thresholds(SEVERAL, proba, targets, known, precision=0.9)
    assert (found.positive[0], found.negative[0]) == (0.9, 0.05)
