"""Estimates by hand and by simulation: intervals hold the truth as often as they say."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from fewlabel.data import MultiLabel, SingleLabel
from fewlabel.errors import UsageError
from fewlabel.evaluate import audit_estimate, estimate_accuracy, wilson_interval


def test_a_random_sample_gets_wilson():
    estimate = estimate_accuracy([1] * 17 + [0] * 3, is_random_sample=True)
    assert estimate.value == 0.85
    assert (estimate.low, estimate.high) == pytest.approx(wilson_interval(17, 20))
    assert (estimate.n, estimate.n_unseen, estimate.method) == (20, 0, "wilson")
    assert estimate.note == ""


def test_chosen_images_carry_the_warning():
    estimate = estimate_accuracy([True, False])
    assert not estimate.is_random_sample
    assert "not a random sample" in estimate.note
    assert "audit" in estimate.note


def test_weights_give_the_weighted_share_and_the_effective_size():
    estimate = estimate_accuracy([1, 1, 0], weights=[6, 3, 1])
    n_effective = 100 / (36 + 9 + 1)
    assert estimate.value == pytest.approx(0.9)
    assert (estimate.low, estimate.high) == pytest.approx(
        wilson_interval(0.9 * n_effective, n_effective)
    )
    assert estimate.method == "weighted-wilson"
    assert estimate.n == 3


def test_equal_weights_of_any_size_change_nothing():
    plain = estimate_accuracy([1, 1, 0, 1])
    weighted = estimate_accuracy([1, 1, 0, 1], weights=[250.0] * 4)
    assert (weighted.value, weighted.low, weighted.high) == pytest.approx(
        (plain.value, plain.low, plain.high)
    )


def test_labels_that_cannot_be_tested_widen_the_interval_both_ways():
    correct = np.array([1] * 8 + [0] * 2 + [0] * 5)
    unseen = np.arange(15) >= 10
    estimate = estimate_accuracy(correct, unseen=unseen)
    assert estimate.value == 0.8
    assert estimate.low == pytest.approx(wilson_interval(8, 15)[0])
    assert estimate.high == pytest.approx(wilson_interval(13, 15)[1])
    assert (estimate.n, estimate.n_unseen) == (10, 5)
    assert "5 labeled images have no other label of the same class" in estimate.note
    # Whether such an image came out right by chance must not matter.
    lucky = estimate_accuracy(np.where(unseen, 1, correct), unseen=unseen)
    assert lucky == estimate


def test_nothing_that_can_be_tested_says_so():
    estimate = estimate_accuracy([0, 0, 1], unseen=[True] * 3)
    assert math.isnan(estimate.value)
    assert estimate.low == 0
    assert estimate.high == 1
    assert json.loads(json.dumps(estimate.to_dict(), allow_nan=False))["value"] is None


def test_one_untestable_label_is_said_in_the_singular():
    note = estimate_accuracy([1, 0], unseen=[False, True]).note
    assert "1 labeled image has no other label" in note


def test_a_weighted_interval_holds_the_truth_as_often_as_it_says():
    # Clusters of very different sizes, right with a chance of their own, drawn at random.
    rng = np.random.default_rng(0)
    sizes = rng.pareto(3.0, 4000) + 0.2
    chance = rng.beta(8, 2, 4000)
    truth = np.average(chance, weights=sizes)
    held = []
    for _ in range(1000):
        drawn = rng.choice(4000, 80, replace=False)
        correct = rng.random(80) < chance[drawn]
        estimate = estimate_accuracy(correct, weights=sizes[drawn])
        held.append(estimate.low <= truth <= estimate.high)
    assert np.mean(held) >= 0.92


def test_an_audit_is_a_random_sample():
    estimate = audit_estimate(SingleLabel(), [0, 1, 2, 2], np.eye(3)[[0, 1, 2, 0]])
    assert estimate.value == 0.75
    assert estimate.is_random_sample
    assert estimate.note == ""


def test_an_audit_with_blanks_counts_the_answers_and_says_so():
    estimate = audit_estimate(SingleLabel(), [0, -1, 1, -1], np.eye(2)[[0, 0, 0, 1]])
    assert (estimate.value, estimate.n) == (0.5, 2)
    assert "2 of 4 audited images were left blank" in estimate.note


def test_an_audit_of_several_labels_counts_exact_matches():
    y = np.array([[1, 0], [1, -1], [0, 1], [-1, -1]])
    estimate = audit_estimate(MultiLabel(), y, np.tile([0.9, 0.1], (4, 1)))
    assert (estimate.value, estimate.n) == (pytest.approx(2 / 3), 3)
    assert "1 of 4 audited images" in estimate.note


def test_the_level_widens_the_interval():
    wide, narrow = (estimate_accuracy([1, 0, 1, 1], level=level) for level in (0.99, 0.8))
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: estimate_accuracy([]), "'correct' parameter must be"),
        (lambda: estimate_accuracy([0.5]), "True and False"),
        (lambda: estimate_accuracy([1, 0], weights=[1]), "'weights' parameter must hold 2"),
        (lambda: estimate_accuracy([1, 0], weights=[1, -1]), "least value -1"),
        (lambda: estimate_accuracy([1, 0], weights=[1, np.nan]), "finite numbers above 0"),
        (lambda: estimate_accuracy([1, 0], unseen=[True]), "'correct' and 'unseen' must"),
        (lambda: estimate_accuracy([1], weights=[1], is_random_sample=True), "must be None for"),
        (lambda: estimate_accuracy([1], level=95), "'level' parameter must be between"),
        (lambda: audit_estimate(SingleLabel(), [-1], [[0, 1]]), "fill in the labels of the audit"),
        (lambda: audit_estimate(SingleLabel(), ["cat"], [[0, 1]]), "at least one audited image"),
        (lambda: audit_estimate(SingleLabel(), [0, 1], [[0, 1]]), "'y' and 'proba' must describe"),
    ],
)
def test_bad_input_is_named(call, text):
    with pytest.raises(UsageError, match=text):
        call()
