"""Estimates by hand and by simulation: intervals hold the truth as often as they say."""

import json
import math

import numpy as np
import pytest

from fewlabel.errors import UsageError
from fewlabel.evaluate import estimate_accuracy, wilson_interval


def test_a_random_sample_gets_wilson():
    estimate = estimate_accuracy([1] * 17 + [0] * 3, is_random_sample=True)
    assert estimate.value == 0.85
    assert (estimate.low, estimate.high) == pytest.approx(wilson_interval(17, 20))
    assert (estimate.n, estimate.n_unseen, estimate.method) == (20, 0, "wilson")
    assert estimate.note == ""
    # Images that were chosen carry a warning.
    estimate = estimate_accuracy([True, False])
    assert not estimate.is_random_sample
    assert "not a random sample" in estimate.note


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


def test_the_level_widens_the_interval():
    wide, narrow = (estimate_accuracy([1, 0, 1, 1], level=level) for level in (0.99, 0.8))
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: estimate_accuracy([]), "'correct' parameter must be"),
        (lambda: estimate_accuracy([0.5]), "True and False"),
        (lambda: estimate_accuracy([1, 0], unseen=[True]), "'correct' and 'unseen' must"),
        (lambda: estimate_accuracy([1], level=95), "'level' parameter must be between"),
    ],
)
def test_bad_input_is_named(call, text):
    with pytest.raises(UsageError, match=text):
        call()
