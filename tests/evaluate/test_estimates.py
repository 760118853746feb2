"""Estimates by hand and by simulation: intervals hold the truth as often as they say."""

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
    assert "None of the labeled images is known to be drawn at random" in estimate.note


def test_the_level_widens_the_interval():
    wide, narrow = (estimate_accuracy([1, 0, 1, 1], level=level) for level in (0.99, 0.8))
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: estimate_accuracy([]), "'correct' parameter must be"),
        (lambda: estimate_accuracy([0.5]), "True and False"),
        (lambda: estimate_accuracy([1], level=95), "'level' parameter must be between"),
    ],
)
def test_bad_input_is_named(call, text):
    with pytest.raises(UsageError, match=text):
        call()
