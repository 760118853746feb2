"""What every measure refuses before it starts."""

import numpy as np
import pytest

from fewlabel.data.checks import (
    _check_codes,
    _check_correct,
    _check_proba,
    _check_same_length,
    _check_table,
    _unlearnable_labels,
    _warn_of_unlearnable,
)
from fewlabel.errors import UsageError


@pytest.mark.parametrize(
    ("check", "given", "message"),
    [
        *[(_check_codes, (y, "y"), "array of whole numbers, at") for y in ([], [0.5], [[0]])],
        (_check_codes, ([0, -1], "y"), "'y' parameter must hold no negative class. Got -1"),
        (_check_codes, ([0, 3], "y", 3), "must hold classes from 0 to 2. Got 3"),
        *[(_check_proba, (p,), "two classes or more") for p in ([0.5, 0.5], [[1.0], [1.0]])],
        *[
            (_check_proba, ([[0.5, 0.5], row],), "each row summing to 1. Row 1 has the least value")
            for row in ([np.nan, 1], [1.5, -0.5], [0.5, 0.502], [np.inf, 0])
        ],
        *[(_check_correct, (c,), "array of True and False, at") for c in ([], [2], [[1]], ["a"])],
        (_check_table, (None, 1, "Example"), "Example requires y to be passed"),
        *[(_check_table, (y, 1, "X"), r"of shape \(1, K\)") for y in ([1], [[]], [[1], [0]])],
        (_check_table, ([[1, 2]], 1, "X"), r"or -1 \(unknown\). Got 2 instead"),
    ],
)
def test_what_is_refused(check, given, message):
    with pytest.raises(UsageError, match=message):
        check(*given)


def test_images_must_be_the_same_and_rows_sum_to_exactly_1():
    with pytest.raises(UsageError, match=r"'a' and 'b' must describe the same .* Got 2 and 3"):
        _check_same_length(a=np.zeros(2), b=np.zeros(3))
    rows = _check_proba(np.full((2, 3), 0.3334, np.float16))
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-15)


def test_labels_that_cannot_be_learned_are_warned_of():
    table = np.array([[1, 0, -1, -1]])
    found = _unlearnable_labels(table, ["a", "b", "c", "d"])
    assert found[1] == "The labels c, d are never known (always -1)."
    with pytest.warns(UserWarning, match="No image has the label b .* Example cannot learn it"):
        _warn_of_unlearnable(found[:1], "Example")
