"""Which predictions become pseudo-labels."""

import numpy as np
import pytest

from fewlabel.data.task import MultiLabel, SingleLabel
from fewlabel.semisupervised.acceptance import (
    AcceptanceRule,
    AgreementRule,
    _adaptive,
    _has_collapsed,
)

ONE, SEVERAL = SingleLabel(), MultiLabel()
PROBA = np.array([[0.9, 0.1], [0.15, 0.85], [0.6, 0.4], [0.3, 0.7]])
EVEN = np.array([0, 1])
PLAIN = AcceptanceRule("threshold", threshold=0.8, k=2, fraction=0.25, align=False)


def test_adaptive_thresholds_are_lower_for_classes_that_get_less_probability():
    # The mean confidence, 0.6875, for the first class, and 0.5347 for the second.
    proba = np.array([[0.9, 0.1], [0.6, 0.4], [0.45, 0.55], [0.3, 0.7]])
    accepted = _adaptive(proba, ONE.decided(proba))
    assert accepted.any(axis=1).tolist() == [True, False, True, True]
    assert _adaptive(proba[:0], proba[:0] > 0.5).shape == (0, 2)


@pytest.mark.parametrize(
    ("changes", "number", "expected"),
    [
        ({}, 1, [0, 1]),
        # The border is included.
        ({"threshold": 0.85}, 1, [0, 1]),
        ({"threshold": 0.86}, 1, [0]),
        ({"selection": "top-k", "k": 1}, 1, [0, 1]),
        ({"selection": "top-k", "k": 1}, 2, [0, 1, 2, 3]),
        ({"selection": "curriculum"}, 1, [0]),
        ({"selection": "curriculum"}, 3, [0, 1, 3]),
        ({"selection": "curriculum", "fraction": 0.0}, 1, []),
        ({"selection": "curriculum"}, 9, [0, 1, 2, 3]),
        ({"selection": "adaptive"}, 1, [0, 1]),
    ],
)
def test_each_selection_accepts_its_rows(changes, number, expected):
    rule = AcceptanceRule(**vars(PLAIN) | changes)
    found = rule.accept(ONE, PROBA, EVEN, number)
    assert found.rows.tolist() == expected
    assert found.mask.all()


@pytest.mark.parametrize(("soft", "targets"), [(False, np.eye(2)), (True, PROBA[:2])])
def test_targets_are_hard_or_soft_and_confidence_is_that_of_the_prediction(soft, targets):
    found = AcceptanceRule(**vars(PLAIN) | {"soft": soft}).accept(ONE, PROBA, EVEN, 1)
    np.testing.assert_allclose(found.targets, targets, rtol=1e-6)
    entered = [part.tolist() for part in found.at(np.array([5, 6, 7, 8])).entries()]
    assert entered == [[5, 6], [0, 1], [0.9, 0.85]]


@pytest.mark.parametrize("task", [ONE, SEVERAL])
def test_aligned_predictions_move_towards_the_labels(task):
    proba = np.random.default_rng(0).dirichlet([0.3, 0.5, 0.8], size=200)
    y = np.repeat([0, 1, 2], [50, 30, 20])
    aligned = task.align(proba, y if task == ONE else np.eye(3, dtype=int)[y])
    before, after = (np.abs(p.mean(0) - [0.5, 0.3, 0.2]).sum() for p in (proba, aligned))
    assert after < before / 2
    assert ((aligned >= 0) & (aligned <= 1)).all()


@pytest.mark.parametrize(("align", "target"), [(False, [1, 0]), (True, [0, 1])])
def test_alignment_may_change_the_class(align, target):
    skewed = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]])
    rule = AcceptanceRule("curriculum", fraction=1.0, align=align)
    assert rule.accept(ONE, skewed, EVEN, 1).targets[2].tolist() == target


def test_several_labels_are_accepted_one_by_one():
    proba = np.array([[0.95, 0.5, 0.02], [0.6, 0.04, 0.02], [0.05, 0.1, 0.02]])
    rule = AcceptanceRule("threshold", threshold=0.9, align=False)
    found = rule.accept(SEVERAL, proba, np.eye(3, dtype=int), 1)
    # Row 1 has only absences, and not of all labels; row 2 is empty for sure.
    assert found.rows.tolist() == [0, 2]
    assert found.mask.tolist() == [[True, False, True], [True, True, True]]
    assert found.present.tolist() == [[True, False, False], [False, False, False]]
    assert [part.tolist() for part in found.entries()] == [[0], [0], [0.95]]


VOTES = np.array(
    [
        [0.97, 0.10, 0.20],  # one expert alone
        [0.97, 0.60, 0.20],  # two vote for it
        [0.70, 0.10, 0.20],  # not confident enough
        [0.10, 0.20, 0.95],  # the network predicts another class
        [0.40, 0.30, 0.20],  # nobody votes for it
    ]
)
NETWORK = np.eye(3)[[0, 0, 0, 1, 0]]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (AgreementRule("veto"), [True, False, False, True, False]),
        (AgreementRule("vote"), [True, False, False, False, False]),
        (AgreementRule("margin", margin=0.3), [True, True, False, True, False]),
        (AgreementRule("margin", margin=0.8), [False, False, False, False, False]),
        (AgreementRule("veto", threshold=0.6), [True, False, True, True, False]),
    ],
)
def test_experts_agree_by_a_rule(rule, expected):
    accepted, codes, confidence = rule.accept(VOTES, NETWORK)
    assert accepted.tolist() == expected
    assert codes.tolist() == [0, 0, 0, 2, 0]
    np.testing.assert_array_equal(confidence, VOTES.max(axis=1))


def test_a_collapse_is_one_class_that_is_not_so_common_among_the_labels():
    one = np.eye(10, dtype=bool)[np.zeros(200, dtype=int)]
    assert _has_collapsed(one, np.full(10, 0.1))
    assert not _has_collapsed(one, np.array([0.97] + 9 * [0.03 / 9]))
    assert not _has_collapsed(one[:5], np.full(10, 0.1))
    assert not _has_collapsed(np.eye(10, dtype=bool)[np.arange(200) % 2], np.full(10, 0.1))
